// Why: behind one path stands one file after another: it grows, is renamed, copied and cut, removed, made anew; its records shall come once and in order.
// Enforces: a file is read to its end before its successor; what a rotation moved away while nobody looked is found beside it; a file that was cut is finished
//   from its copy where there is one, and where there is none that is said aloud; what cannot be opened is tried again.
// Forbids: skipping in silence; handing over from here: whoever polls does, and says how far that is safe.

import { stat } from "node:fs/promises";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { ShipError } from "../errors.ts";
import { followBlocked, followFile, followLost } from "../events.ts";
import type { Format } from "../formats.ts";
import { inputStart } from "../input/framing.ts";
import type { ReadOptions } from "../record_reader.ts";
import type { Batch, ResumePoint } from "../records.ts";
import { beginsWith, type FileMark, type Head, headOf, sameInode } from "./file_mark.ts";
import { FileReading } from "./file_reading.ts";
import { findMarked, hasCopy, type OpenedFile, type OpenedRotated, openFile } from "./find_file.ts";

export interface FollowOptions {
  readonly format: Format | undefined;
  /** For how long a file that was moved away must be quiet before its successor is read: its writer may still hold it open. */
  readonly rotateWaitMs: number;
  readonly read: Omit<ReadOptions, "name" | "resume" | "format" | "skipRecords">;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** What a poll has found. */
export interface Polled {
  /** Something was read: poll again. */
  readonly more: boolean;
  readonly batch?: Batch;
  /** The batch is the first of this file: it must be known durably before its records are handed over. */
  readonly fresh?: FileMark;
}

/** A file that is read when the ones before it are. */
interface Planned extends OpenedRotated {
  /** From its beginning where undefined. */
  readonly from: ResumePoint | undefined;
  readonly live: boolean;
  readonly why: string;
}

/** A file that was left, and what is known of it. */
type Left = Pick<FileMark, "path" | "dev" | "ino" | "head" | "sinceUs">;

const idle: Polled = Object.freeze({ more: false });
const progress: Polled = Object.freeze({ more: true });
/** Rotations that may come between one look at the names and the next before we believe what we see. */
const planAttempts = 5;
/** A path that cannot be read is tried again after this. */
const blockedMs = 5000;

/** One followed path. One owner polls it. */
export class FollowedPath {
  readonly path: string;
  readonly #options: FollowOptions;
  /** The last file that was read for this path, until it is settled what came after it. */
  #left: FileMark | undefined;
  /** The last file that held anything and was read. */
  #before: Left | undefined;
  #reading: FileReading | undefined;
  /** The file under the path itself, which may grow; otherwise one that was moved away. */
  #live = false;
  #absent = false;
  #registered = false;
  #changedUs = 0;
  #queue: Planned[] = [];
  /** There are more files than the queue holds. */
  #morePlanned = false;
  #quietSinceMs: number | undefined;
  #blocked: string | undefined;
  #blockedUntilMs = 0;
  /** The file that was begun while the path was blocked. */
  #tellWhenRead: { readonly input: string; readonly file: string; readonly byte_offset: number; readonly why: string } | undefined;
  #caughtUpMs: number;

  /** `mark`: the file that an earlier process was reading. */
  constructor(path: string, mark: FileMark | undefined, options: FollowOptions) {
    this.path = path;
    this.#left = mark;
    this.#before = mark;
    this.#options = options;
    this.#caughtUpMs = options.clock.monotonicMs();
  }

  /** Whether a file is open. */
  get isOpen(): boolean {
    return this.#reading !== undefined;
  }

  get blocked(): string | undefined {
    return this.#blocked;
  }

  /** Nothing is there, and nothing is left to be read. */
  get gone(): boolean {
    return this.#absent && this.#reading === undefined && this.#queue.length === 0 && this.#left === undefined;
  }

  /** Something was read, and has not shown what it is: its records wait. */
  get undetected(): boolean {
    return this.#reading !== undefined && this.#reading.offset > 0 && this.#reading.point === undefined;
  }

  /** How the open file begins, as far as it is known. */
  get head(): Head | undefined {
    return this.#reading?.head;
  }

  /** Where the open file stands, for a checkpoint; undefined before anything of it was handed over. */
  get point(): ResumePoint | undefined {
    return this.#registered ? this.#reading?.point : undefined;
  }

  /** Reads one piece, or finds out why there is none. */
  async poll(): Promise<Polled> {
    try {
      if (this.#reading === undefined && !(await this.#openNext())) return idle;
      const reading = this.#reading;
      if (reading === undefined) return progress;
      if (this.#live && reading.head.bytes === 0 && (await this.#beganUnseen(reading))) return progress;
      if (this.#live && !(await this.#isWhole(reading))) return await this.#cut(reading);
      // A file that was empty when its beginning was looked for is read at the next poll, when that is known: or it would be taken for one begun unseen, and read again.
      const begun = !this.#live || reading.head.bytes > 0;
      if (begun && (await reading.advance())) {
        this.#quietSinceMs = undefined;
        return this.#found(reading, true);
      }
      reading.flushPending(this.#options.clock.monotonicMs());
      return await this.#atEnd(reading);
    } catch (error) {
      if (error instanceof ShipError) return await this.#failed(error);
      // A disk or a file server that fails is this path's trouble, and tried again; anything else is a defect.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined || !(error instanceof Error) || !("syscall" in error)) throw error;
      return await this.#failed(new ShipError("SHIP_INPUT_UNREADABLE", `${this.path}: ${message}`, { cause: error }));
    }
  }

  /** Unread bytes, and for how long there have been some. */
  async lag(): Promise<{ readonly bytes: number; readonly ms: number }> {
    const reading = this.#reading;
    // How much a packed file still holds nobody knows.
    let bytes = reading === undefined || reading.packed ? 0 : Math.max(0, (await reading.facts()).size - reading.offset);
    for (const { handle } of this.#queue) bytes += (await handle.stat()).size;
    if (reading === undefined && this.#queue.length === 0) bytes += (await stat(this.path).catch(() => undefined))?.size ?? 0;
    const nowMs = this.#options.clock.monotonicMs();
    if (bytes === 0) this.#caughtUpMs = nowMs;
    return { bytes, ms: nowMs - this.#caughtUpMs };
  }

  async close(): Promise<void> {
    await this.#reading?.close();
    this.#reading = undefined;
    for (const { handle } of this.#queue.splice(0)) await handle.close();
  }

  /** The next file in order: one that was moved away, or the one under the path. */
  async #openNext(): Promise<boolean> {
    if (this.#options.clock.monotonicMs() < this.#blockedUntilMs) return false;
    const planned = this.#queue.shift();
    if (planned !== undefined) {
      this.#begin(planned);
      return true;
    }
    const file = await this.#openLive();
    // What cannot be opened may still be the file that was left.
    if (this.#options.clock.monotonicMs() < this.#blockedUntilMs) return false;
    const left = this.#left;
    if (left === undefined) {
      if (file !== undefined) this.#begin({ ...file, from: undefined, live: true, why: "new" });
      return file !== undefined;
    }
    this.#left = undefined;
    // Cut while nobody looked, and begun alike: what was cut away may stand in a copy.
    if (file !== undefined && isSame(file, left) && file.size >= left.point.byteOffset) {
      this.#begin({ ...file, from: resumeOf(left), live: true, why: "resumed" });
      return true;
    }
    await file?.handle.close();
    await this.#plan(left, { offset: left.point.byteOffset, from: resumeOf(left) });
    return this.#queue.length > 0;
  }

  /** The file under the path, if it can be read. */
  async #openLive(): Promise<OpenedRotated | undefined> {
    const file = await openFile(this.path);
    this.#absent = "kind" in file && file.kind === "gone";
    if ("kind" in file) {
      if (file.kind === "blocked") this.#block("SHIP_NOT_A_FILE", file.detail);
      else this.#blocked = undefined;
      return undefined;
    }
    if (!file.packed) return { ...file, path: this.path };
    await file.handle.close();
    this.#block("SHIP_FORMAT_UNSUPPORTED", "a packed file does not grow; use `ransomeye ship`");
    return undefined;
  }

  /** Puts in line what is read after `left`: its rest, if that is wanted (`from`), all that came and went since, and the file under the path, open all of them. */
  async #plan(left: Left, wanted: { readonly offset: number; readonly from: ResumePoint | undefined } | undefined): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const live = await this.#openLive();
      const { marked, newer, more } = await findMarked(left, wanted?.offset ?? 0);
      // A rotation in between would have changed what the names mean.
      if (attempt < planAttempts && !sameFile(live, await this.#openLive().then(closed))) {
        for (const file of [live, marked, ...newer]) await file?.handle.close();
        continue;
      }
      if (wanted === undefined) await marked?.handle.close();
      else if (marked !== undefined) this.#queue.push({ ...marked, from: wanted.from, live: false, why: "moved" });
      else this.#lost(wanted.offset, "the file was moved, cut or removed, and neither it nor a copy is beside its path");
      for (const file of newer) this.#queue.push({ ...file, from: undefined, live: false, why: "rotated" });
      this.#morePlanned = more;
      if (more) await live?.handle.close();
      else if (live !== undefined) this.#queue.push({ ...live, from: undefined, live: true, why: "new" });
      return;
    }
  }

  #begin({ from, live, why, ...file }: Planned): void {
    const { format, read, telemetry } = this.#options;
    const head = headOf(file.begins);
    this.#reading = new FileReading({ ...file, file: file.path, head, resume: from, read: { ...read, name: this.path, format } });
    this.#live = live;
    this.#registered = from !== undefined;
    this.#changedUs = file.changedUs;
    this.#quietSinceMs = undefined;
    // What is tried again is told when it succeeds: every few seconds the same two lines would fill a disk.
    const told = { input: this.path, file: file.path, byte_offset: from?.byteOffset ?? 0, why };
    if (this.#blocked === undefined) telemetry.emit(followFile, told);
    else this.#tellWhenRead = told;
  }

  /** A file that was empty has been written to; and perhaps copied, cut and written to again since, so that a whole file came between it and the one before. */
  async #beganUnseen(reading: FileReading): Promise<boolean> {
    const before = this.#before;
    if (before === undefined || (await reading.facts()).changedUs === this.#changedUs) return false;
    await this.#leave();
    await this.#plan(before, undefined);
    return true;
  }

  /** Whether the open file still is what was read of it. */
  async #isWhole(reading: FileReading): Promise<boolean> {
    const { size } = await reading.facts();
    if (size < Math.max(reading.offset, reading.head.bytes)) return false;
    if (size === reading.offset && reading.head.bytes > 0) return true;
    const begins = await reading.firstBytes();
    if (!beginsWith(begins, reading.head)) return false;
    reading.head = headOf(begins);
    return true;
  }

  /** The file was cut, or written anew in its place: its rest comes from a copy, then it begins again. */
  async #cut(reading: FileReading): Promise<Polled> {
    const from = this.point;
    const left = this.#asLeft(reading);
    let last = progress;
    const copied = reading.head.bytes > 0 && (await hasCopy(left, reading.offset));
    if (!copied) {
      // The beginning of a record whose end was cut away is all that is left of it.
      reading.end();
      last = this.#found(reading, true);
    }
    await this.#leave();
    await this.#plan(left, reading.head.bytes === 0 ? undefined : { offset: from?.byteOffset ?? 0, from });
    return last;
  }

  async #atEnd(reading: FileReading): Promise<Polled> {
    this.#unblocked();
    const found = this.#found(reading, false);
    if (found.batch !== undefined) return { ...found, more: true };
    if (!this.#live) return await this.#finish(reading);
    // The file behind the name, as it was opened: a link has an inode of its own, and is no rotation.
    const now = await stat(this.path, { bigint: true }).catch(() => undefined);
    const same = now !== undefined && sameInode({ dev: String(now.dev), ino: String(now.ino) }, reading.inode);
    if (same) {
      this.#quietSinceMs = undefined;
      return idle;
    }
    const nowMs = this.#options.clock.monotonicMs();
    this.#quietSinceMs ??= nowMs;
    if (nowMs - this.#quietSinceMs < this.#options.rotateWaitMs) return idle;
    return await this.#finish(reading);
  }

  /** The file will not grow any more. */
  async #finish(reading: FileReading): Promise<Polled> {
    reading.end();
    const last = this.#found(reading, true);
    const wasLive = this.#live;
    const left = this.#asLeft(reading);
    await this.#leave();
    if (this.#queue.length === 0 && (wasLive || this.#morePlanned)) await this.#plan(left, undefined);
    return last;
  }

  #asLeft(reading: FileReading): Left {
    return { path: this.path, ...reading.inode, head: reading.head, sinceUs: this.#changedUs };
  }

  async #leave(): Promise<void> {
    if (this.#reading !== undefined && this.#reading.head.bytes > 0) this.#before = this.#asLeft(this.#reading);
    await this.#reading?.close();
    this.#reading = undefined;
    this.#quietSinceMs = undefined;
  }

  #found(reading: FileReading, more: boolean): Polled {
    const batch = reading.take();
    if (batch === undefined) return more ? progress : idle;
    this.#unblocked();
    if (this.#registered) return { more, batch };
    this.#registered = true;
    const { format } = batch;
    const fresh = { ...this.#asLeft(reading), format, point: inputStart };
    return { more, batch, fresh };
  }

  /** The input cannot be read (on): what came before is handed over, the rest waits for somebody, or is lost with a file that was moved away. */
  async #failed(error: ShipError): Promise<Polled> {
    const reading = this.#reading;
    const last = reading === undefined ? idle : this.#found(reading, true);
    const live = this.#live;
    if (live) this.#block(error.code, error.message);
    else this.#lost(reading?.offset ?? 0, error.message, error.code);
    const point = this.point;
    const mark = reading === undefined || point === undefined ? undefined : { ...this.#asLeft(reading), format: point.format, point };
    await this.#leave();
    if (live) this.#left = mark;
    return last;
  }

  #block(code: string, detail: string): void {
    const { clock, telemetry } = this.#options;
    this.#blockedUntilMs = clock.monotonicMs() + blockedMs;
    if (this.#blocked === code) return;
    this.#blocked = code;
    telemetry.emit(followBlocked, { input: this.path, code, detail });
  }

  #unblocked(): void {
    this.#blocked = undefined;
    if (this.#tellWhenRead !== undefined) this.#options.telemetry.emit(followFile, this.#tellWhenRead);
    this.#tellWhenRead = undefined;
  }

  #lost(byteOffset: number, detail: string, code = "SHIP_FOLLOW_LOST"): void {
    this.#options.telemetry.emit(followLost, { input: this.path, code, byte_offset: byteOffset, detail });
  }
}

function isSame(file: OpenedFile, mark: FileMark): boolean {
  return sameInode(file.inode, mark) && beginsWith(file.begins, mark.head);
}

function resumeOf({ format, point }: FileMark): ResumePoint {
  return { format, ...point };
}

function sameFile(a: OpenedFile | undefined, b: OpenedFile | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameInode(a.inode, b.inode) && b.size >= a.size;
}

async function closed<F extends OpenedFile | undefined>(file: F): Promise<F> {
  await file?.handle.close();
  return file;
}
