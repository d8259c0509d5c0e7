/**
 * Why: "accounted for" wants a table: what was read of each format, and why the rest was not.
 * Enforces: every file, record and line of a run is in the tables once.
 * Forbids: contents of records: codes say why, the command's own output says where.
 */
import { type Format, formats, type InvalidItem, SHIP_CODES, type ShipCode } from "ransomeye-shipper";
import type { Table } from "../results/result_file.ts";

/** What became of one file. */
export interface FileResult {
  readonly path: string;
  readonly format: Format | undefined;
  readonly lines: number;
  /** Lines of no record: headers, brackets, empty ones. */
  readonly beside: number;
  readonly events: number;
  readonly invalid: readonly InvalidItem[];
  /** Why the file was refused, if it was. */
  readonly refusal: ShipCode | undefined;
  /** What should not be; empty where all is well. */
  readonly faults: readonly string[];
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): [key: string, items: T[]][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Tables of a run. */
export function tablesOf(results: readonly FileResult[]): Table[] {
  const read = results.filter(({ refusal }) => refusal === undefined);
  const refused = results.filter(({ refusal }) => refusal !== undefined);
  return [formatsTable(read), invalidTable(read), refusedTable(refused)];
}

function formatsTable(read: readonly FileResult[]): Table {
  const row = (title: string, files: readonly FileResult[]): string[] => {
    const sum = (count: (file: FileResult) => number): number => files.reduce((all, file) => all + count(file), 0);
    const [events, invalid] = [sum((file) => file.events), sum((file) => file.invalid.length)];
    return [title, ...[files.length, sum((f) => f.lines), sum((f) => f.beside), events + invalid, events, invalid].map(String)];
  };
  return {
    caption: "What was read, by format",
    head: ["format", "files", "lines", "of these beside records", "records", "events", "invalid"],
    rows: [
      ...grouped(read, ({ format }) => format ?? "").map(([format, files]) =>
        row(formats[format as Format]?.title ?? "nothing in it", files),
      ),
      row("all", read),
    ],
  };
}

function invalidTable(read: readonly FileResult[]): Table {
  const invalid = read.flatMap(({ format, path, invalid: items }) => items.map(({ code }) => ({ format, path, code })));
  return {
    caption: "Records that gave no event, by reason",
    head: ["format", "code", "reason", "records", "files"],
    rows: grouped(invalid, ({ format, code }) => `${format} ${code}`).map(([, items]) => {
      const { format, code } = items[0] as (typeof items)[number];
      const files = new Set(items.map(({ path }) => path)).size;
      return [format ?? "", `\`${code}\``, SHIP_CODES[code].meaning, String(items.length), String(files)];
    }),
  };
}

function refusedTable(refused: readonly FileResult[]): Table {
  return {
    caption: "Files that were refused whole, by reason",
    head: ["code", "reason", "files", "lines", "which"],
    rows: grouped(refused, ({ refusal }) => refusal ?? "").map(([code, files]) => [
      `\`${code}\``,
      SHIP_CODES[code as ShipCode].meaning,
      String(files.length),
      String(files.reduce((all, { lines }) => all + lines, 0)),
      files.map(({ path }) => `\`${path}\``).join(", "),
    ]),
  };
}
