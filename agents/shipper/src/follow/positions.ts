// Why: how far every file was read must be known exactly after kill -9, and the SDK keeps one short cursor with each call's lines, not a table of files.
// Enforces: the cursor names what moved since the last checkpoint; the checkpoint, a file beside the spool, holds all. A checkpoint is written when all that it
//   tells is on disk, so it never runs ahead; a cursor counts only beside the checkpoint that it was written for, so it never lags behind one. A position that is
//   too long for a cursor stands in the checkpoint as an intent, and the cursor says that it came true.
// Forbids: I/O. A file is in the checkpoint before its first record is handed over.

import { invariant } from "ransomeye-kernel";
import { ShipError } from "../errors.ts";
import { formatNames } from "../formats.ts";
import type { FramingPoint } from "../input/framing.ts";
import type { FileMark, Head } from "./file_mark.ts";

/** As the SDK bounds it. */
export const cursorBytesMax = 4096;

interface Known {
  readonly id: string;
  mark: FileMark;
}

interface Intent {
  readonly id: string;
  readonly point: FramingPoint;
}

type Told = readonly [byteOffset: number, line: number, record: number, prelude: string];

/** What the file beside the spool holds. */
interface Checkpoint {
  readonly version: 1;
  readonly generation: number;
  readonly nextId: number;
  /** Written at a clean end: whatever else is sent with the spool afterwards, it holds all. */
  readonly closed: boolean;
  readonly files: readonly { readonly id: string; readonly mark: FileMark }[];
  readonly intent: Intent | null;
}

/** Positions of one producer's files. */
export class Positions {
  readonly #files = new Map<string, Known>();
  /** Ids of files that moved since the checkpoint. */
  readonly #moved = new Set<string>();
  #generation: number;
  #nextId: number;
  /** A file was registered or dropped, or a mark moved, and no call may ever tell it. */
  #dirty = false;
  /** The checkpoint holds an intent, and every cursor since says that it came true. */
  #intended = false;

  private constructor(generation: number, nextId: number) {
    this.#generation = generation;
    this.#nextId = nextId;
  }

  /** What is true after a start. @throws ShipError SHIP_CHECKPOINT where the two do not belong together */
  static load(text: string | undefined, cursor: string | undefined): Positions {
    const checkpoint = text === undefined ? undefined : parseCheckpoint(text);
    const told = cursor === undefined ? undefined : parseCursor(cursor);
    const generation = checkpoint?.generation ?? 0;
    if (told !== undefined && told.generation > generation)
      throw new ShipError("SHIP_CHECKPOINT", `the spool belongs to checkpoint ${told.generation}, found is ${generation}`);
    const positions = new Positions(generation, checkpoint?.nextId ?? 1);
    for (const { id, mark } of checkpoint?.files ?? []) positions.#files.set(mark.path, { id, mark });
    if (cursor !== undefined && told === undefined && checkpoint?.closed === false)
      throw new ShipError("SHIP_CHECKPOINT", "another program has sent with this spool since the agent was killed");
    if (told === undefined || told.generation < generation) return positions;
    const byId = new Map([...positions.#files.values()].map((known) => [known.id, known]));
    const intent = checkpoint?.intent;
    positions.#intended = told.intent;
    if (told.intent && intent) positions.#apply(byId.get(intent.id), intent.point);
    for (const [id, [byteOffset, line, record, prelude]] of Object.entries(told.points))
      positions.#apply(byId.get(id), { byteOffset, line, record, prelude });
    // What came of a checkpoint and a cursor is one thing from now on.
    positions.#dirty = true;
    return positions;
  }

  /** The file that is being read for a path. */
  markOf(path: string): FileMark | undefined {
    return this.#files.get(path)?.mark;
  }

  get paths(): string[] {
    return [...this.#files.keys()];
  }

  /** Whether something is known that no cursor and no checkpoint tells. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** Another file is read for this path from now on. Write a checkpoint before anything of it is handed over. */
  register(mark: FileMark): void {
    const id = this.#nextId.toString(36);
    this.#nextId += 1;
    this.#files.set(mark.path, { id, mark });
    this.#dirty = true;
  }

  /** A path is read under another producer now, or is followed no more. */
  drop(path: string): void {
    const known = this.#files.get(path);
    if (known === undefined) return;
    this.#files.delete(path);
    this.#moved.delete(known.id);
    this.#dirty = true;
  }

  /** More of the file's beginning is known: it had fewer bytes when it was registered. */
  knownHead(path: string, head: Head): void {
    const known = this.#files.get(path);
    if (known !== undefined && known.mark.head.bytes < head.bytes) known.mark = { ...known.mark, head };
  }

  /** Reading got this far without anything to hand over. */
  moved(path: string, point: FramingPoint): void {
    const known = this.#files.get(path);
    if (known === undefined || known.mark.point.byteOffset === point.byteOffset) return;
    this.#apply(known, point);
    this.#dirty = true;
  }

  /** The cursor for a call with the lines of `path` up to `point`, which is noted; undefined where a checkpoint must be written first. */
  cursor(path: string, point: FramingPoint): string | undefined {
    const known = this.#files.get(path);
    invariant(known !== undefined, "a file is registered before its records are handed over");
    const before = known.mark;
    const had = this.#moved.has(known.id);
    this.#apply(known, point);
    const points: Record<string, Told> = {};
    for (const { id, mark } of this.#files.values()) {
      const { byteOffset, line, record, prelude } = mark.point;
      if (this.#moved.has(id)) points[id] = [byteOffset, line, record, prelude];
    }
    const text = JSON.stringify({ g: this.#generation, p: points, ...(this.#intended ? { i: true } : {}) });
    if (Buffer.byteLength(text) <= cursorBytesMax) return text;
    known.mark = before;
    if (!had) this.#moved.delete(known.id);
    return undefined;
  }

  /** The next checkpoint's text. Everything that was handed over must be on disk. `closed`: nothing will be handed over behind it. */
  checkpoint(closed = false): string {
    return this.#next(null, closed);
  }

  /** The same with a position that does not fit a cursor, and the cursor that makes it true. */
  intend(path: string, point: FramingPoint): { readonly checkpoint: string; readonly cursor: string } {
    const known = this.#files.get(path);
    invariant(known !== undefined, "a file is registered before its records are handed over");
    const checkpoint = this.#next({ id: known.id, point }, false);
    known.mark = { ...known.mark, point };
    return { checkpoint, cursor: JSON.stringify({ g: this.#generation, p: {}, i: true }) };
  }

  #apply(known: Known | undefined, point: FramingPoint): void {
    if (known === undefined) return;
    known.mark = { ...known.mark, point };
    this.#moved.add(known.id);
  }

  #next(intent: Intent | null, closed: boolean): string {
    this.#generation += 1;
    this.#moved.clear();
    this.#dirty = false;
    this.#intended = intent !== null;
    const files = [...this.#files.values()].map(({ id, mark }) => ({ id, mark }));
    const checkpoint: Checkpoint = { version: 1, generation: this.#generation, nextId: this.#nextId, closed, files, intent };
    return `${JSON.stringify(checkpoint, undefined, 1)}\n`;
  }
}

function parseCheckpoint(text: string): Checkpoint {
  try {
    const value = JSON.parse(text) as Checkpoint;
    const sound =
      value.version === 1 &&
      Number.isSafeInteger(value.generation) &&
      Number.isSafeInteger(value.nextId) &&
      value.files.every(({ mark }) => isMark(mark));
    if (!sound) throw new TypeError("not a checkpoint");
    return value;
  } catch (cause) {
    throw new ShipError("SHIP_CHECKPOINT", "the checkpoint cannot be read", { cause });
  }
}

function isMark(mark: FileMark): boolean {
  const { path, head, point, format } = mark;
  return (
    typeof path === "string" && typeof head.hash === "string" && Number.isSafeInteger(point.byteOffset) && formatNames.includes(format)
  );
}

/** A cursor of ours; undefined for one that somebody else wrote into this spool (`ship` does). */
function parseCursor(
  text: string,
): { readonly generation: number; readonly points: Readonly<Record<string, Told>>; readonly intent: boolean } | undefined {
  try {
    const { g, p, i } = JSON.parse(text) as { g: number; p: Record<string, Told>; i?: boolean };
    return Number.isSafeInteger(g) && typeof p === "object" ? { generation: g, points: p, intent: i === true } : undefined;
  } catch {
    return undefined;
  }
}
