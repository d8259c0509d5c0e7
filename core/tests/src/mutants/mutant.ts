/**
 * Why: a promise whose breaking no test notices is a hope.
 * Enforces: the shape of a planted bug: which rule it breaks, the text that makes it, and the check that must find it.
 * Forbids: patches that fit nowhere or in two places: then the table no longer speaks of this code.
 */
import type { Promised } from "../flush/judge.ts";

/** A change of built JavaScript or of a migration; `find` occurs exactly once. */
export interface Patch {
  /** Path within the checkout. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** What must fail: tests of one compiled file whose names begin so, the simulation within so many worlds, or the flush proof at this promise. */
export type Check =
  | { readonly kind: "test"; readonly file: string; readonly name: string }
  | { readonly kind: "simulation"; readonly worlds: number }
  | { readonly kind: "flush"; readonly promised: Promised };

/** The bugs that come first to mind; their rows in the result stand apart. */
export const namedBugs = [
  "receipt before append",
  "offset after commit",
  "no fence",
  "no sequence check",
  "identity from the payload",
] as const;

export interface Mutant {
  /** The rule or promise that it breaks. */
  readonly rule: string;
  readonly bug: string;
  /** If it is one of those that come first to mind. */
  readonly named?: (typeof namedBugs)[number];
  readonly patches: readonly Patch[];
  readonly check: Check;
}

export const simulation = (worlds: number): Check => ({ kind: "simulation", worlds });

export const named = (file: string, name: string): Check => ({ kind: "test", file, name });

export const flushOrder = (promised: Promised): Check => ({ kind: "flush", promised });

/** A check in words. */
export function describeCheck(check: Check): string {
  switch (check.kind) {
    case "test":
      return `${check.file}: ${check.name}`;
    case "simulation":
      return `simulation of ${check.worlds} worlds`;
    case "flush":
      return `flush proof: ${check.promised}`;
  }
}

/** The text with the patch applied, or why it does not fit. */
export function applied(
  text: string,
  { find, replace }: Patch,
): { readonly kind: "applied"; readonly text: string } | { readonly kind: "misfit"; readonly found: number } {
  const found = text.split(find).length - 1;
  return found === 1 ? { kind: "applied", text: text.replace(find, () => replace) } : { kind: "misfit", found };
}
