/**
 * Why: the flush proof's figures as a page.
 * Enforces: each promise has a row, violated or not.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";
import { type Promised, promised, type Verdict, type Violation } from "./judge.ts";

/** How often a promise was violated, and how for the first time. */
export interface Violated {
  readonly promised: Promised;
  readonly times: number;
  readonly first: string;
}

/** What the page is made of. */
export interface FlushFigures {
  readonly counts: Omit<Verdict, "violations">;
  readonly violated: readonly Violated[];
  readonly planted: readonly { readonly bug: string; readonly outcome: string; readonly by: string }[];
}

/** All promises with their violations. */
export function violationsByPromise(violations: readonly Violation[]): Violated[] {
  return Object.values(promised).map((promise) => {
    const own = violations.filter(({ promised }) => promised === promise);
    return { promised: promise, times: own.length, first: own[0]?.detail ?? "" };
  });
}

export function flushPage(parts: readonly Part<FlushFigures>[]): Page {
  return {
    title: "Flush order",
    lead: "The real processes under `strace`: what leaves and what settles, and whether what it rests on was on disk before. The self-check plants bugs; the proof must notice each.",
    tables: parts.flatMap(({ figures: { counts, violated, planted } }) => [
      {
        caption: "Promises",
        head: ["promise", "judged", "violated"],
        rows: violated.map(({ promised: promise, times }) => [promise, `${judged(promise, counts)}`, `${times}`]),
      },
      {
        caption: "What the tracer saw",
        head: ["frames", "receipts", "promises settled", "flushes of spools", "flushes of the log"],
        rows: [[counts.frames, counts.receipts, counts.promises, counts.spoolFlushes, counts.logFlushes].map(String)],
      },
      {
        caption: "Self-check",
        head: ["planted bug", "outcome", "what the proof said"],
        rows: planted.map(({ bug, outcome, by }) => [bug, outcome, by]),
      },
    ]),
  };
}

/** Each frame is judged when it leaves and at its receipt, each call when it is spooled and when it is receipted. */
function judged(promise: Promised, { frames, promises }: FlushFigures["counts"]): number {
  return promise === promised.frameLeaves || promise === promised.receiptLeaves ? frames : promises / 2;
}
