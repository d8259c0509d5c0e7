/**
 * Why it exists: the ledger, `status` and retention read one database; what the log's servers know beyond it is read here, for the keeper to write there.
 * Enforces: only producers are told whose log is ahead of what the sink has stored, or all on demand: the engine itself notes what it stores.
 * Forbids: changing anything but what has been written elsewhere.
 */
import type { GateReport, Position } from "../bus.ts";
import type { NotedHead } from "../noted_head.ts";
import { assertSame } from "./append_call.ts";
import { type BusPlace, parts } from "./bus_place.ts";
import { decodeHead, decodeNotedHead } from "./heads.ts";
import { comparePosition } from "./history.ts";
import type { Call } from "./link.ts";
import { bytesOf, listOf, numberOf, textOf } from "./replies.ts";

const pageProducers = 512;

export class LogMirror {
  readonly #place: BusPlace;

  constructor(place: BusPlace) {
    this.#place = place;
  }

  /** The last entry of each partition; offset 0 where there is none. */
  async ends(): Promise<Position[]> {
    const { servers, keys, partitions, generation } = this.#place;
    return Promise.all(
      parts(partitions).map(async (part) => {
        const state = keys.partitionState(part);
        const place: Call = { command: ["HMGET", state, "generation", "off", "received_us", "hash"] };
        const [reply] = await servers.readConfirmed(state, [place]);
        const [said, off, receivedUs, hash] = listOf(reply);
        assertSame(said, generation);
        return { generation, part, off: numberOf(off), receivedUs: numberOf(receivedUs), hash: bytesOf(hash) };
      }),
    );
  }

  /** Whether the log still holds what was mirrored of it; entries that have been trimmed are counted as held. */
  async holds(position: Position): Promise<boolean> {
    return (await comparePosition(this.#place, position)) !== "diverged";
  }

  /** Heads of a partition's producers, in pages; only of those that are ahead of the sink, unless `all`. */
  async *heads(part: number, all = false): AsyncGenerator<NotedHead[]> {
    const { servers, keys } = this.#place;
    const state = keys.partitionState(part);
    const [ids] = await servers.read(state, [{ command: ["SMEMBERS", keys.producers(part)] }]);
    const producers = listOf(ids).map(textOf);
    for (let at = 0; at < producers.length; at += pageProducers) {
      const page = producers.slice(at, at + pageProducers);
      const calls = page.map((producer): Call => ({ command: ["HMGET", keys.producer(part, producer), "head", "stored", "key_id"] }));
      const replies = await servers.readConfirmed(state, calls);
      const heads: NotedHead[] = [];
      for (const [index, producer] of page.entries()) {
        const [head, stored, keyId] = listOf(replies[index]);
        if (head === null || head === undefined) continue;
        const { epoch, seq, storedEpoch, storedSeq } = decodeHead(head, stored);
        if (all || epoch !== storedEpoch || seq !== storedSeq) heads.push(decodeNotedHead(producer, bytesOf(head), keyId));
      }
      if (heads.length > 0) yield heads;
    }
  }

  /** What gates have told of themselves last. */
  async reports(): Promise<GateReport[]> {
    const { servers, keys } = this.#place;
    const [reply] = await servers.read(keys.gates, [{ command: ["HVALS", keys.gates] }]);
    return listOf(reply).map((report) => JSON.parse(textOf(report)) as GateReport);
  }

  /** Forgets reports of gates that have ended, once they are written elsewhere. */
  async forgetReports(incarnations: readonly string[]): Promise<void> {
    const { servers, keys } = this.#place;
    if (incarnations.length > 0) await servers.change(keys.gates, [{ command: ["HDEL", keys.gates, ...incarnations] }]);
  }
}
