/**
 * The archive of message streams: where a message is when the stream's servers no longer hold it.
 *
 * Why it exists. Servers hold streams in memory. A group that is away must neither stall publishers nor lose what it has not read, so what waits for it goes where
 * there is room; and a dead letter is evidence that outlives its stream's bounds.
 * Enforces: a log is named by an id of its own: servers that begin anew count their offsets from one again.
 * Forbids: verdicts. Who gets a message next, and what may go, the log alone decides.
 */
import type { ByPriority } from "./delivery_machine.ts";
import type { MessagePriority, StreamName } from "./message.ts";
import type { StoredMessage } from "./port.ts";

/** A stream of one log. */
export interface ArchivedStream {
  /** A UUID. */
  readonly log: string;
  readonly stream: StreamName;
}

export interface ArchivePlace {
  readonly priority: MessagePriority;
  readonly off: number;
}

/** An entry as the log's servers hold it. */
export interface ArchiveEntry {
  readonly off: number;
  /** Microseconds since 1970. */
  readonly publishedUs: number;
  readonly messageId: string;
  readonly json: string;
  /** Bytes of JSON that its priority has carried up to this entry, itself included, since the log began. */
  readonly endBytes: number;
}

/** What is forgotten: of this log what lies at or below `lows`, was published before `beforeUs`; of other logs what was published before `keptUs`. */
export interface Forgettable {
  readonly lows: ByPriority<number>;
  readonly beforeUs: number;
  readonly keptUs: number;
}

/** An entry, and the bytes that its priority has carried up to it. */
export type ArchiveWeight = Pick<ArchiveEntry, "off" | "endBytes">;

export interface MessageArchive {
  /** Keeps entries of one priority, durably. Gives how many of their offsets held another message: the servers had lost it and given its offset away. */
  put(of: ArchivedStream, priority: MessagePriority, entries: readonly ArchiveEntry[]): Promise<number>;
  /** JSON of messages at these places, by `placeKey`; what is not there is left out. */
  find(of: ArchivedStream, places: readonly ArchivePlace[]): Promise<ReadonlyMap<string, string>>;
  /** Entries of one priority after an offset, up to another. */
  read(of: ArchivedStream, priority: MessagePriority, afterOff: number, upToOff: number, max: number): Promise<StoredMessage[]>;
  /** For each priority the offset before the first message published at or after a time, of those up to `offs`; null where there is none. */
  seek(of: ArchivedStream, offs: ByPriority<number>, publishedUs: number): Promise<ByPriority<number | null>>;
  /** For each priority the bytes that the log had carried up to an offset, itself included; null where nothing after it is archived. */
  bytes(of: ArchivedStream, offs: ByPriority<number>): Promise<ByPriority<number | null>>;
  /** Of one priority the first entry after an offset, up to another, with which the log has carried as many bytes; null where there is none. */
  weigh(of: ArchivedStream, priority: MessagePriority, afterOff: number, upToOff: number, bytes: number): Promise<ArchiveWeight | null>;
  /** Removes rows; gives how many. */
  forget(of: ArchivedStream, what: Forgettable): Promise<number>;
}

export function placeKey({ priority, off }: ArchivePlace): string {
  return `${priority}:${off}`;
}
