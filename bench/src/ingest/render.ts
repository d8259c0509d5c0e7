/**
 * Why: a terminal wants columns, a result page wants Markdown.
 * Enforces: both from the same tables; the page says how it was made.
 * Forbids: editing a result page by hand; run the command instead.
 */
import type { IngestResult } from "./result.ts";
import { resultTables, type Table } from "./tables.ts";

/** Tables for a terminal. */
export function renderText(result: IngestResult): string {
  return resultTables(result).map(textTable).join("\n\n");
}

/** The result page. */
export function renderPage(result: IngestResult): string {
  const { machine, date, command } = result;
  return [
    "<!-- Made by `npm run bench -- ingest`; do not edit. -->",
    "# Ingest: what was measured",
    "",
    `${date === "" ? "" : `${date}. `}${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB; ${machine.system}; Node ${machine.node}; embedded PostgreSQL ${machine.postgres}. Everything, the load generator too, shares these cores; load average before the run ${machine.loadBefore.toFixed(2)}.`,
    "",
    "```",
    command,
    "```",
    "",
    ...resultTables(result).flatMap(pageTable),
  ].join("\n");
}

function textTable({ caption, head, rows, notes }: Table): string {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [caption, line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line), ...notes].join("\n");
}

function pageTable({ caption, head, rows, notes }: Table): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    `## ${caption}`,
    "",
    line(head),
    line(head.map((_, column) => (column === 0 ? "---" : "---:"))),
    ...rows.map(line),
    "",
    ...notes.flatMap((note) => [note, ""]),
  ];
}
