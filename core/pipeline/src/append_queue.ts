/**
 * Why it exists: natural group commit. While one append of a partition waits for its flush, later ones gather and leave together, so the
 * cost of a commit is shared exactly when there is something to share, and a lone frame never waits for company.
 * Enforces: one call per partition in flight (more would only queue at the partition's row lock), order kept, bounds on a call's bytes
 * and frames; calls that carry different options are never merged, so nobody passes on somebody else's registry version.
 * Forbids: timers, retries, and a bound on what waits: the callers' own buffer is that bound (R-14).
 */
import type { AppendOptions, AppendOutcome, FrameAppend } from "./bus.ts";
import { frameBytes } from "./arguments.ts";
import { BusError } from "./errors.ts";

export interface QueueBounds {
  readonly callBytesMax: number;
  readonly callFramesMax: number;
}

/** One merged append. `take` is called once, when a connection is at hand, so that late comers still get in. */
export type SendAppend = (
  part: number,
  take: () => { readonly frames: readonly FrameAppend[]; readonly options: AppendOptions; readonly bytes: number },
) => Promise<AppendOutcome[]>;

interface Waiting {
  readonly frames: readonly FrameAppend[];
  readonly options: AppendOptions;
  readonly bytes: number;
  readonly resolve: (outcomes: AppendOutcome[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  waiting: Waiting[];
  running: Promise<void> | null;
}

export class AppendQueue {
  readonly #send: SendAppend;
  readonly #bounds: QueueBounds;
  readonly #lanes = new Map<number, Lane>();
  #queuedBytes = 0;
  #closed = false;

  constructor(send: SendAppend, bounds: QueueBounds) {
    this.#send = send;
    this.#bounds = bounds;
  }

  /** Bytes that wait for a call. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  append(part: number, frames: readonly FrameAppend[], options: AppendOptions): Promise<AppendOutcome[]> {
    if (this.#closed) return Promise.reject(new BusError("BUS_CLOSED", "the bus is closed"));
    if (frames.length === 0) return Promise.resolve([]);
    const bytes = frames.reduce((sum, frame) => sum + frameBytes(frame), 0);
    const lane = this.#lanes.get(part) ?? { waiting: [], running: null };
    this.#lanes.set(part, lane);
    this.#queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      lane.waiting.push({ frames, options, bytes, resolve, reject });
      lane.running ??= this.#run(part, lane);
    });
  }

  /** Takes no more appends; resolves when those that were taken are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#lanes.values()].map((lane) => lane.running ?? Promise.resolve()));
  }

  async #run(part: number, lane: Lane): Promise<void> {
    while (lane.waiting.length > 0) {
      let taken: Waiting[] = [];
      try {
        const outcomes = await this.#send(part, () => {
          taken = this.#take(lane);
          const first = taken[0] as Waiting;
          return {
            frames: taken.flatMap((one) => one.frames),
            options: first.options,
            bytes: taken.reduce((sum, one) => sum + one.bytes, 0),
          };
        });
        let at = 0;
        for (const one of taken) {
          one.resolve(outcomes.slice(at, at + one.frames.length));
          at += one.frames.length;
        }
      } catch (error) {
        // No connection was to be had, so nothing was taken: whoever waits learns it now and decides for itself.
        if (taken.length === 0) taken = this.#take(lane);
        for (const one of taken) one.reject(error);
      }
    }
    lane.running = null;
  }

  #take(lane: Lane): Waiting[] {
    const first = lane.waiting[0];
    if (first === undefined) return [];
    let bytes = 0;
    let frames = 0;
    let calls = 0;
    for (const one of lane.waiting) {
      bytes += one.bytes;
      frames += one.frames.length;
      const fits = bytes <= this.#bounds.callBytesMax && frames <= this.#bounds.callFramesMax;
      const alike =
        one.options.gateway === first.options.gateway &&
        one.options.incarnation === first.options.incarnation &&
        one.options.registryVersion === first.options.registryVersion;
      if (calls > 0 && !(fits && alike)) break;
      calls += 1;
      this.#queuedBytes -= one.bytes;
    }
    return lane.waiting.splice(0, calls);
  }
}
