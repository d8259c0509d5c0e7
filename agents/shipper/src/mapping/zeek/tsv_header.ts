// Why: Zeek's rows mean nothing without the lines above them, which any site may have written its own way: other prefix, other separators.
// Enforces: what a header says holds from its line on; `#separator` begins a new one, any other line replaces its like.
// Forbids: trusting a default where the header says something.
//
// Headers are bytes, handled as latin1 until a value is decoded: a separator may be any byte.

import { tsvText, unescapeBytes } from "./tsv_text.ts";

/** One field of every row. */
export interface TsvColumn {
  readonly name: string;
  /** Type of the value, or of the members where the field is a set or a vector. */
  readonly type: string;
  readonly isList: boolean;
}

/** What a header says. Names are text, what separates and marks is bytes as latin1. */
export interface TsvHeader {
  readonly separator: string;
  readonly setSeparator: string;
  readonly emptyField: string;
  readonly unsetField: string;
  readonly path: string | undefined;
  readonly columns: readonly TsvColumn[];
  /** Types that are named; as many as columns, or no row can be read. */
  readonly typeCount: number;
}

/** `#separator \x09`: the only line whose own separator is a space. What stands before the word is the prefix of all header lines. */
const opening = /^(\S{1,16}?)separator (\S+)$/;
/** A header that was cut off at its top still has its names; they are Zeek's defaults then. */
const defaultPrefix = "#";
const defaultSeparator = "\t";

interface Style {
  readonly prefix: string;
  readonly separator: string;
}

/** The style that was looked for last: a header's is asked for with every line below it. */
let known: { readonly header: string; readonly style: Style } = {
  header: "",
  style: { prefix: defaultPrefix, separator: defaultSeparator },
};

function styleOf(header: string): Style {
  if (known.header !== header) known = { header, style: firstStyle(header) };
  return known.style;
}

function firstStyle(header: string): Style {
  const match = opening.exec(header.split("\n", 1)[0] as string);
  return match === null
    ? { prefix: defaultPrefix, separator: defaultSeparator }
    : { prefix: match[1] as string, separator: unescapeBytes(match[2] as string) };
}

const kept: ReadonlySet<string> = new Set(["set_separator", "empty_field", "unset_field", "path", "fields", "types"]);

/** The header after a line; undefined where the line is a row. Remarks, and the times of opening and closing, change nothing. */
export function headerAfter(line: string, before: string): string | undefined {
  const { prefix, separator } = styleOf(before);
  const opens = opening.exec(line);
  if (opens !== null && (before === "" || opens[1] === prefix)) return line;
  if (!line.startsWith(prefix)) return undefined;
  const word = wordOf(line, prefix, separator);
  if (!kept.has(word)) return before;
  const others = before.split("\n").filter((other) => other !== "" && wordOf(other, prefix, separator) !== word);
  return [...others, line].join("\n");
}

function wordOf(line: string, prefix: string, separator: string): string {
  return line.slice(prefix.length).split(separator, 1)[0] as string;
}

/** What a header says; undefined where it names no fields. */
export function parseHeader(header: string): TsvHeader | undefined {
  const { prefix, separator } = styleOf(header);
  const values = new Map<string, readonly string[]>();
  for (const line of header.split("\n")) {
    const [word, ...rest] = line.slice(prefix.length).split(separator);
    values.set(word as string, rest);
  }
  const fields = values.get("fields");
  if (fields === undefined || fields.length === 0) return undefined;
  const types = values.get("types") ?? [];
  const one = (word: string): string | undefined => values.get(word)?.join(separator);
  const bytesOf = (word: string, otherwise: string): string => unescapeBytes(one(word) ?? otherwise);
  const path = one("path");
  return {
    separator,
    setSeparator: bytesOf("set_separator", ","),
    emptyField: bytesOf("empty_field", "(empty)"),
    unsetField: bytesOf("unset_field", "-"),
    path: path === undefined ? undefined : tsvText(path),
    columns: fields.map((name, i) => columnOf(tsvText(name), types[i] ?? "")),
    typeCount: types.length,
  };
}

function columnOf(name: string, type: string): TsvColumn {
  const member = /^(?:set|vector|table|list)\[(.*)\]$/.exec(type)?.[1];
  return { name, type: member ?? type, isList: member !== undefined };
}
