/**
 * Why: the machine's promises hold against every order of events, not only the likely one. This is its world: a spool that keeps what was synced,
 * a network that cuts, a gateway that knows one rule (append if next), an application that hands over numbered events from its cursor on.
 * Enforces: nothing itself; the test's oracle looks at `World`.
 */
import {
  decodeHeader,
  type FrameHeader,
  lastSeqOf,
  mustDecode,
  payloadHash,
  type ServerMessage,
  zeroHash,
} from "ransomeye-ingestion/protocol";
import { type Random, seededRandom } from "ransomeye-kernel";
import {
  newerCursor,
  type Effect,
  freshMachineState,
  frameOverheadBytes,
  type LossPolicy,
  ProducerMachine,
  recoverChain,
  type Signal,
  waitPolicy,
} from "../src/lib.ts";
import { KeysModel } from "./model_keys.ts";
import { type ClientWord, ServerModel } from "./model_server.ts";
import { SpoolModel } from "./model_spool.ts";

export const producer = "0190a0b0-c0d0-7000-8000-000000000001";
type Step =
  | "lose"
  | "rotate"
  | "retire"
  | "write"
  | "tellWritten"
  | "hand"
  | "sync"
  | "connect"
  | "transmit"
  | "serve"
  | "deliver"
  | "credit"
  | "store"
  | "cut"
  | "crash";

/** One producer and its world. Every choice comes from the seed. */
export class World {
  readonly random: Random;
  readonly server: ServerModel = new ServerModel();
  readonly spool: SpoolModel = new SpoolModel();
  machine: ProducerMachine;
  readonly settledNow: Set<number> = new Set();
  /** Batches answered twice by one process: never. */
  doubleSettles = 0;
  /** Batches answered before the server had them: never. */
  earlySettles = 0;
  /** Events answered as diverged. */
  divergedEvents = 0;
  stopped: string | undefined;
  handed = 0;
  #callLeft = 0;
  toServer: ClientWord[] = [];
  /** Words of cut sessions that the server still works on. */
  late: ClientWord[] = [];
  toClient: ServerMessage[] = [];
  connected = false;
  wantsConnect = false;
  #sending: number | undefined;
  #nowMs = 0;
  #credit = { bytes: 0, events: 0 };
  readonly eventsMax: number;
  readonly log: string[] = [];
  readonly policy: LossPolicy;
  /** Up to this event the application was told what became of them: durable here, or lost. A restart must not go back behind it. */
  promised = 0;
  /** Restarts that went back behind it: never. */
  brokenPromises = 0;
  /** Batches answered as lost before their declaration was on disk: never. */
  earlyLosses = 0;
  readonly keys: KeysModel = new KeysModel();
  /** Chance rotates keys, and ends older ones. */
  readonly rotates: boolean;
  #stateWanted = false;
  #writtenVersion: number | undefined;
  #lostThrough = 0;

  constructor(seed: number | string, eventsMax: number, policy: LossPolicy = waitPolicy, rotates = false) {
    this.rotates = rotates;
    this.random = seededRandom(seed);
    this.eventsMax = eventsMax;
    this.policy = policy;
    this.machine = new ProducerMachine(producer, this.keys.current, 1, freshMachineState, [], policy);
    this.signal({ kind: "start" });
  }

  pick(n: number): number {
    return this.random.uint32() % n;
  }

  signal(signal: Signal): void {
    this.#nowMs += 1;
    this.log.push(`> ${signal.kind}${signal.kind === "message" ? ` ${signal.message.kind}` : ""}`);
    for (const effect of this.machine.step(signal, { ms: this.#nowMs, us: this.#nowMs * 1000 })) this.#run(effect);
  }

  #run(effect: Effect): void {
    this.log.push(
      `< ${effect.kind} ${effect.kind === "send" || effect.kind === "append" ? effect.index : "detail" in effect ? effect.detail : ""}`,
    );
    switch (effect.kind) {
      case "append": {
        const payload = effect.payload ?? this.#payload;
        this.spool.payloads.set(effect.index, payload);
        const { payloadBytes, ...facts } = effect.batch;
        const signed = effect.header === undefined ? undefined : { header: effect.header, signature: Buffer.alloc(64) };
        this.spool.pending.push({
          ...facts,
          type: "batch",
          index: effect.index,
          createdUs: effect.createdUs,
          payloadBytes,
          more: this.#callLeft > 0,
          cursor: effect.payload === undefined && this.#callLeft === 0 ? String(this.handed) : undefined,
          signed,
        });
        return;
      }
      case "sign":
        for (const { index, header } of effect.links)
          this.spool.pending.push({ type: "link", index, signed: { header, signature: Buffer.alloc(64) } });
        return;
      case "send":
        this.#sending = effect.index;
        return;
      case "declare":
        if (effect.reason === "spool_full") this.spool.declaredCursor = { index: effect.index, cursor: String(this.#lostThrough) };
        this.#stateWanted = true;
        return;
      case "settle":
        for (const { index, kind, count } of effect.frames) {
          if (effect.answer === "lost") {
            if ((this.spool.state?.givenUpThrough ?? 0) < index) this.earlyLosses += 1;
            continue;
          }
          if (kind === "gap") continue;
          if (effect.answer === "diverged") this.divergedEvents += count;
          if (this.settledNow.has(index)) this.doubleSettles += 1;
          this.settledNow.add(index);
          const hash = payloadHash(this.spool.payloads.get(index) ?? zeroHash);
          if (effect.answer !== "diverged" && !this.server.accepted.some(({ header }) => header.payloadHash.equals(hash)))
            this.earlySettles += 1;
        }
        return;
      case "forget":
        // A segment goes now and then, never before the state was written.
        if (this.pick(3) === 0) {
          this.spool.save(this.machine.state);
          const kept = new Set(effect.indexes);
          this.spool.records = this.spool.records.filter((record) => !kept.has(record.index));
        }
        return;
      case "connect":
        this.wantsConnect = true;
        return;
      case "hello":
        this.toServer.push({ kind: "hello" });
        return;
      case "openEpoch":
        this.spool.save(this.machine.state);
        this.toServer.push({ kind: "openEpoch", expectedEpoch: effect.expectedEpoch });
        return;
      case "disconnect":
        this.cut();
        return;
      case "stop":
        this.stopped = `${effect.code} ${effect.detail}`;
        return;
      case "demand":
      case "linger":
      case "wake":
      case "alarm":
        return;
    }
  }

  #payload: Buffer = Buffer.alloc(0);

  /** The application hands over a batch, sometimes a call of several. */
  hand(): void {
    if (this.handed >= this.eventsMax) return;
    if (this.#callLeft === 0 && this.machine.stats.undeclared) {
      this.lose();
      return;
    }
    if (this.#callLeft === 0) this.#callLeft = this.pick(4) === 0 ? 1 + this.pick(3) : 1;
    const count = Math.min(1 + this.pick(4), this.eventsMax - this.handed);
    const ids = Array.from({ length: count }, (_, i) => this.handed + i + 1);
    this.#payload = Buffer.from(JSON.stringify(ids));
    this.handed += count;
    this.#callLeft = this.handed >= this.eventsMax ? 0 : this.#callLeft - 1;
    const batch = {
      kind: "events" as const,
      count,
      payloadBytes: this.#payload.length,
      payloadHash: payloadHash(this.#payload),
      schemaVersion: 1,
      mappingVersion: 0,
    };
    this.signal({ kind: "batch", batch, pendingEvents: this.pick(5), more: this.#callLeft > 0 });
  }

  /** The application hands over a call that finds no room. */
  lose(): void {
    if (!this.policy.declares || this.#callLeft > 0 || this.handed >= this.eventsMax) return;
    const count = Math.min(1 + this.pick(4), this.eventsMax - this.handed);
    this.handed += count;
    this.#lostThrough = this.handed;
    this.signal({ kind: "lost", count });
  }

  /** The state file is replaced. */
  write(): void {
    if (!this.#stateWanted || this.#writtenVersion !== undefined) return;
    this.#stateWanted = false;
    this.#writtenVersion = this.machine.lossVersion;
    this.spool.save(this.machine.state);
  }

  /** … and the process hears of it. */
  tellWritten(): void {
    const version = this.#writtenVersion;
    if (version === undefined) return;
    this.#writtenVersion = undefined;
    this.promised = Math.max(this.promised, Number(this.spool.durableCursor?.cursor ?? 0));
    this.signal({ kind: "declared", version });
  }

  sync(): void {
    for (const signal of this.spool.sync()) this.signal(signal);
    this.promised = Math.max(this.promised, Number(this.spool.durableCursor?.cursor ?? 0));
  }

  connect(): void {
    if (!this.wantsConnect || this.connected) return;
    this.wantsConnect = false;
    this.connected = true;
    this.toClient = [];
    this.signal({ kind: "connected" });
  }

  /** The transport takes the frame that is being sent. */
  transmit(): void {
    const index = this.#sending;
    if (index === undefined || !this.connected) return;
    this.#sending = undefined;
    // A late commit may have made it superfluous: stored and forgotten by now.
    if (this.machine.has(index))
      this.toServer.push({ kind: "frame", header: this.headerOnDisk(index), payload: this.spool.payloads.get(index) ?? Buffer.alloc(0) });
    this.signal({ kind: "sent" });
  }

  /** What the disk says, synced records only: a frame that is not there must not be sent. */
  headerOnDisk(index: number): FrameHeader {
    const signed = this.spool.records.findLast((record) => record.index === index && record.signed !== undefined)?.signed;
    if (signed === undefined) throw new Error(`frame ${index} is sent before it is durable`);
    return mustDecode(decodeHeader(signed.header));
  }

  serve(): void {
    const word = this.late.length > 0 && this.pick(2) === 0 ? this.late.shift() : undefined;
    if (word !== undefined) {
      this.#handle(word);
      return;
    }
    const next = this.toServer.shift();
    if (next !== undefined) this.toClient.push(...this.#handle(next));
  }

  #handle(word: ClientWord): ServerMessage[] {
    if (word.kind === "hello") {
      this.#credit = { bytes: this.pick(400), events: this.pick(20) };
      return [this.server.welcome(this.#credit)];
    }
    if (word.kind === "openEpoch") return [this.server.openEpoch(word.expectedEpoch)];
    const refused = this.keys.refusal(word.header);
    if (refused !== undefined) return [refused];
    const answers = [this.server.frame(word.header, word.payload)];
    // Seen twice by the server: the second is a duplicate.
    if (this.pick(6) === 0) this.server.frame(word.header, word.payload);
    return answers;
  }

  credit(): void {
    if (!this.connected) return;
    this.#credit = { bytes: this.#credit.bytes + frameOverheadBytes * 2 + this.pick(2000), events: this.#credit.events + this.pick(40) };
    this.toClient.push({ kind: "credit", bytesTotal: this.#credit.bytes, eventsTotal: this.#credit.events, lingerMs: 20 });
  }

  deliver(): void {
    const message = this.toClient.shift();
    if (message !== undefined && this.connected) this.signal({ kind: "message", message });
  }

  store(): void {
    const { epoch, seq } = this.server.head;
    this.server.stored = {
      epoch,
      seq: this.pick(3) === 0 ? seq : Math.max(this.server.stored.epoch === epoch ? this.server.stored.seq : 0, this.pick(seq + 1)),
    };
    // Rows end at frames, and only frames are ever stored.
    const last = this.server.accepted
      .filter(({ header }) => header.epoch < epoch || lastSeqOf(header) <= this.server.stored.seq)
      .at(-1)?.header;
    this.server.stored = last === undefined ? { epoch: 0, seq: 0 } : { epoch: last.epoch, seq: lastSeqOf(last) };
    if (this.connected) this.toClient.push({ kind: "stored", ...this.server.stored });
  }

  /** The connection is gone. The server may go on with what it had received. */
  cut(): void {
    if (!this.connected) return;
    this.connected = false;
    const received = this.toServer.filter((word) => word.kind !== "hello").slice(0, this.pick(this.toServer.length + 1));
    this.late.push(...received);
    this.toServer = [];
    this.toClient = [];
    this.#sending = undefined;
    this.signal({ kind: "disconnected", code: "SDK_DISCONNECTED", detail: "cut" });
  }

  /** kill -9 and a new process on the same spool. */
  crash(): void {
    this.connected = false;
    this.late.push(...this.toServer.filter((word) => word.kind !== "hello").slice(0, this.pick(this.toServer.length + 1)));
    this.toServer = [];
    this.toClient = [];
    this.#sending = undefined;
    this.spool.crash(this.pick(this.spool.pending.length + 1));
    this.log.push("CRASH");
    const { batches } = this.spool;
    const links = this.spool.records.filter((record) => record.type === "link");
    const recovered = recoverChain(this.spool.state, batches, links);
    this.spool.durableCursor = newerCursor(this.spool.cursor, recovered.cursor);
    this.handed = Number(this.spool.durableCursor?.cursor ?? 0);
    if (this.handed < this.promised) this.brokenPromises += 1;
    this.#stateWanted = false;
    this.#writtenVersion = undefined;
    this.#callLeft = 0;
    this.settledNow.clear();
    this.wantsConnect = false;
    const state = this.spool.state ?? freshMachineState;
    const nextIndex = batches.reduce((next, batch) => Math.max(next, batch.index + 1), state.nextIndex);
    const at = { ...state, chain: recovered.chain, nextIndex };
    this.machine = new ProducerMachine(producer, this.keys.current, 1, at, recovered.entries, this.policy);
    this.signal({ kind: "start" });
  }

  /** Another key takes over: on disk first, and the process hears of it at once or never. */
  rotate(): void {
    this.keys.rotate();
    if (this.pick(4) > 0) this.signal({ kind: "key", keyId: this.keys.current });
    else this.crash();
  }

  /** The overlap ends: only the newest key is good. */
  retire(): void {
    this.keys.endOlder();
  }

  /** One step by chance. */
  chance(faults: boolean): void {
    const often: Step[] = ["transmit", "serve", "deliver"];
    const steps: Step[] = ["hand", "hand", "sync", "sync", "connect", ...often, ...often, ...often, "credit", "store"];
    if (this.rotates && this.pick(12) === 0) steps.push("rotate", "retire", "retire");
    if (this.policy.declares) steps.push("lose", "write", "write", "tellWritten", "tellWritten");
    const step = faults && this.pick(40) === 0 ? (this.pick(2) === 0 ? "cut" : "crash") : steps[this.pick(steps.length)];
    if (step !== undefined) this[step]();
  }

  /** Lets everything come to rest without faults. */
  settle(): void {
    for (let i = 0; i < 4000; i += 1) {
      this.hand();
      this.sync();
      this.write();
      this.tellWritten();
      this.connect();
      this.transmit();
      this.serve();
      this.deliver();
      if (i % 4 === 0) this.credit();
      if (i % 16 === 0 || this.handed >= this.eventsMax) this.store();
      if (this.handed >= this.eventsMax && this.machine.stats.frames === 0) return;
    }
  }
}
