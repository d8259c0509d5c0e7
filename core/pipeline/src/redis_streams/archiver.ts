/**
 * Why it exists: streams on servers are bounded by memory; what is copied into the archive may leave it. The keeper copies, for everybody.
 * Enforces: an entry counts as archived only when the archive holds it durably and the log, asked again, still holds that very entry; what servers have lost and
 * given to others since is replaced in the archive, and said.
 * Forbids: removing from streams (message_trim.lua does), and copying by two at once: the same entries twice are the same rows.
 */
import { type Clock, systemRandom, type Telemetry } from "ransomeye-kernel";
import { messagesArchived, messagesReplaced, messagesUnarchived } from "../events.ts";
import type { ArchivedStream, ArchiveEntry, ArchiveWeight, MessageArchive } from "../messages/archive.ts";
import type { ByPriority } from "../messages/delivery_machine.ts";
import { type MessagePriority, priorities, StreamName } from "../messages/message.ts";
import { offsetOf } from "./entry.ts";
import type { MessageKeys } from "./message_keys.ts";
import { listOf, numberOf, type Reply, textOf, unexpected } from "./replies.ts";
import { scripts } from "./scripts.ts";
import type { Servers } from "./servers.ts";

/** Entries that are read, and written, at once. */
const pageMax = 1000;
const lookBackEveryMs = 10_000;
const memoryEveryMs = 1000;

export interface ArchiverOptions {
  readonly archive: MessageArchive;
  /** How long entries are kept that every group has settled. */
  readonly keepMsMax: number;
  /** How long dead letters stay in the archive, and whatever other logs have left there. */
  readonly keptMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Where a stream and its archive stand. */
export interface ArchiveState {
  /** The archive's id of this log; null without an archive. */
  readonly log: string | null;
  readonly archived: ByPriority<number>;
  readonly tails: ByPriority<number>;
  readonly lows: ByPriority<number>;
  /** Bytes carried up to the tails, up to what `lowAts` name, and those offsets: the low ends, or before them. */
  readonly bytes: ByPriority<number>;
  readonly lowBytes: ByPriority<number>;
  readonly lowAts: ByPriority<number>;
}

/** What only the archive knows of a priority, for message_trim.lua. */
export interface ArchiveKnows {
  /** Offset up to which entries have been kept for long enough. */
  readonly old: number;
  /** The low end, where the log does not know how many bytes lie below it. */
  readonly low: ArchiveWeight | null;
  /** The first entry without which, and those below it, the stream were within its bound of bytes. */
  readonly within: ArchiveWeight | null;
}

/** A stream's ends, and up to where it is archived. */
export async function readArchiveState(servers: Servers, keys: MessageKeys, stream: StreamName): Promise<ArchiveState> {
  const names = ["archived", "tail", "low", "bytes", "lowbytes", "lowat"].flatMap((name) =>
    [1, 2, 3, 4].map((priority) => `${name}${priority}`),
  );
  const [reply] = await servers.read(keys.place, [{ command: ["HMGET", keys.ends(stream), "log", ...names] }]);
  const [log, ...numbers] = listOf(reply);
  const four = (from: number): ByPriority<number> =>
    numbers.slice(from, from + 4).map((one) => (one === null ? 0 : numberOf(one))) as unknown as ByPriority<number>;
  return {
    log: log === null ? null : textOf(log),
    archived: four(0),
    tails: four(4),
    lows: four(8),
    bytes: four(12),
    lowBytes: four(16),
    lowAts: four(20),
  };
}

export class Archiver {
  readonly #servers: Servers;
  readonly #keys: MessageKeys;
  readonly #o: ArchiverOptions;
  #memory = { atUs: 0, used: 0 };
  readonly #looked = new Map<StreamName, { readonly atUs: number; readonly old: ByPriority<number> }>();

  constructor(servers: Servers, keys: MessageKeys, options: ArchiverOptions) {
    this.#servers = servers;
    this.#keys = keys;
    this.#o = options;
  }

  /** Copies what the archive does not hold yet, and has it forget what nobody waits for. */
  async keep(stream: StreamName): Promise<void> {
    let state = await readArchiveState(this.#servers, this.#keys, stream);
    if (state.log === null) {
      const args = [systemRandom.uuid()];
      await this.#servers.change(this.#keys.place, [{ script: scripts.messageArchiveBegin, keys: [this.#keys.ends(stream)], args }]);
      state = await readArchiveState(this.#servers, this.#keys, stream);
    }
    const { log, archived, tails } = state;
    if (log === null) throw unexpected();
    const left = tails.reduce((sum, tail, index) => sum + tail - (archived[index] as number), 0);
    this.#o.telemetry.set(messagesUnarchived, left, { stream });
    for (const priority of priorities) {
      let from = archived[priority - 1] as number;
      const to = tails[priority - 1] as number;
      while (from < to) {
        const next = await this.#copyPage({ log, stream }, priority, from);
        // What the log holds beyond is copied the next time.
        if (next === undefined) break;
        from = next;
      }
    }
    await this.#lookBack({ log, stream }, state);
  }

  /** Share of its memory that the fullest server uses, as of a moment ago; 0 where it has no bound. */
  async memoryUsed(): Promise<number> {
    const atUs = this.#o.clock.nowUs();
    if (atUs - this.#memory.atUs < memoryEveryMs * 1000) return this.#memory.used;
    const { usedBytes, bytesMax } = await this.#servers.memory();
    this.#memory = { atUs, used: bytesMax > 0 ? usedBytes / bytesMax : 0 };
    return this.#memory.used;
  }

  /** What the archive knows of a stream's priorities; how old, as of some seconds ago. */
  async knows(stream: StreamName, bytesMax: number): Promise<ArchiveKnows[]> {
    const olds = this.#looked.get(stream)?.old ?? [0, 0, 0, 0];
    const { log, archived, lows, bytes, lowBytes, lowAts } = await readArchiveState(this.#servers, this.#keys, stream);
    if (log === null) return olds.map((old) => ({ old, low: null, within: null }));
    const { archive } = this.#o;
    const of = { log, stream };
    const told = lows.some((low, index) => low !== lowAts[index]) ? await archive.bytes(of, lows) : [null, null, null, null];
    const lowOf = lows.map((off, index): ArchiveWeight | null => {
      const endBytes = told[index] ?? null;
      return endBytes === null || off === lowAts[index] ? null : { off, endBytes };
    });
    const begins = lowBytes.map((known, index) => Math.max(known, lowOf[index]?.endBytes ?? 0));
    const tooMuch = bytes.reduce((sum, carried, index) => sum + carried - (begins[index] as number), 0) - bytesMax;
    return Promise.all(
      priorities.toReversed().map(async (priority, index): Promise<ArchiveKnows> => {
        const [low, upTo, from] = [lows[index] as number, archived[index] as number, begins[index] as number];
        const within = tooMuch > 0 && low < upTo ? await archive.weigh(of, priority, low, upTo, from + tooMuch) : null;
        return { old: olds[index] as number, low: lowOf[index] ?? null, within: within ?? (tooMuch > 0 ? everything : null) };
      }),
    );
  }

  /** Copies one page after an offset; gives the last offset of it, or undefined where there is none or the log has changed meanwhile. */
  async #copyPage(of: ArchivedStream, priority: MessagePriority, after: number): Promise<number | undefined> {
    const log = this.#keys.log(of.stream, priority);
    const [page] = await this.#servers.read(this.#keys.place, [
      { command: ["XRANGE", log, `${after + 1}-0`, "+", "COUNT", String(pageMax)] },
    ]);
    const entries = listOf(page).map(decodeEntry);
    const last = entries.at(-1);
    if (last === undefined) return undefined;
    const replaced = await this.#o.archive.put(of, priority, entries);
    const { stream } = of;
    if (replaced > 0) this.#o.telemetry.emit(messagesReplaced, { stream, priority, messages: replaced });
    const keys = [this.#keys.ends(stream), log];
    const args = [String(priority), String(last.off), last.messageId];
    const [said] = await this.#servers.change(this.#keys.place, [{ script: scripts.messageArchived, keys, args }]);
    if (textOf(said) !== "noted") return undefined;
    this.#o.telemetry.emit(messagesArchived, { stream, messages: entries.length });
    return last.off;
  }

  /** Looks from time to time at what is old: rows that nobody waits for go, and the log is told up to where. */
  async #lookBack(of: ArchivedStream, { lows, archived }: ArchiveState): Promise<void> {
    const { archive, clock, keepMsMax, keptMs } = this.#o;
    const atUs = clock.nowUs();
    const looked = this.#looked.get(of.stream);
    if (looked !== undefined && atUs - looked.atUs < lookBackEveryMs * 1000) return;
    const keptUs = atUs - keptMs * 1000;
    // A dead letter is evidence: it stays although its stream has let it go.
    await archive.forget(of, { lows, keptUs, beforeUs: of.stream === StreamName.deadLetter ? keptUs : Number.MAX_SAFE_INTEGER });
    const places = await archive.seek(of, archived, atUs - keepMsMax * 1000);
    const old = places.map((place, index) => place ?? archived[index]) as unknown as ByPriority<number>;
    this.#looked.set(of.stream, { atUs, old });
  }
}

/** Without all that is archived there still were too much. */
const everything: ArchiveWeight = { off: Number.MAX_SAFE_INTEGER, endBytes: 0 };

/** An entry of a message log as XRANGE gives it. */
function decodeEntry(reply: Reply): ArchiveEntry {
  const [, t, , id, , json, , bytes] = listOf(listOf(reply)[1]);
  const off = offsetOf(reply);
  if (off === undefined) throw unexpected();
  return { off, publishedUs: numberOf(t), messageId: textOf(id), json: textOf(json), endBytes: bytes === undefined ? 0 : numberOf(bytes) };
}
