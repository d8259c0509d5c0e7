// Why: Zeek's own default is rows of text; most sites that run it have these and no JSON.
// Enforces: a row becomes the object that Zeek's JSON writer would have written of the same values, so that both give the same event: unset
//   fields are absent, members that are unset are null, numbers that a double cannot hold stay texts.
// Forbids: mapping: what a log's fields mean stands in logs.ts alone.

import type { Json } from "../json.ts";
import { parseHeader, type TsvColumn, type TsvHeader } from "./tsv_header.ts";
import { tsvText } from "./tsv_text.ts";

/** The header that was parsed last: rows below one header share its text. */
let known: { readonly text: string; readonly header: TsvHeader | undefined } = { text: "", header: undefined };

/** What a header says; undefined where it names no fields. */
export function headerOf(text: string): TsvHeader | undefined {
  if (known.text !== text) known = { text, header: parseHeader(text) };
  return known.header;
}

/** A row as an object, or why it is none. */
export function parseRow(bytes: Buffer, header: TsvHeader): Json | string {
  const { columns, typeCount } = header;
  if (typeCount !== columns.length) return `the header names ${columns.length} fields and ${typeCount} types`;
  const values = bytes.toString("latin1").split(header.separator);
  if (values.length !== columns.length) return `the row has ${values.length} fields, its header names ${columns.length}`;
  const entries: [name: string, value: unknown][] = header.path === undefined ? [] : [["_path", header.path]];
  for (const [i, column] of columns.entries()) {
    const value = values[i] as string;
    if (value !== header.unsetField) entries.push([column.name, valueOf(value, column, header)]);
  }
  return Object.fromEntries(entries);
}

function valueOf(value: string, { type, isList }: TsvColumn, header: TsvHeader): unknown {
  if (!isList) return value === header.emptyField ? "" : scalarOf(value, type);
  if (value === header.emptyField) return [];
  return value.split(header.setSeparator).map((item) => {
    if (item === header.unsetField) return null;
    return item === header.emptyField ? "" : scalarOf(item, type);
  });
}

const integers: ReadonlySet<string> = new Set(["count", "int", "port"]);
const decimals: ReadonlySet<string> = new Set(["time", "interval", "double"]);

/** A value that is not what its type says stays the text that it is. */
function scalarOf(value: string, type: string): unknown {
  if (type === "bool" && (value === "T" || value === "F")) return value === "T";
  if (integers.has(type) && /^-?\d+$/.test(value)) {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (decimals.has(type) && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value)) {
    const number = Number(value);
    return Number.isFinite(number) ? number : value;
  }
  return tsvText(value);
}
