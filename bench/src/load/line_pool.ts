/**
 * Why: a fleet's payloads are cut from one piece of memory, so that the generator's cost is signing and sending, not gluing lines.
 * Enforces: whole lines, consecutive ones, another stretch each time.
 * Forbids: copies.
 */
import { type Random, systemClock } from "ransomeye-kernel";
import { eventLines } from "./events.ts";

/** A pool of events as producer `seed` makes them, dated now. */
export function eventPool(seed: number, lines: number, random: Random): LinePool {
  const make = eventLines(seed, () => Math.floor(systemClock.nowUs() / 1_000));
  return new LinePool(
    Array.from({ length: lines }, (_, n) => make(n)),
    random,
  );
}

/** Lines in one buffer. */
export class LinePool {
  readonly #bytes: Buffer;
  /** Offset of each line, and of the end. */
  readonly #starts: readonly number[];
  readonly #random: Random;

  constructor(lines: readonly Buffer[], random: Random) {
    const starts = [0];
    for (const line of lines) starts.push((starts.at(-1) ?? 0) + line.length + 1);
    this.#starts = starts;
    this.#bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
    this.#random = random;
  }

  /** A payload of `count` lines, at most half of the pool. */
  take(count: number): Buffer {
    const from = this.#random.uint32() % (this.#starts.length - 1 - count);
    return this.#bytes.subarray(this.#starts[from], this.#starts[from + count]);
  }
}
