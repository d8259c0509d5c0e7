/**
 * Why: a terminal wants columns, a result page wants Markdown.
 * Enforces: both from the same tables; the page says how it was made.
 * Forbids: editing a result page by hand; run the command instead.
 */
import type { Page, Part } from "ransomeye-tests";
import { textTable } from "../text_table.ts";
import type { IngestResult } from "./result.ts";
import { resultTables } from "./tables.ts";

/** Tables for a terminal. */
export function renderText(result: IngestResult): string {
  return resultTables(result).map(textTable).join("\n\n");
}

/** The result page. */
export function ingestPage(parts: readonly Part<IngestResult>[]): Page {
  const loads = parts.map(({ figures }) => figures.loadBefore.toFixed(2)).join(", ");
  return {
    title: "Ingest: what was measured",
    lead: `The embedded PostgreSQL carries it all. Everything, the load generator too, shares the machine's cores; load average before the run ${loads}.`,
    tables: parts.flatMap(({ figures }) => resultTables(figures)),
  };
}
