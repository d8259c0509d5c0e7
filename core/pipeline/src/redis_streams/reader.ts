/**
 * Why it exists: the frame log as consumers read it from Redis or Valkey.
 * Enforces: reading by offset: dense offsets, checked payloads, positions verified by hash; nothing is handed over that is less safe than what has a
 * receipt, else rows would be ahead of the log that a failover leaves; nothing of the server's own consumer groups, whose pending list says nothing
 * about rows.
 * Forbids: changing anything of the log.
 */
import { invariant, type Telemetry } from "ransomeye-kernel";
import type { BusEntry, FrameReader, PartitionTail, Position, ReadOptions } from "../bus.ts";
import { type BusCode, BusError } from "../errors.ts";
import { busStopped } from "../events.ts";
import { otherGeneration } from "./append_call.ts";
import { checkPartition } from "../arguments.ts";
import { type BusPlace, parts } from "./bus_place.ts";
import { decodeEntry, offsetOf, upToBytes } from "./entry.ts";
import { comparePosition } from "./history.ts";
import type { Call } from "./link.ts";
import { bytesOf, listOf, numberOf, type Reply, textOf, unexpected } from "./replies.ts";
import { scripts } from "./scripts.ts";

export interface RedisReaderOptions extends BusPlace {
  readonly telemetry: Telemetry;
}

/** Entries that are asked for at once; so that little is sent in vain where frames become large all of a sudden. */
const askedMax = 128;
/** The same, before anything is known of a partition's frames. */
const askedFirst = 16;

export class RedisReader implements FrameReader {
  readonly generation: string;
  readonly partitions: number;
  readonly #o: RedisReaderOptions;
  /** Bytes of an entry, by partition, as of its last read. */
  readonly #weights = new Map<number, number>();

  constructor(options: RedisReaderOptions) {
    this.generation = options.generation;
    this.partitions = options.partitions;
    this.#o = options;
  }

  async tails(): Promise<PartitionTail[]> {
    const { servers, keys } = this.#o;
    return Promise.all(
      parts(this.partitions).map(async (part) => {
        const state = keys.partitionState(part);
        const [reply] = await servers.read(state, [{ command: ["HMGET", state, "generation", "off", "received_us"] }]);
        const [generation, off, receivedUs] = listOf(reply);
        if (generation === null || generation === undefined || textOf(generation) !== this.generation)
          throw this.#stopped("BUS_HISTORY_DIVERGED", "the bus has another generation, or has been lost", part, 0);
        return { part, off: numberOf(off), receivedUs: numberOf(receivedUs) };
      }),
    );
  }

  async read(part: number, after: Position | null, options: ReadOptions): Promise<BusEntry[]> {
    checkPartition(part, this.partitions);
    invariant(options.framesMax > 0, "a read names a bound");
    if (after !== null && after.generation !== this.generation)
      throw this.#stopped("BUS_HISTORY_DIVERGED", "the position is of another generation", part, after.off);
    return (after === null ? undefined : await this.#readAfter(part, after, options)) ?? this.#readAtOnce(part, after, options);
  }

  /**
   * The place is judged by the script, what lies after it comes as the server has it: through the script every byte would be copied twice. Undefined where the
   * two do not fit together, for they are two steps: then somebody has to look at once.
   */
  async #readAfter(part: number, { off: from, hash }: Position, { framesMax, bytesMax }: ReadOptions): Promise<BusEntry[] | undefined> {
    const { servers, keys } = this.#o;
    const weight = this.#weights.get(part);
    const count = Math.max(1, Math.min(framesMax, askedMax, weight === undefined ? askedFirst : Math.floor(bytesMax / weight)));
    const [state, log] = [keys.partitionState(part), keys.log(part)];
    const [told, page] = await servers.readConfirmed(state, [
      { script: scripts.read, keys: [state, log], args: [this.generation, String(from), hash, "0", "0"] },
      { command: ["XRANGE", log, `(${from}-0`, "+", "COUNT", String(count)] },
    ]);
    const [kind, , tail] = listOf(told);
    const found = listOf(page);
    if (textOf(kind) !== "entries" || (found.length === 0 && numberOf(tail) > from)) return undefined;
    if (found.some((entry, index) => offsetOf(entry) !== from + index + 1)) return undefined;
    const within = upToBytes(found, bytesMax);
    if (found.length > 0) this.#weights.set(part, within.bytes / within.entries.length);
    return this.#decoded(part, from, within.entries);
  }

  async #readAtOnce(part: number, after: Position | null, options: ReadOptions): Promise<BusEntry[]> {
    const asked = after === null ? ["", ""] : [String(after.off), after.hash];
    const [kind, second, third, ...found] = await this.#ask(part, {
      script: scripts.read,
      args: [this.generation, ...asked, String(options.framesMax), String(options.bytesMax)],
    });
    switch (textOf(kind)) {
      case "entries":
        return this.#entries(part, numberOf(second), numberOf(third), found);
      case "trimmed":
        throw this.#stopped("BUS_TRIMMED", "entries after the position have been removed", part, after?.off ?? 0);
      case "behind":
        throw this.#stopped("BUS_HISTORY_DIVERGED", "the position lies behind the end of the partition", part, after?.off ?? 0);
      case "diverged":
        throw this.#stopped("BUS_HISTORY_DIVERGED", "another entry stands at the position", part, after?.off ?? 0);
      case "hole":
        throw this.#stopped("BUS_HOLE", "the entry at the position is missing", part, after?.off ?? 0);
      case "generation":
        throw this.#lost(part, second);
    }
    throw unexpected();
  }

  checkPosition(position: Position): Promise<"same" | "diverged" | "trimmed"> {
    return comparePosition(this.#o, position);
  }

  async seek(part: number, receivedUs: number): Promise<Position | null> {
    checkPartition(part, this.partitions);
    const [first, second, third] = await this.#ask(part, { script: scripts.seek, args: [this.generation, String(receivedUs)] });
    if (textOf(first) === "generation") throw this.#lost(part, second);
    const off = numberOf(first);
    return off === 0 ? null : { generation: this.generation, part, off, receivedUs: numberOf(second), hash: bytesOf(third) };
  }

  async close(): Promise<void> {
    // The servers belong to whoever opened them.
  }

  #entries(part: number, from: number, tail: number, found: readonly Reply[]): BusEntry[] {
    for (const [index, entry] of found.entries()) {
      const off = from + index + 1;
      const found = offsetOf(entry);
      if (found === undefined) throw this.#stopped("BUS_CORRUPT", "an entry is none that this bus writes", part, off);
      if (found !== off) throw this.#stopped("BUS_HOLE", "an offset is missing", part, off);
    }
    if (found.length === 0 && tail > from) throw this.#stopped("BUS_HOLE", "the head is ahead of the last entry", part, from + 1);
    return this.#decoded(part, from, found);
  }

  #decoded(part: number, from: number, found: readonly Reply[]): BusEntry[] {
    return found.map((entry, index) => {
      try {
        return decodeEntry(entry, part, this.generation);
      } catch (error) {
        if (error instanceof BusError) throw this.#stopped(error.code, error.message, part, from + index + 1);
        throw error;
      }
    });
  }

  async #ask(part: number, { script, args }: Pick<Extract<Call, { script: unknown }>, "script" | "args">): Promise<Reply[]> {
    const { servers, keys } = this.#o;
    const state = keys.partitionState(part);
    const [reply] = await servers.readConfirmed(state, [{ script, keys: [state, keys.log(part)], args }]);
    return listOf(reply);
  }

  #lost(part: number, found: Reply | undefined): BusError {
    const error = otherGeneration(found);
    return this.#stopped(error.code, error.message, part, 0);
  }

  #stopped(code: BusCode, message: string, part: number, off: number): BusError {
    this.#o.telemetry.emit(busStopped, { part, off, code });
    return new BusError(code, message, { fields: { part, off } });
  }
}
