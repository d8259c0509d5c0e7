/**
 * Why it exists: whichever servers stand underneath (one, a master with replicas, a cluster), the adapter hands calls in by key and they reach the master
 * that has it.
 * Enforces: a change is behind what its durability asks of master and replicas, on the connection that made it; a server that moved a slot, was
 * demoted or has gone is looked up again; a server that is unfit for a receipt is known before anything is sent to it.
 * Forbids: sending a change twice: only what the server has refused undone (MOVED, ASK) is sent on.
 */
import { type Clock, sleep, type Telemetry } from "ransomeye-kernel";
import { BusError } from "../errors.ts";
import { addressOf, parseServers } from "./address.ts";
import { Confirmations, unconfirmed } from "./confirmation.ts";
import { busFailure, outcomeUnknown, serverWord, type Stage } from "./failures.ts";
import { slotOf } from "./slot.ts";
import { type Call, Link, type LinkOptions } from "./link.ts";
import { listOf, numberOf, type Reply, textOf } from "./replies.ts";
import { scripts } from "./scripts.ts";
import { type Durability, pausedBy, readFacts, type ServerFacts, settingsAsked, undurable } from "./server_facts.ts";

export interface ServersOptions {
  /** See address.ts. */
  readonly url: string;
  /** The user as whom to log in, and a key that only he may read if his rights are the right ones; without it, whoever the URL names. */
  readonly user?: ServersUser | undefined;
  readonly durability: Durability;
  /** Goes on although a server is not as durable as asked, or does not tell; the operator has said so. */
  readonly unverified?: boolean;
  readonly clock: Clock;
  readonly telemetry?: Telemetry;
}

export interface ServersUser {
  readonly credentials: { readonly username: string; readonly password: string };
  readonly rightsKey: string;
}

const hopsMax = 5;
const openMsMax = 10_000;
const refreshMsMin = 50;
/** Nobody waits longer for one server that hangs while others know. */
const answerMsMax = 2000;
const nobodyLeads = "none of the servers says that it is the master, or several do";
const infoSections = ["server", "memory", "persistence", "replication", "cluster"] as const;

/** What a look at a server has found, as of one connection to it. */
interface Fitness {
  readonly connections: number;
  readonly reason: string | null;
}

export class Servers {
  readonly #options: ServersOptions;
  /** As the URL names them: where a cluster or a new master is looked for. */
  readonly #seeds: readonly LinkOptions[];
  readonly #links = new Map<string, Link>();
  readonly #fitness = new Map<Link, Fitness>();
  readonly #confirmations: Confirmations;
  /** Address of each slot's master; of all slots, where there is no cluster. */
  #slots: readonly (string | undefined)[] = [];
  #master: string | undefined;
  #isCluster = false;
  #refreshing: Promise<void> | undefined;
  #closed = false;

  constructor(options: ServersOptions) {
    this.#options = options;
    const { durability, unverified = false, telemetry } = options;
    this.#confirmations = new Confirmations({ durability, unverified, telemetry });
    this.#seeds = parseServers(options.url).map((seed) => ({ ...seed, ...options.user?.credentials }));
  }

  /** @throws BusError BUS_UNAVAILABLE, BUS_FORBIDDEN, BUS_NOT_DURABLE */
  async open(): Promise<void> {
    const signal = AbortSignal.timeout(openMsMax);
    const links = this.#seeds.map((seed) => this.#link(seed));
    const first = await Promise.any(links.map((link) => link.ready(signal).then(() => link))).catch((error: unknown) => {
      throw (error as AggregateError).errors[0] as Error;
    });
    this.#isCluster = (await this.#facts(first)).isCluster;
    // Whoever connects first is not the master for that alone.
    if (!this.#isCluster) await Promise.all(links.map((link) => link.tried(AbortSignal.timeout(answerMsMax))));
    while (!(await this.#refresh())) {
      if (signal.aborted) throw new BusError("BUS_UNAVAILABLE", nobodyLeads);
      await sleep(this.#options.clock, refreshMsMin);
    }
    for (const link of this.#masters()) {
      await link.ready(signal);
      const found = undurable(await this.#facts(link), this.#options.durability);
      if (found.length > 0 && this.#options.unverified !== true)
        throw new BusError("BUS_NOT_DURABLE", found.join(", "), { fields: { settings: found.join(", ") } });
    }
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
  }

  /** Calls that change nothing, on the server that has the key. */
  read(key: string, calls: readonly Call[]): Promise<Reply[]> {
    return this.#run(key, "read", calls);
  }

  /**
   * Calls that change something under the key; answered behind the flush and the replicas that the durability asks for.
   * @throws BusError BUS_OUTCOME_UNKNOWN if the master has done it and too few replicas said so in time
   */
  change(key: string, calls: readonly Call[]): Promise<Reply[]> {
    return this.#run(key, "change", calls, this.#confirmations.areAsked);
  }

  /**
   * Calls that change nothing, and whose answers are behind the replicas that a change would wait for: what is acted on shall not be lost with the master.
   * @param state a hash in the slot that is read; it moves with the others when its slot does
   * @throws BusError BUS_UNAVAILABLE if too few replicas have in time what was read
   */
  async readConfirmed(state: string, calls: readonly Call[]): Promise<Reply[]> {
    if (!this.#confirmations.areAsked) return this.read(state, calls);
    const answers = await this.#run(state, "read", [...calls, { script: scripts.barrier, keys: [state], args: [] }], true);
    return answers.slice(0, -1);
  }

  /** Why the server that has this key should be sent no frames now, or null. Looked at again after every new connection. */
  async fitness(key: string): Promise<string | null> {
    const link = this.#route(key);
    if (link === undefined || !link.isReady) return null;
    const known = this.#fitness.get(link);
    if (known?.connections === link.connections) return known.reason;
    // While it was away another may have taken its place.
    await this.#refresh();
    const found = this.#route(key);
    return found === undefined || !found.isReady ? null : this.#check(found);
  }

  /** Looks again who is the master of what, and at all masters; the first reason found, or null. */
  async check(): Promise<string | null> {
    if (!(await this.#refresh())) throw new BusError("BUS_UNAVAILABLE", nobodyLeads);
    const reasons = await Promise.all(this.#masters().map((link) => this.#check(link)));
    return reasons.find((reason) => reason !== null) ?? null;
  }

  /** Memory of the master that is fullest, by its bound. */
  async memory(): Promise<{ readonly usedBytes: number; readonly bytesMax: number }> {
    const facts = await Promise.all(this.#masters().map((link) => this.#facts(link)));
    const fullness = ({ usedBytes, bytesMax }: ServerFacts): number =>
      bytesMax > 0 ? usedBytes / bytesMax : usedBytes / Number.MAX_SAFE_INTEGER;
    const [fullest] = facts.toSorted((a, b) => fullness(b) - fullness(a));
    return { usedBytes: fullest?.usedBytes ?? 0, bytesMax: fullest?.bytesMax ?? 0 };
  }

  async #check(link: Link): Promise<string | null> {
    const { connections } = link;
    const facts = await this.#facts(link);
    const reason = pausedBy(facts, this.#options.durability) ?? (await this.#confirmations.reason(link));
    const overruled = reason === "not_durable" && this.#options.unverified === true;
    this.#fitness.set(link, { connections, reason: overruled ? null : reason });
    return overruled ? null : reason;
  }

  async #facts(link: Link): Promise<ServerFacts> {
    // One name at a time: 6.2 takes no more.
    const calls: Call[] = [
      ...infoSections.map((section): Call => ({ command: ["INFO", section] })),
      ...settingsAsked(this.#options.durability).map((name): Call => ({ command: ["CONFIG", "GET", name] })),
    ];
    calls.push(...this.#confirmations.trials);
    const { user } = this.#options;
    // On a server that has another part of a cluster this is MOVED, which says that it is allowed.
    if (user !== undefined) calls.push({ command: ["GET", user.rightsKey] });
    const { connections } = link;
    const answers = await link.send(calls).catch((error: unknown) => {
      throw busFailure(error, "read");
    });
    if (user !== undefined && serverWord(answers.pop()) === "NOPERM") throw otherRights();
    const [trial] = this.#confirmations.trials.map(() => answers.pop());
    const info: string[] = [];
    const config: string[] = [];
    for (const [index, answer] of answers.entries()) {
      if (index >= infoSections.length) {
        if (!(answer instanceof Error)) config.push(...listOf(answer).map(textOf));
      } else if (answer instanceof Error) throw busFailure(answer, "read");
      else info.push(textOf(answer));
    }
    const facts = readFacts(info.join("\r\n"), config);
    this.#confirmations.learn(link, addressOf(link.options), connections, trial, facts.isMaster);
    return facts;
  }

  async #run(key: string, stage: Stage, calls: readonly Call[], isConfirmed = false): Promise<Reply[]> {
    if (this.#closed) throw new BusError("BUS_CLOSED", "the bus is closed");
    let asked: Link | undefined;
    for (let hop = 0; ; hop++) {
      const link = asked ?? this.#route(key);
      if (link === undefined) {
        this.#refreshSoon();
        throw new BusError("BUS_UNAVAILABLE", "no server has this part of the bus now");
      }
      const answers = await this.#send(link, calls, asked !== undefined, isConfirmed).catch((error: unknown) => {
        this.#refreshSoon();
        throw busFailure(error, stage);
      });
      const at = answers.findIndex((answer) => answer instanceof Error);
      const failure = answers[at];
      if (!(failure instanceof Error))
        return isConfirmed ? this.#confirmations.taken(link, stage, answers as Reply[]) : (answers as Reply[]);
      const word = serverWord(failure);
      if (word !== "ASK") this.#refreshSoon();
      // What comes before it was done: a server that was demoted while WAIT waited, for one.
      if (at > 0 && stage === "change") throw outcomeUnknown(failure);
      // A server that was demoted refuses to confirm, and so does one whose append-only file was turned off.
      if (isConfirmed && at === calls.length && word === "ERR") throw unconfirmed(failure.message, stage);
      if ((word !== "MOVED" && word !== "ASK") || hop >= hopsMax) throw busFailure(failure, stage);
      const target = this.#named(failure.message);
      if (word === "MOVED") this.#slots = this.#slots.with(target.slot, target.address);
      asked = word === "ASK" ? target.link : undefined;
      await asked?.ready(AbortSignal.timeout(openMsMax));
      if (stage === "change" && target.link.isReady) await this.#assertDurable(target.link);
    }
  }

  async #send(link: Link, calls: readonly Call[], isAsking: boolean, isConfirmed: boolean): Promise<(Reply | Error)[]> {
    if (isConfirmed && this.#confirmations.isUnknown(link)) await this.#facts(link);
    const sent = isConfirmed ? this.#confirmations.behind(link, calls) : calls;
    return isAsking ? sendAsking(link, sent) : link.send(sent);
  }

  /** A server that another one has sent us on to is looked at as well before it is trusted with a change. */
  async #assertDurable(link: Link): Promise<void> {
    const known = this.#fitness.get(link);
    const reason = known?.connections === link.connections ? known.reason : await this.#check(link);
    if (reason === "not_durable") throw new BusError("BUS_UNAVAILABLE", "the server that has this part of the bus now is not durable");
  }

  #route(key: string): Link | undefined {
    const address = this.#isCluster ? this.#slots[slotOf(key)] : this.#master;
    return address === undefined ? undefined : this.#links.get(address);
  }

  #masters(): Link[] {
    const addresses = this.#isCluster ? new Set(this.#slots) : [this.#master];
    return [...addresses].map((address) => this.#links.get(address ?? "")).filter((link) => link !== undefined);
  }

  #link(options: LinkOptions): Link {
    const address = addressOf(options);
    const link = this.#links.get(address) ?? new Link(options);
    this.#links.set(address, link);
    return link;
  }

  /** `MOVED 3999 host:port`, `ASK 3999 host:port`. */
  #named(message: string): { readonly slot: number; readonly address: string; readonly link: Link } {
    const [, slot, , host, port] = /^\w+ (\d+) ((.*):(\d+))$/.exec(message) ?? [];
    if (slot === undefined || host === undefined) throw new BusError("BUS_INTERNAL", `the server sends us on to nowhere: ${message}`);
    const options = { ...this.#common(), host: host === "" ? (this.#seeds[0]?.host ?? "") : host, port: Number(port) };
    return { slot: Number(slot), address: addressOf(options), link: this.#link(options) };
  }

  /** How one gets in, wherever the server is. */
  #common(): LinkOptions {
    const { host: _host, port: _port, path: _path, ...common } = this.#seeds[0] as LinkOptions;
    return common;
  }

  #refreshSoon(): void {
    if (this.#closed) return;
    this.#refreshing ??= sleep(this.#options.clock, refreshMsMin)
      .then(() => this.#refresh())
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => (this.#refreshing = undefined));
  }

  /** Asks who is the master of what. False if nobody could tell. */
  async #refresh(): Promise<boolean> {
    if (this.#closed) return true;
    return this.#isCluster ? this.#refreshSlots() : this.#refreshMaster();
  }

  async #refreshSlots(): Promise<boolean> {
    for (const [address, link] of this.#links) {
      if (!link.isReady) continue;
      const [answer] = (await this.#soon(link.send([{ command: ["CLUSTER", "SLOTS"] }]))) ?? [];
      if (answer === undefined || answer instanceof Error) continue;
      const slots = new Array<string | undefined>(16_384).fill(undefined);
      for (const range of listOf(answer)) {
        const [from, to, master] = listOf(range);
        const [host, port] = listOf(master);
        const named = host === null || textOf(host) === "" ? address.replace(/:\d+$/, "") : textOf(host);
        const options = { ...this.#common(), host: named, port: numberOf(port) };
        this.#link(options);
        slots.fill(addressOf(options), numberOf(from), numberOf(to) + 1);
      }
      this.#slots = slots;
      return true;
    }
    return false;
  }

  async #soon<T>(answer: Promise<T>): Promise<T | undefined> {
    const settled = new AbortController();
    const late = sleep(this.#options.clock, answerMsMax, settled.signal).then(() => undefined);
    try {
      return await Promise.race([answer.catch(() => undefined), late]);
    } finally {
      settled.abort();
    }
  }

  /** One server is the master without asking: it says READONLY if it is not. Of several, exactly one must say so. */
  async #refreshMaster(): Promise<boolean> {
    const [only] = this.#seeds;
    if (this.#seeds.length === 1 && only !== undefined) {
      this.#master = addressOf(only);
      return true;
    }
    const said = await Promise.all(
      this.#seeds.map(async (seed) => {
        const link = this.#link(seed);
        const facts = link.isReady ? await this.#soon(this.#facts(link)) : undefined;
        return facts?.isMaster === true ? [addressOf(seed)] : [];
      }),
    );
    const masters = said.flat();
    this.#master = masters.length === 1 ? masters[0] : undefined;
    return masters.length === 1;
  }
}

function otherRights(): BusError {
  return new BusError(
    "BUS_FORBIDDEN",
    "the server knows us with other rights than this release needs: have it load what `ransomeye bus acl` prints (bus.durability matters)",
  );
}

/** To the server that is taking a slot over. */
async function sendAsking(link: Link, calls: readonly Call[]): Promise<(Reply | Error)[]> {
  const answers = await link.send(calls.flatMap((call): Call[] => [{ command: ["ASKING"] }, call]));
  return answers.filter((_answer, index) => index % 2 === 1);
}
