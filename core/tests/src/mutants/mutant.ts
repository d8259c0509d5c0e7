/**
 * Why: a promise whose breaking no test notices is a hope.
 * Enforces: the shape of a planted bug: which rule it breaks, the text that makes it, and the check that must find it.
 * Forbids: patches that fit nowhere or in two places: then the table no longer speaks of this code.
 */

/** A change of built JavaScript or of a migration; `find` occurs exactly once. */
export interface Patch {
  /** Path within the checkout. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** What must fail: tests of one compiled file whose names begin so, or the simulation within so many worlds. */
export type Check =
  | { readonly kind: "test"; readonly file: string; readonly name: string }
  | { readonly kind: "simulation"; readonly worlds: number };

export interface Mutant {
  /** The rule or promise that it breaks. */
  readonly rule: string;
  readonly bug: string;
  readonly patches: readonly Patch[];
  readonly check: Check;
}

export const simulation = (worlds: number): Check => ({ kind: "simulation", worlds });

export const named = (file: string, name: string): Check => ({ kind: "test", file, name });

/** The text with the patch applied, or why it does not fit. */
export function applied(
  text: string,
  { find, replace }: Patch,
): { readonly kind: "applied"; readonly text: string } | { readonly kind: "misfit"; readonly found: number } {
  const found = text.split(find).length - 1;
  return found === 1 ? { kind: "applied", text: text.replace(find, () => replace) } : { kind: "misfit", found };
}
