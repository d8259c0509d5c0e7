/**
 * Why: a terminal wants columns.
 * Enforces: one way to print a table, for every bench.
 * Forbids: colours.
 */
import type { Table } from "ransomeye-tests";

/** The first column is text, the others are figures. */
export function textTable({ caption, head, rows, notes = [] }: Table): string {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [caption, line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line), ...notes].join("\n");
}
