/**
 * Why: every bench takes numbers from the command line, and says the same thing where they are none.
 * Enforces: positive integers; an underscore may group digits.
 * Forbids: guessing.
 */

/** A command line that cannot be understood. */
export class UsageError extends Error {}

/** @throws UsageError */
export function positive(name: string, text: string): number {
  const value = Number(text.replaceAll("_", ""));
  if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`--${name} takes a positive integer`);
  return value;
}
