/**
 * Why it exists: what a gate may do with a bus on Redis or Valkey.
 * Enforces: one script decides and appends (append.lua); a server that is unfit for a receipt is not sent anything, one that is full is answered with
 * `paused`, and nothing is lost either way; frames of one partition gather while a call is under way.
 * Forbids: retries: an append whose answer is lost rejects with BUS_OUTCOME_UNKNOWN, and appending the same frames again settles it.
 */
import type { Clock, Telemetry } from "ransomeye-kernel";
import { AppendQueue } from "../append_queue.ts";
import { partitionOf } from "../append_machine.ts";
import { reportAppend } from "../append_report.ts";
import { checkAppend, checkPartition, checkProducer } from "../arguments.ts";
import type {
  AppendOptions,
  AppendOutcome,
  BusPressure,
  FrameAppend,
  FrameAppender,
  GateReport,
  OpenEpochOutcome,
  OpenEpochRequest,
  PressureQuestion,
  ProducerHead,
} from "../bus.ts";
import { BusError } from "../errors.ts";
import { busCallFailed, busEpochLimited, busEpochOpened, busQueuedBytes } from "../events.ts";
import { appendCall, appendOutcomes, assertSame, ofSameBus, otherGeneration, retryAfterMs } from "./append_call.ts";
import type { Backlogs } from "./backlog.ts";
import type { BusPlace } from "./bus_place.ts";
import { decodeHead } from "./heads.ts";
import { KnownEnds } from "./history.ts";
import type { Call } from "./link.ts";
import { listOf, numberOf, textOf, unexpected } from "./replies.ts";
import { scripts } from "./scripts.ts";

export interface RedisAppenderOptions extends BusPlace {
  readonly backlogs: Backlogs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Bounds of one merged call. */
  readonly callBytesMax?: number;
  readonly callFramesMax?: number;
}

const leaseMs = 3000;

export class RedisAppender implements FrameAppender {
  readonly generation: string;
  readonly partitions: number;
  readonly #o: RedisAppenderOptions;
  readonly #queue: AppendQueue;
  readonly #known = new KnownEnds();

  constructor(options: RedisAppenderOptions) {
    this.generation = options.generation;
    this.partitions = options.partitions;
    this.#o = options;
    this.#queue = new AppendQueue(
      async (part, take) => {
        const { frames, options: how, bytes } = take();
        return this.#send(part, frames, how, bytes);
      },
      { callBytesMax: options.callBytesMax ?? 2 * 1024 * 1024, callFramesMax: options.callFramesMax ?? 256 },
    );
  }

  async append(part: number, frames: readonly FrameAppend[], options: AppendOptions): Promise<AppendOutcome[]> {
    checkPartition(part, this.partitions);
    checkAppend(frames, options);
    const settled = this.#queue.append(part, frames, options);
    this.#o.telemetry.set(busQueuedBytes, this.#queue.queuedBytes);
    return settled;
  }

  async openEpoch({ producer, expectedEpoch, keyId, registryVersion }: OpenEpochRequest): Promise<OpenEpochOutcome> {
    checkProducer(producer);
    const { servers, keys, telemetry } = this.#o;
    const part = partitionOf(producer, this.partitions);
    const state = keys.partitionState(part);
    const call: Call = {
      script: scripts.openEpoch,
      keys: [state, keys.revoked(part), keys.producer(part, producer), keys.producers(part)],
      args: [this.generation, String(part), String(registryVersion), String(expectedEpoch), keyId, String(this.#known.of(part))],
    };
    const [reply] = await this.#counted("open_epoch", 0, () => servers.change(state, [call]));
    const [kind, first, second] = listOf(reply);
    switch (textOf(kind)) {
      case "opened": {
        const { epoch, prevEpoch, prevSeq, prevHash } = decodeHead(first, undefined);
        telemetry.emit(busEpochOpened, { producer, epoch, part });
        return { kind: "opened", epoch, prev: { epoch: prevEpoch, seq: prevSeq, hash: prevHash }, part };
      }
      case "conflict":
        return { kind: "conflict", head: decodeHead(first, second) };
      case "limited":
        telemetry.emit(busEpochLimited, { producer, epoch: expectedEpoch });
        return { kind: "limited", retryAfterMs: numberOf(first) };
      case "revoked":
        return { kind: "revoked" };
      case "stale_registry":
        return { kind: "stale_registry" };
      case "lost":
        this.#known.assertHolds(part, numberOf(first), textOf(second));
        break;
      case "generation":
        throw otherGeneration(first);
    }
    throw unexpected();
  }

  async headsOf(producers: readonly string[]): Promise<Map<string, ProducerHead>> {
    const { servers, keys } = this.#o;
    const heads = new Map<string, ProducerHead>();
    for (const producer of producers) checkProducer(producer);
    await Promise.all(
      [...placesBy(producers, (producer) => partitionOf(producer, this.partitions))].map(async ([part, places]) => {
        const own = places.map((place) => producers[place] as string);
        const state = keys.partitionState(part);
        const calls = own.map((producer): Call => ({ command: ["HMGET", keys.producer(part, producer), "head", "stored"] }));
        const which: Call = { command: ["HMGET", state, "generation", "off", "paused"] };
        const [said, ...replies] = await this.#counted("heads_of", 0, () => servers.readConfirmed(state, [which, ...calls]));
        const [generation, off, paused] = listOf(said);
        assertSame(generation, this.generation);
        this.#known.assertHolds(part, numberOf(off), paused === null ? "" : textOf(paused));
        for (const [index, producer] of own.entries()) {
          const [head, stored] = listOf(replies[index]);
          if (head !== null && head !== undefined) heads.set(producer, decodeHead(head, stored));
        }
      }),
    );
    return heads;
  }

  async pressure({ incarnation, wantBytes }: PressureQuestion): Promise<BusPressure> {
    const { servers, keys, backlogs } = this.#o;
    const facts: Call = { command: ["HMGET", keys.state, "generation", "paused"] };
    const [unfit, [reply], backlog] = await this.#counted("pressure", 0, () =>
      Promise.all([servers.check(), servers.read(keys.state, [facts]), backlogs.slowest()]),
    );
    const [generation, paused] = listOf(reply);
    assertSame(generation, this.generation);
    const said = paused === null || paused === undefined ? "" : textOf(paused);
    const reason = said === "" ? unfit : said;
    return {
      paused: reason,
      retryAfterMs,
      ...backlog,
      // What the database suffers from is felt here as the engine's lag.
      strain: null,
      inFlightBytesMax: wantBytes === 0 ? 0 : await this.#lease(incarnation, wantBytes),
      leaseMs,
    };
  }

  async report(report: GateReport): Promise<void> {
    const { servers, keys } = this.#o;
    const call: Call = { command: ["HSET", keys.gates, report.incarnation, JSON.stringify(report)] };
    await this.#counted("report", 0, () => servers.change(keys.gates, [call]));
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #lease(incarnation: string, wantBytes: number): Promise<number> {
    const { servers, keys } = this.#o;
    const args = [this.generation, incarnation, String(wantBytes), String(leaseMs)];
    const call: Call = { script: scripts.lease, keys: [keys.state, keys.leases], args };
    const [bytes] = await this.#counted("lease", 0, () => servers.change(keys.state, [call]));
    return numberOf(ofSameBus(bytes));
  }

  /**
   * Frames of other partitions' producers go where those live, to be told that they are misrouted; the script stores none of them. They go first: if
   * they cannot be asked there, nothing has been stored here.
   */
  async #send(part: number, frames: readonly FrameAppend[], options: AppendOptions, bytes: number): Promise<AppendOutcome[]> {
    const startedMs = this.#o.clock.monotonicMs();
    const outcomes = new Array<AppendOutcome>(frames.length);
    const homes = [...placesBy(frames, ({ link }) => partitionOf(link.producer, this.partitions))];
    for (const [home, places] of homes.toSorted(([a], [b]) => Number(a === part) - Number(b === part))) {
      const own = places.map((place) => frames[place] as FrameAppend);
      const answers = await this.#counted("append", own.length, () => this.#sendTo(home, part, own, options));
      for (const [index, place] of places.entries()) outcomes[place] = answers[index] as AppendOutcome;
    }
    const seconds = (this.#o.clock.monotonicMs() - startedMs) / 1000;
    reportAppend(this.#o.telemetry, { part, frames, outcomes, bytes, seconds });
    this.#o.telemetry.set(busQueuedBytes, this.#queue.queuedBytes);
    return outcomes;
  }

  async #sendTo(home: number, target: number, frames: readonly FrameAppend[], options: AppendOptions): Promise<AppendOutcome[]> {
    const { servers, keys } = this.#o;
    const key = keys.partitionState(home);
    const reason = await servers.fitness(key);
    if (reason !== null) return frames.map(() => ({ kind: "paused", reason, retryAfterMs }));
    const place = { keys, generation: this.generation, home, target, leastOff: this.#known.of(home) };
    try {
      const [reply] = await servers.change(key, [appendCall(place, frames, options)]);
      const outcomes = appendOutcomes(place, frames, reply);
      for (const outcome of outcomes) if (outcome.kind === "accepted") this.#known.heard(outcome.position);
      return outcomes;
    } catch (error) {
      // The server refused before anything was changed: it has room again when entries have been trimmed.
      if (error instanceof BusError && error.fields.word === "OOM")
        return frames.map(() => ({ kind: "paused", reason: "full", retryAfterMs }));
      throw error;
    }
  }

  async #counted<T>(call: string, frames: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof BusError) {
        const word = (error.fields.word as string | null | undefined) ?? null;
        this.#o.telemetry.emit(busCallFailed, { call, code: error.code, server_code: word, frames });
      }
      throw error;
    }
  }
}

/** Places in a list, by what `keyOf` says of the item there. */
function placesBy<Item>(items: readonly Item[], keyOf: (item: Item) => number): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const [place, item] of items.entries()) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [place]);
    else group.push(place);
  }
  return groups;
}
