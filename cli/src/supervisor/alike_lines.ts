/**
 * Why it exists: while PostgreSQL is away a role warns many times a second, and what matters would scroll off the screen.
 * Enforces: of lines that differ only in their figures, one in a while is shown, and says how many were left out; bounded memory.
 * Forbids: touching the log files: they keep every line.
 */
import type { Clock } from "ransomeye-kernel";

/** Of lines that are alike, one in this time. */
export const alikeMs = 5000;
const kindsMax = 256;

/** What was shown lately. */
export class AlikeLines {
  readonly #clock: Clock;
  readonly #shown = new Map<string, { sinceMs: number; leftOut: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The line as it is to be shown, or undefined if one like it was shown a moment ago. */
  pass(line: string): string | undefined {
    const kind = line.replace(/\d+/g, "0");
    const nowMs = this.#clock.monotonicMs();
    const last = this.#shown.get(kind);
    if (last !== undefined && nowMs - last.sinceMs < alikeMs) {
      last.leftOut += 1;
      return undefined;
    }
    if (this.#shown.size >= kindsMax) this.#shown.clear();
    this.#shown.set(kind, { sinceMs: nowMs, leftOut: 0 });
    return last === undefined || last.leftOut === 0 ? line : `${line} (and ${last.leftOut} like it before)`;
  }
}
