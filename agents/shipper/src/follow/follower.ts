// Why: many paths are followed at once, by patterns that match more from time to time, by one reader that must not let a busy file starve the others.
// Enforces: paths take turns, a few pieces each; what is handed over is awaited, so that a slow network is felt by the reader and the files are the buffer;
//   positions are told for everything that was read, records or not.
// Forbids: timers and threads of its own: `step` is one round, `run` repeats it with the clock it is given.

import { sleep } from "ransomeye-kernel";
import { followBlocked, followInvalid, followLagBytes, followLagMs } from "../events.ts";
import type { Format } from "../formats.ts";
import type { FramingPoint } from "../input/framing.ts";
import type { Batch } from "../records.ts";
import type { FileMark, Head } from "./file_mark.ts";
import { FollowedPath, type FollowOptions } from "./followed_path.ts";
import { followedMax, matching } from "./patterns.ts";

/** What to follow. */
export interface FollowSource {
  /** A path, or a pattern with `*` and `?`. */
  readonly path: string;
  readonly format: Format | undefined;
}

/** Where records go, and where it is known how far they went. */
export interface Handover {
  /** The file that an earlier process was reading for a path. */
  markOf(path: string): FileMark | undefined;
  /** Hands records over with the position behind them. Resolves when there is room for more. */
  take(path: string, batch: Batch, about: { readonly fresh: FileMark | undefined; readonly head: Head | undefined }): Promise<void>;
  /** Reading got this far; nothing of it is to be handed over. */
  moved(path: string, point: FramingPoint): void;
  /** A path is followed no more: it is gone, and so are its positions. */
  forget(path: string): void;
  /** Nothing is to be read at the moment. */
  rest(): Promise<void>;
}

export interface FollowerOptions extends Omit<FollowOptions, "format"> {
  readonly sources: readonly FollowSource[];
  readonly handover: Handover;
  readonly pollMs: number;
  /** Patterns are looked at again after this. */
  readonly scanMs: number;
  /** Files that are followed at most, where it is not the bound of all agents. */
  readonly pathsMax?: number;
}

/** A path as an operator sees it. */
export interface FollowedState {
  readonly path: string;
  readonly open: boolean;
  readonly blocked: string | null;
  readonly lagBytes: number;
  readonly lagMs: number;
}

/** Pieces that one path may take in a row. */
const piecesInTurn = 4;

/** Follows all. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #paths = new Map<string, FollowedPath>();
  readonly #pathsMax: number;
  #scanAtMs = 0;
  #full = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#pathsMax = options.pathsMax ?? followedMax;
  }

  /** One round over all paths; false where nothing was read. */
  async step(): Promise<boolean> {
    await this.#scan();
    let more = false;
    for (const followed of this.#paths.values()) if (await this.#turn(followed)) more = true;
    if (!more) await this.#options.handover.rest();
    return more;
  }

  /** Rounds until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, pollMs } = this.#options;
    while (!signal.aborted) {
      if (!(await this.step())) await sleep(clock, pollMs, signal).catch(() => undefined);
    }
  }

  /** How every path stands; the metrics say the same. */
  async states(): Promise<FollowedState[]> {
    const states: FollowedState[] = [];
    for (const followed of this.#paths.values()) {
      const { bytes, ms } = await followed.lag();
      this.#options.telemetry.set(followLagBytes, bytes, { path: followed.path });
      this.#options.telemetry.set(followLagMs, ms, { path: followed.path });
      states.push({
        path: followed.path,
        open: followed.isOpen,
        blocked: followed.blocked ?? (followed.undetected ? "SHIP_FORMAT_UNKNOWN" : null),
        lagBytes: bytes,
        lagMs: ms,
      });
    }
    return states;
  }

  async close(): Promise<void> {
    for (const followed of this.#paths.values()) await followed.close();
  }

  async #scan(): Promise<void> {
    const { sources, clock, scanMs, handover } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs < this.#scanAtMs) return;
    this.#scanAtMs = nowMs + scanMs;
    const found = new Map<string, FollowSource>();
    for (const source of sources) for (const path of await matching(source.path)) if (!found.has(path)) found.set(path, source);
    for (const [path, { path: pattern, format }] of found) {
      if (this.#paths.has(path)) continue;
      if (this.#paths.size >= this.#pathsMax && !(await this.#forgetGone(found))) {
        this.#tellFull(pattern);
        return;
      }
      this.#paths.set(path, new FollowedPath(path, handover.markOf(path), { ...this.#options, format }));
    }
    this.#full = false;
  }

  /** Makes room by letting go of paths that no source names any more and that nothing is left of: logs with a date in their names come and go for years. */
  async #forgetGone(found: ReadonlyMap<string, unknown>): Promise<boolean> {
    for (const [path, followed] of this.#paths) {
      if (found.has(path) || !followed.gone) continue;
      this.#paths.delete(path);
      await followed.close();
      this.#options.handover.forget(path);
    }
    return this.#paths.size < this.#pathsMax;
  }

  #tellFull(pattern: string): void {
    if (this.#full) return;
    this.#full = true;
    const detail = `${this.#pathsMax} files are followed already`;
    this.#options.telemetry.emit(followBlocked, { input: pattern, code: "SHIP_FOLLOW_MANY", detail });
  }

  async #turn(followed: FollowedPath): Promise<boolean> {
    const { handover } = this.#options;
    for (let piece = 0; piece < piecesInTurn; piece += 1) {
      const { more, batch, fresh } = await followed.poll();
      if (batch !== undefined) {
        this.#tellInvalid(followed.path, batch);
        await handover.take(followed.path, batch, { fresh, head: followed.head });
      } else if (more && followed.point !== undefined) handover.moved(followed.path, followed.point);
      if (!more) return batch !== undefined;
    }
    return true;
  }

  #tellInvalid(path: string, batch: Batch): void {
    const invalid = batch.items.filter((item) => item.kind === "invalid");
    const [first] = invalid;
    if (first === undefined) return;
    const { code, message, place } = first;
    this.#options.telemetry.emit(followInvalid, {
      input: path,
      code,
      records: invalid.length,
      byte_offset: place.byteOffset,
      detail: message,
    });
  }
}
