/**
 * Why it exists: a fingerprint is of a value; a line that two parsers may read as two values, or that no parser keeps, has none.
 * Enforces: I-JSON (RFC 7493), as the canonical form of RFC 8785 wants it: UTF-8, names once in an object, numbers whose decimal value a double gives back, no half of a
 *   surrogate pair; within the bounds of an event, so that nothing here recurses for long.
 * Forbids: a verdict on the event: what is refused here is stored and proven like any other.
 */
import { isUtf8 } from "node:buffer";
import { lineBoundsFault, parseLine, printable, unparsed } from "ransomeye-ingestion/protocol";

export type StrictJson = { readonly kind: "value"; readonly value: unknown } | { readonly kind: "refused"; readonly why: string };

/** Of text that is known to be JSON: strings, with the colon behind a name; numbers; what begins and ends objects and lists. */
const tokens = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|-?\d[\d.eE+-]*|[{}[\]]/g;
const decimalForm = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** The value of a line, or why it has not exactly one. */
export function parseStrictJson(line: Buffer): StrictJson {
  if (!isUtf8(line)) return refused("is not UTF-8");
  const bounds = lineBoundsFault(line);
  if (bounds !== null) return refused(`is beyond the bounds of an event: ${bounds.reason}`);
  const value = parseLine(line, 0, line.length);
  if (value === unparsed) return refused("is not JSON");
  /** Names of the objects around a token; undefined for a list. */
  const around: (Set<string> | undefined)[] = [];
  for (const [token, text, colon] of line.toString("utf8").matchAll(tokens)) {
    if (text === undefined) {
      if (token === "{" || token === "[") around.push(token === "{" ? new Set() : undefined);
      else if (token === "}" || token === "]") around.pop();
      else if (!isExact(token)) return refused(`has the number ${token.slice(0, 40)}, which a double does not hold`);
      continue;
    }
    const string = JSON.parse(text) as string;
    if (/\p{Surrogate}/u.test(string)) return refused("has half of a surrogate pair in a text");
    if (colon === undefined) continue;
    const names = around.at(-1);
    if (names?.has(string) === true) return refused(`has the name "${printable(string)}" twice in one object`);
    names?.add(string);
  }
  return { kind: "value", value };
}

function refused(why: string): StrictJson {
  return { kind: "refused", why };
}

/** Whether a number that goes through a double comes out with the same decimal value. */
function isExact(token: string): boolean {
  const decimal = decimalOf(token);
  return decimal !== undefined && decimal === decimalOf(String(Number(token)));
}

/** One text for each decimal value. */
function decimalOf(token: string): string | undefined {
  const [, sign = "", whole, fraction = "", exponent = "0"] = decimalForm.exec(token) ?? [];
  if (whole === undefined) return undefined;
  const digits = whole + fraction;
  let [from, to] = [0, digits.length];
  while (from < to && digits[from] === "0") from += 1;
  while (from < to && digits[to - 1] === "0") to -= 1;
  return from === to ? "0" : `${sign}${digits.slice(from, to)}e${Number(exponent) - fraction.length + digits.length - to}`;
}
