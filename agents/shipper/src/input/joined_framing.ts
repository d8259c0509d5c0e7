// Why: some formats spread one record over several lines that other records' lines come between.
// Enforces: lines of one key become one record, whatever comes between them; records come out in the order of their first lines, so that the
//   safe point is where the oldest pending one begins; pending ones are bounded by number, bytes and age.
// Forbids: clocks: age is the time that the lines themselves tell, or the time that is told through `flushPending`.

import { oversizeKeptBytes } from "./bounded_bytes.ts";
import type { FramingOptions, FramingPoint, Piece } from "./framing.ts";
import { LineBased } from "./line_based.ts";
import { isBlank, type RawLine } from "./line_cutter.ts";

/** What a line says of the record it belongs to. */
export interface LineKey {
  /** Lines of one record have the same key. */
  readonly key: string;
  /** When the record happened, by its own clock. */
  readonly timeUs: number;
  /** The record is complete with this line. */
  readonly ends: boolean;
}

/** Records that may wait, complete ones behind an incomplete one included. Lines of one record lie close together even on busy hosts. */
const pendingMax = 1024;
/** Bytes that may wait. What waits may be handed out at once, and has to fit into a spool. */
const pendingBytesMax: number = 2 * 1024 * 1024;
/**
 * Once lines are this much newer than when a record last grew, and so many have come, it will not grow any more. auparse waits as long; the lines are
 * for records that a forwarder has put behind those of a later event on a quiet host.
 */
const pendingAgeUs = 2_000_000;
const pendingLines = 32;

/** What a reading must know that goes on in the middle. */
interface Prelude {
  readonly newestUs: number | null;
  /** Records handed out that have lines from here on, with the offset of their last line: these lines are not read again. */
  readonly handedOut: readonly (readonly [key: string, lastOffset: number])[];
}

const nothingKnown: Prelude = { newestUs: null, handedOut: [] };

/** A record whose lines are being collected. */
interface Join {
  readonly key: string | undefined;
  readonly line: number;
  readonly byteOffset: number;
  readonly kept: Buffer[];
  keptBytes: number;
  readonly pieces: Piece[];
  length: number;
  oversize: boolean;
  complete: boolean;
  /** Newest time of any line before this record began, and when it last grew. */
  readonly begunUs: number | null;
  grownUs: number | null;
  /** The same by the clock that `flushPending` tells; undefined until it tells. */
  grownMs: number | undefined;
  lastOffset: number;
  lastLine: number;
}

/** Joins lines by key. A line without key is a record by itself. */
export class JoinedFraming extends LineBased {
  readonly #options: FramingOptions;
  readonly #keyOf: (line: RawLine) => LineKey | undefined;
  /** In the order of their first lines. */
  readonly #queue: Join[] = [];
  /** Those that may still grow. */
  readonly #growing = new Map<string, Join>();
  #queueBytes = 0;
  #records: number;
  /** Newest time of any line. */
  #newestUs: number | null;
  readonly #handedOut: Map<string, number>;

  constructor(options: FramingOptions, keyOf: (line: RawLine) => LineKey | undefined) {
    super(options);
    this.#options = options;
    this.#keyOf = keyOf;
    this.#records = options.start.record;
    const { newestUs, handedOut } = options.start.prelude === "" ? nothingKnown : (JSON.parse(options.start.prelude) as Prelude);
    this.#newestUs = newestUs;
    this.#handedOut = new Map(handedOut);
  }

  get resumePoint(): FramingPoint {
    const oldest = this.#queue[0];
    const { byteOffset, line } = oldest ?? { byteOffset: this.cutter.lineOffset, line: this.line };
    const newestUs = oldest === undefined ? this.#newestUs : oldest.begunUs;
    const prelude: Prelude = { newestUs, handedOut: [...this.#handedOut].filter(([, lastOffset]) => lastOffset >= byteOffset) };
    return { byteOffset, line, record: this.#records, prelude: JSON.stringify(prelude) };
  }

  override end(): void {
    super.end();
    while (this.#queue.length > 0) this.#handOut();
  }

  override flushPending(nowMs: number): void {
    // A record that grew since the last call grew at most now: it is handed out late rather than early.
    for (const join of this.#queue) join.grownMs ??= nowMs;
    while (
      this.#queue[0] !== undefined &&
      (this.#isDue(this.#queue[0]) || nowMs - (this.#queue[0].grownMs ?? nowMs) >= pendingAgeUs / 1000)
    )
      this.#handOut();
  }

  protected override takeLine(line: RawLine): void {
    if (!isBlank(line)) this.#place(line);
    while (this.#queue[0] !== undefined && this.#isDue(this.#queue[0])) this.#handOut();
  }

  #place(line: RawLine): void {
    const found = this.#keyOf(line);
    const begunUs = this.#newestUs;
    if (found !== undefined && (begunUs === null || found.timeUs > begunUs)) this.#newestUs = found.timeUs;
    const lastOffset = found === undefined ? undefined : this.#handedOut.get(found.key);
    if (lastOffset !== undefined && line.byteOffset <= lastOffset) return;
    let join = found === undefined ? undefined : this.#growing.get(found.key);
    // Whether a record is over must not depend on what else waits, or a reading that goes on here would see other records.
    if (join === undefined || aged(join, begunUs, line.line - 1)) {
      join = opened(found?.key, line, begunUs);
      this.#queue.push(join);
      if (found !== undefined) this.#growing.set(found.key, join);
    }
    this.#grow(join, line);
    if (found === undefined || found.ends) {
      join.complete = true;
      if (found !== undefined) this.#growing.delete(found.key);
    }
  }

  #grow(join: Join, line: RawLine): void {
    join.length += line.length + (join.pieces.length > 0 || join.oversize ? 1 : 0);
    join.lastOffset = line.byteOffset;
    join.lastLine = line.line;
    join.grownUs = this.#newestUs;
    join.grownMs = undefined;
    const before = join.keptBytes;
    if (line.oversize || join.length > this.#options.recordBytesMax) this.#shorten(join);
    if (!join.oversize) join.pieces.push({ line: line.line, byteOffset: line.byteOffset, length: line.length });
    const room = join.oversize ? oversizeKeptBytes - join.keptBytes : line.bytes.length;
    if (room > 0) {
      const kept = ownCopy(line.bytes.subarray(0, room));
      join.kept.push(kept);
      join.keptBytes += kept.length;
    }
    this.#queueBytes += join.keptBytes - before;
  }

  /** Too long to be taken: the first bytes are kept to show what it was. */
  #shorten(join: Join): void {
    if (join.oversize) return;
    join.oversize = true;
    const first = Buffer.concat(join.kept).subarray(0, oversizeKeptBytes);
    join.kept.splice(0, join.kept.length, Buffer.from(first));
    join.keptBytes = first.length;
    join.pieces.length = 0;
  }

  #isDue(join: Join): boolean {
    return (
      join.complete || aged(join, this.#newestUs, this.line - 1) || this.#queue.length > pendingMax || this.#queueBytes > pendingBytesMax
    );
  }

  #handOut(): void {
    const join = this.#queue.shift() as Join;
    this.#queueBytes -= join.keptBytes;
    if (join.key !== undefined && this.#growing.get(join.key) === join) this.#growing.delete(join.key);
    this.#remember(join);
    this.#options.take({
      bytes: join.oversize ? Buffer.concat(join.kept) : joinLines(join.kept),
      length: join.length,
      oversize: join.oversize,
      record: ++this.#records,
      line: join.line,
      byteOffset: join.byteOffset,
      pieces: join.pieces.length > 1 ? join.pieces : undefined,
    });
  }

  /** Keeps the note of a record only as long as reading might go on before its last line. */
  #remember(join: Join): void {
    const next = this.#queue[0]?.byteOffset;
    if (join.key !== undefined && next !== undefined && join.lastOffset > next) this.#handedOut.set(join.key, join.lastOffset);
    if (this.#handedOut.size === 0) return;
    const safe = next ?? this.cutter.lineOffset;
    for (const [key, lastOffset] of this.#handedOut) if (lastOffset < safe) this.#handedOut.delete(key);
  }
}

/** True once other lines, up to `line`, are so much newer and so many that a record is over. */
function aged(join: Join, newestUs: number | null, line: number): boolean {
  return line - join.lastLine >= pendingLines && (newestUs ?? 0) - (join.grownUs ?? 0) >= pendingAgeUs;
}

function opened(key: string | undefined, line: RawLine, begunUs: number | null): Join {
  return {
    key,
    line: line.line,
    byteOffset: line.byteOffset,
    kept: [],
    keptBytes: 0,
    pieces: [],
    length: 0,
    oversize: false,
    complete: false,
    begunUs,
    grownUs: begunUs,
    grownMs: undefined,
    lastOffset: line.byteOffset,
    lastLine: line.line,
  };
}

/** A copy in memory of its own: a chunk, or a slab of the shared pool, would stay as a whole for as long as the record waits. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

const lineFeed = Buffer.from("\n");

function joinLines(lines: readonly Buffer[]): Buffer {
  return lines.length === 1 ? (lines[0] as Buffer) : Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [lineFeed, line])));
}
