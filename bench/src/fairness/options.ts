/**
 * Why: one place says what `npm run bench -- fairness` takes, so that help and parsing agree.
 * Enforces: numbers are positive integers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { readNumbers } from "../usage.ts";

/** What one run is asked to do. */
export interface FairnessOptions {
  readonly pairs: number;
  readonly seconds: number;
  readonly honest: number;
  /** Events per second of all honest producers together. */
  readonly load: number;
  /** The flooder offers this many times a fair share of the load. */
  readonly flood: number;
  /** Events per second that the gateway takes from all together. */
  readonly total: number;
  readonly result: string | undefined;
}

/** A total rate that no load of this bench comes near. */
const unbounded = 10_000_000;

export const fairnessUsage: string = `npm run bench -- fairness [options]

  --pairs K         interleaved quiet and flooded windows (default 5)
  --seconds N       length of each window (default 10)
  --honest N        honest producers (default 200)
  --load N          events per second of all of them together (default 20000)
  --flood N         the greedy producer offers N times an honest one's load (default 10)
  --total N         events per second that the gateway takes from all together (default: far more than are offered)
  --result FILE     write the result page (Markdown) and its figures (JSON)

Beside the honest producers a flooded window has: one greedy producer, one that ignores its credit and comes back at once, one that sends and never
reads, and one that sends HTTP/2 frames that carry nothing, of one kind after the other. With a --total between the honest load and all that is
offered the gateway has to share: what the honest ones leave is the greedy one's, and no more. Exit codes: 0 fair · 1 not · 2 the command line is wrong`;

/** @throws UsageError */
export function parseFairnessOptions(args: readonly string[]): FairnessOptions {
  return readNumbers(args, { pairs: 5, seconds: 10, honest: 200, load: 20_000, flood: 10, total: unbounded });
}
