/**
 * Why: the corpus is not part of the repository, so what was found with it must be.
 * Enforces: a row for each check.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";

/** One check's last line. */
export interface CheckFigures {
  readonly name: string;
  readonly figures: string;
  readonly well: boolean;
}

export function corpusPage(parts: readonly Part<readonly CheckFigures[]>[]): Page {
  return {
    title: "Public reference data",
    lead: "Network and Windows logs as sources really write them, OCSF's own definitions, and JSONTestSuite, against shipper, schema, line checker and a running system.",
    tables: [
      {
        caption: "Checks",
        head: ["check", "passed", "figures"],
        rows: parts.flatMap(({ figures }) => figures.map(({ name, well, figures: last }) => [name, well ? "yes" : "NO", last])),
      },
    ],
  };
}
