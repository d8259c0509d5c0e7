/**
 * Why: a proof that was asked for "no" runs by a slip of the finger would pass.
 * Enforces: numbers on a command line are positive whole numbers, or the command ends with exit code 2 and says which is not.
 * Forbids: defaults in place of what somebody typed.
 */

/** The number behind an option such as `--runs`. */
export function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  process.stderr.write(`${option} takes a positive whole number, not ${text}\n`);
  process.exit(2);
}
