/**
 * Why: the corpus is not part of the repository, so what was found with it must be.
 * Enforces: a row for each check.
 * Forbids: I/O.
 */
import type { Page, Part, Table } from "../results/result_file.ts";

/** What a check found. */
export interface Outcome {
  readonly well: boolean;
  /** What is worth more than its last line. */
  readonly tables?: readonly Table[];
}

/** One check's last line, and its tables. */
export interface CheckFigures extends Outcome {
  readonly name: string;
  readonly figures: string;
}

export function corpusPage(parts: readonly Part<readonly CheckFigures[]>[]): Page {
  return {
    title: "Public reference data",
    lead: "Network, Windows and Linux logs as sources really write them, OCSF's own definitions, and JSONTestSuite, against shipper, schema, line checker and a running system.",
    tables: [
      {
        caption: "Checks",
        head: ["check", "passed", "figures"],
        rows: parts.flatMap(({ figures }) => figures.map(({ name, well, figures: last }) => [name, well ? "yes" : "NO", last])),
      },
      ...parts.flatMap(({ figures }) => figures.flatMap(({ tables }) => tables ?? [])),
    ],
  };
}
