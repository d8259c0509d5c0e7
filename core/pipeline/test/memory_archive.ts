/**
 * Why it exists: the archive of message streams in memory, so that what servers do with one is tested without a database.
 * Enforces: core/pipeline/src/messages/archive.ts, as archive_contract.ts says.
 */
import {
  type ArchivedStream,
  type ArchiveEntry,
  type ArchivePlace,
  type ArchiveWeight,
  type Forgettable,
  type MessageArchive,
  placeKey,
} from "../src/messages/archive.ts";
import type { ByPriority } from "../src/messages/delivery_machine.ts";
import type { Message, MessagePriority, StreamName } from "../src/messages/message.ts";
import type { StoredMessage } from "../src/messages/port.ts";

interface Row extends ArchiveEntry {
  readonly log: string;
  readonly stream: StreamName;
  readonly priority: MessagePriority;
}

export class MemoryArchive implements MessageArchive {
  rows: Row[] = [];
  /** What it fails with, while it is away. */
  away: Error | undefined;
  finds = 0;

  async put({ log, stream }: ArchivedStream, priority: MessagePriority, entries: readonly ArchiveEntry[]): Promise<number> {
    this.#answer();
    let replaced = 0;
    for (const entry of entries) {
      const known = this.#of({ log, stream }).find((row) => row.priority === priority && row.off === entry.off);
      if (known?.messageId === entry.messageId) continue;
      if (known !== undefined) replaced += 1;
      this.rows = [...this.rows.filter((row) => row !== known), { ...entry, log, stream, priority }];
    }
    return replaced;
  }

  async find(of: ArchivedStream, places: readonly ArchivePlace[]): Promise<ReadonlyMap<string, string>> {
    this.#answer();
    this.finds += 1;
    const wanted = new Set(places.map(placeKey));
    return new Map(
      this.#of(of)
        .filter((row) => wanted.has(placeKey(row)))
        .map((row) => [placeKey(row), row.json]),
    );
  }

  async read(of: ArchivedStream, priority: MessagePriority, afterOff: number, upToOff: number, max: number): Promise<StoredMessage[]> {
    this.#answer();
    return this.#sorted(of, priority)
      .filter(({ off }) => off > afterOff && off <= upToOff)
      .slice(0, max)
      .map(({ off, publishedUs, json }) => ({ off, publishedUs, message: JSON.parse(json) as Message }));
  }

  async seek(of: ArchivedStream, offs: ByPriority<number>, publishedUs: number): Promise<ByPriority<number | null>> {
    this.#answer();
    const found = ([1, 2, 3, 4] as const).map((priority) => {
      const first = this.#sorted(of, priority).find((row) => row.off <= (offs[priority - 1] as number) && row.publishedUs >= publishedUs);
      return first === undefined ? null : first.off - 1;
    });
    return found as unknown as ByPriority<number | null>;
  }

  async bytes(of: ArchivedStream, offs: ByPriority<number>): Promise<ByPriority<number | null>> {
    this.#answer();
    const found = ([1, 2, 3, 4] as const).map((priority) => {
      const next = this.#sorted(of, priority).find((row) => row.off > (offs[priority - 1] as number));
      return next === undefined ? null : Math.max(0, next.endBytes - Buffer.byteLength(next.json));
    });
    return found as unknown as ByPriority<number | null>;
  }

  async weigh(
    of: ArchivedStream,
    priority: MessagePriority,
    afterOff: number,
    upToOff: number,
    bytes: number,
  ): Promise<ArchiveWeight | null> {
    this.#answer();
    const rows = this.#sorted(of, priority).filter(({ off }) => off > afterOff && off <= upToOff);
    const found = rows.find(({ endBytes }) => endBytes >= bytes);
    return found === undefined ? null : { off: found.off, endBytes: found.endBytes };
  }

  async forget({ log, stream }: ArchivedStream, { lows, beforeUs, keptUs }: Forgettable): Promise<number> {
    this.#answer();
    const before = this.rows.length;
    this.rows = this.rows.filter((row) => {
      if (row.stream !== stream) return true;
      return row.log === log ? row.off > (lows[row.priority - 1] as number) || row.publishedUs >= beforeUs : row.publishedUs >= keptUs;
    });
    return before - this.rows.length;
  }

  #of({ log, stream }: ArchivedStream): Row[] {
    return this.rows.filter((row) => row.log === log && row.stream === stream);
  }

  #sorted(of: ArchivedStream, priority: MessagePriority): Row[] {
    return this.#of(of)
      .filter((row) => row.priority === priority)
      .toSorted((a, b) => a.off - b.off);
  }

  #answer(): void {
    if (this.away !== undefined) throw this.away;
  }
}
