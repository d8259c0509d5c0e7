/**
 * Why: which test holds which promise, as a page.
 * Enforces: the bugs that come first to mind stand first.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";
import type { Finding } from "./hunt.ts";

/** What the page is made of. */
export interface MutantFigures {
  readonly rows: readonly MutantRow[];
  readonly unsound: readonly string[];
}

interface MutantRow {
  readonly rule: string;
  readonly bug: string;
  readonly named: string | null;
  readonly outcome: Finding["outcome"];
  readonly by: string;
}

export function mutantsPage(parts: readonly Part<MutantFigures>[]): Page {
  const rows = parts.flatMap(({ figures }) => figures.rows);
  const unsound = parts.flatMap(({ figures }) => figures.unsound);
  const found = rows.filter(({ outcome }) => outcome === "found").length;
  return {
    title: "Planted bugs",
    lead: `${rows.length} bugs were planted one at a time into a copy of the built code; ${found} were found. Without a bug ${unsound.length === 0 ? "every check passes" : `these checks fail: ${unsound.join("; ")}`}.`,
    tables: [
      {
        caption: "The bugs that come first to mind",
        head: ["broken by hand", "rule", "bug", "outcome", "what noticed"],
        rows: rows.flatMap(({ named, rule, bug, outcome, by }) => (named === null ? [] : [[named, rule, bug, outcome, by]])),
      },
      {
        caption: "All bugs",
        head: ["rule", "bug", "outcome", "what noticed"],
        rows: rows.map(({ rule, bug, outcome, by }) => [rule, bug, outcome, by]),
      },
    ],
  };
}
