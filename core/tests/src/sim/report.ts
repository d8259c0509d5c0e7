/**
 * Why: a failure found by chance is worth only as much as its replay (style rule 16).
 * Enforces: what broke, how it came to that, and the command.
 * Forbids: more lines than anybody reads.
 */
import type { Verdict } from "./world.ts";

const failuresShown = 10;

/** What to print about a world that broke a promise. */
export function replayOf(verdict: Verdict): string {
  const shown = verdict.failures.slice(0, failuresShown).map((text) => `  ${text}`);
  const more = verdict.failures.length > failuresShown ? `  … and ${verdict.failures.length - failuresShown} more\n` : "";
  return `\nseed ${verdict.seed} broke ${verdict.failures.length} promises after ${verdict.steps} steps:\n${shown.join("\n")}\n${more}replay: npm run sim -- --seed=${verdict.seed}\n`;
}
