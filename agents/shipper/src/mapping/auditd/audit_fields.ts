// Why: an audit record is `name=value` pairs with words between them, in the kernel's, the daemon's and every program's own manner.
// Enforces: every pair and every word of a line is kept; what the kernel wrote in hexadecimal, because it may hold anything, is decoded.
// Forbids: guessing which values are hexadecimal: the fields that may be are listed, everything else is left as it is written.

import { isUtf8 } from "node:buffer";
import { addValue, type Json, withoutNuls } from "../json.ts";

/** Fields that hold text of unknown origin: in quotes where it is harmless, else as upper-case hexadecimal digits. */
const encoded: ReadonlySet<string> = new Set(
  (
    "acct cmd comm cwd data device dir exe file grp key name new-chardev new-disk new-fs new-rng new_group new_lock ocomm old-chardev old-disk " +
    "old-fs old-rng old_group old_lock path proctitle profile root_dir saved sw ttydata vm watch invalid_context requested info module"
  ).split(" "),
);

/** Arguments of EXECVE: `a0`, or a part of a long one, `a0[1]`. */
const argument = /^a\d+$/;
const argumentPart = /^a\d+\[\d+\]$/;

/**
 * A name and a value, at the beginning of a word: in braces (an address that was resolved, which has none in it: an open one is given up at the next), in quotes of
 * either kind, or up to the next space.
 */
const pair = /(?<![^\s\x1d(,'"])([A-Za-z_][A-Za-z0-9_-]*(?:\[\d+\])?)=(\{[^{}]*\}|"[^"]*"|'[^']*'|[^\s\x1d]*)/g;

const hexText = /^(?:[0-9A-F]{2})+$/;

/** Bytes of a hexadecimal text; undefined where it is none. */
export function hexBytes(text: string): Buffer | undefined {
  return hexText.test(text) ? Buffer.from(text, "hex") : undefined;
}

/** The text that a bare hexadecimal value stands for; undefined where it is none, or no text. */
function decoded(value: string): string | undefined {
  const bytes = hexBytes(value);
  return bytes !== undefined && isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

function valueOf(name: string, value: string, type: string): string | string[] {
  // Parts of a long argument keep their quotes until they are put together.
  if (type === "EXECVE" && argumentPart.test(name)) return value;
  const quote = value[0];
  if (quote === '"' || quote === "'") return value.slice(1, value.length > 1 && value.at(-1) === quote ? -1 : undefined);
  const text = (encoded.has(name) || (type === "EXECVE" && argument.test(name)) ? decoded(value) : undefined) ?? value;
  // A title is its arguments with a NUL behind each; rules' keys are joined by the byte 1.
  if (name === "proctitle") return withoutNuls(text).replaceAll("\0", " ");
  return name === "key" && text.includes("\u0001") ? text.split("\u0001") : text;
}

/** Values in round brackets, as PAM once wrote them: `(hostname=?, addr=?, terminal=cron res=success)`. */
function unbracketed(text: string): string {
  return text.replace(/\((\w+=[^()]*)\)/g, (_, inner: string) => inner.replace(/,(?=\s|$)/g, " "));
}

/** The fields of one record's body. Words that are no pair stand in `words`. `type` is the record's. */
export function auditFields(body: string, type: string): Json {
  const fields: Json = {};
  const words: string[] = [];
  let end = 0;
  const note = (text: string): string | undefined => {
    const found = text.split(/[\s\x1d]+/).filter((word) => word !== "");
    words.push(...found);
    return found.at(-1);
  };
  for (const match of body.matchAll(pair)) {
    const [whole, name, value] = match as unknown as [string, string, string];
    const before = note(body.slice(end, match.index));
    end = match.index + whole.length;
    // `old auid=0 new auid=1000`: newer kernels write `old-auid=0 auid=1000`.
    const prefix = before === "old" || before === "new" ? `${words.pop()}-` : "";
    addValue(fields, prefix + name, valueOf(name, value, type));
  }
  note(body.slice(end));
  if (words.length > 0) addValue(fields, "words", words.join(" "));
  return fields;
}

/** A record's fields, and those of the text in quotes that a program has put into it, as `msg`. */
export function recordFields(body: string, type: string): Json {
  const begin = body.indexOf("msg='");
  if (begin < 0) return auditFields(body, type);
  const from = begin + 5;
  const quote = body.lastIndexOf("'");
  // The quote that ends it may be missing where a line was cut.
  const to = quote >= from ? quote : body.length;
  const outer = auditFields(`${body.slice(0, begin)} ${body.slice(to + 1)}`, type);
  addValue(outer, "msg", auditFields(unbracketed(body.slice(from, to)), type));
  return outer;
}
