/**
 * Why: every bench takes numbers from the command line, and says the same thing where they are none.
 * Enforces: positive integers; an underscore may group digits; anything else ends with a sentence and exit code 2.
 * Forbids: guessing.
 */
import { parseArgs } from "node:util";

/** A command line that cannot be understood. */
export class UsageError extends Error {}

/** @throws UsageError */
export function positive(name: string, text: string): number {
  const value = Number(text.replaceAll("_", ""));
  if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`--${name} takes a positive integer`);
  return value;
}

/** Reads options that all are positive integers, with their defaults, and `--result FILE`. @throws UsageError */
export function readNumbers<K extends string>(
  args: readonly string[],
  defaults: Readonly<Record<K, number>>,
): Readonly<Record<K, number>> & { readonly result: string | undefined } {
  const names = Object.keys(defaults) as K[];
  const options = Object.fromEntries(["result", ...names].map((name) => [name, { type: "string" as const }]));
  let values: Readonly<Record<string, string | boolean | undefined>>;
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const numbers = Object.fromEntries(
    names.map((name) => [name, values[name] === undefined ? defaults[name] : positive(name, String(values[name]))]),
  ) as Record<K, number>;
  return { ...numbers, result: values["result"] === undefined ? undefined : String(values["result"]) };
}
