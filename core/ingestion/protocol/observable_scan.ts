// Why: the index of observables reads every document once more; parsing all of each to look at a few texts of it would cost as much as the row did.
// Enforces: one walk over a line's bytes that finds the texts at the places of observables.ts, wherever they are nested; each occurrence counts, also of a name that
//   comes twice. Whatever is no JSON ends the walk of its line; such a line is no event.
// Forbids: throwing for any bytes, looking beyond the line feed that ends a line, strings for texts that nobody asked for.

import { limits } from "ransomeye-kernel";
import { listRules, observableAt, type Observable, observablesField, type Place, placeOfType, placeRules, places } from "./observables.ts";

/** How a text is written between its quotes. */
export const written = { ascii: 0, utf8: 1, escaped: 2 } as const;

/** Is told of a text that stands at a place: its bytes are [from, to), `how` is one of `written`. */
export type TakeText = (place: Place, from: number, to: number, how: number) => void;

const space = 0x20;
const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const failed = -1;

/** 1 for each byte that neither ends a string nor is special or wrong in one. */
const plain: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => (byte < space || byte === quote || byte === backslash ? 0 : 1));

/** The names that matter get a number each; 0 is any other. */
const names: readonly string[] = [
  ...new Set([
    ...placeRules.flatMap(({ field, in: parents = [] }) => [field, ...parents]),
    ...Object.keys(listRules),
    observablesField,
    "type_id",
    "value",
  ]),
];
const nameCount = names.length + 1;
const numberOf: ReadonlyMap<string, number> = new Map(names.map((name, index) => [name, index + 1]));
const number = (name: string): number => numberOf.get(name) ?? 0;
const observablesName = number(observablesField);
const typeName = number("type_id");
const valueName = number("value");

/** The place of a field in an object: `table[object * nameCount + field]`. */
const table: Uint8Array = new Uint8Array(nameCount * nameCount);
for (const rule of placeRules.toReversed())
  for (let parent = 0; parent < nameCount; parent++)
    if (rule.in === undefined || rule.in.includes(names[parent - 1] ?? "")) table[parent * nameCount + number(rule.field)] = rule.place;
const listTable: Uint8Array = Uint8Array.from({ length: nameCount }, (_, n) => listRules[names[n - 1] ?? ""] ?? places.none);

const hashMask = 255;
const hashed: (readonly { readonly bytes: Buffer; readonly number: number }[])[] = Array.from({ length: hashMask + 1 }, () => []);
const step = (hash: number, byte: number): number => (Math.imul(hash, 31) + byte) | 0;
for (const name of names) {
  const bytes = Buffer.from(name);
  const at = bytes.reduce(step, 0) & hashMask;
  hashed[at] = [...(hashed[at] ?? []), { bytes, number: number(name) }];
}

let bytes: Buffer = Buffer.alloc(0);
let take: TakeText = () => undefined;
let how = 0;

function findName(from: number, to: number, hash: number): number {
  for (const { bytes: name, number: found } of hashed[hash & hashMask] as NonNullable<(typeof hashed)[number]>) {
    if (name.length !== to - from) continue;
    let i = 0;
    while (i < name.length && name[i] === bytes[from + i]) i++;
    if (i === name.length) return found;
  }
  return 0;
}

function skipSpace(from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte === space || byte === 0x09 || byte === 0x0d; byte = bytes[++at]);
  return at;
}

/** Position of the quote that ends a string whose first byte is at `from`. */
function endOfText(from: number): number {
  let at = from;
  let high = 0;
  let escaped = false;
  for (;;) {
    let byte = bytes[at] as number;
    while (plain[byte] === 1) {
      high |= byte;
      byte = bytes[++at] as number;
    }
    if (byte === quote) {
      how = escaped ? written.escaped : high < 0x80 ? written.ascii : written.utf8;
      return at;
    }
    if (byte !== backslash || !((bytes[at + 1] as number) >= space)) return failed;
    escaped = true;
    at += 2;
  }
}

/** The text between quotes; undefined where it is not JSON. */
export function textOf(of: Buffer, from: number, to: number, as: number): string | undefined {
  if (as === written.ascii) return of.toString("latin1", from, to);
  if (as === written.utf8) return of.toString("utf8", from, to);
  try {
    return JSON.parse(of.toString("utf8", from - 1, to + 1)) as string;
  } catch {
    return undefined;
  }
}

/** A value from its first byte, in a field of the name `name` of an object that stands in a field of the name `parent`. Gives the position behind it. */
function scanValue(from: number, parent: number, name: number, depth: number): number {
  switch (bytes[from]) {
    case quote: {
      const to = endOfText(from + 1);
      if (to === failed) return failed;
      const place = table[parent * nameCount + name] as Place;
      if (place !== places.none && to - from > 1) take(place, from + 1, to, how);
      return to + 1;
    }
    case openBrace:
      return depth === 0 ? failed : scanObject(from + 1, name, depth - 1);
    case openBracket:
      return depth === 0 ? failed : scanList(from + 1, name, depth - 1);
    default:
      return skipScalar(from);
  }
}

/** A number or a word: whatever goes up to what parts values. */
function skipScalar(from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte === comma || byte === closeBrace || byte === closeBracket || byte === space || byte === 0x09 || byte === 0x0d) break;
    if (byte === undefined || byte < space || byte === quote || byte === openBrace || byte === openBracket) return failed;
    at++;
  }
  return at === from ? failed : at;
}

function scanList(from: number, name: number, depth: number): number {
  let at = skipSpace(from);
  if (bytes[at] === closeBracket) return at + 1;
  const listed = listTable[name] as Place;
  for (;;) {
    if (bytes[at] === quote) {
      const to = endOfText(at + 1);
      if (to === failed) return failed;
      if (listed !== places.none && to - at > 1) take(listed, at + 1, to, how);
      at = to + 1;
    } else at = scanValue(at, 0, name, depth);
    if (at === failed) return failed;
    at = skipSpace(at);
    if (bytes[at] === closeBracket) return at + 1;
    if (bytes[at] !== comma) return failed;
    at = skipSpace(at + 1);
  }
}

/** Number of a field's name that begins at `from`; the position behind its colon is left in `afterName`. */
let afterName = 0;
function scanName(from: number): number {
  let hash = 0;
  let at = from;
  for (let byte = bytes[at] as number; plain[byte] === 1; byte = bytes[++at] as number) hash = step(hash, byte);
  let found: number;
  if (bytes[at] === quote) found = findName(from, at, hash);
  else {
    // An escape may spell a name that matters.
    at = endOfText(from);
    if (at === failed) return failed;
    found = number(textOf(bytes, from, at, written.escaped) ?? "");
  }
  at = skipSpace(at + 1);
  if (bytes[at] !== colon) return failed;
  afterName = skipSpace(at + 1);
  return found;
}

/** An object from behind its brace, which stands in a field of the name `parent`. */
function scanObject(from: number, parent: number, depth: number): number {
  let at = skipSpace(from);
  if (bytes[at] === closeBrace) return at + 1;
  const isObservable = parent === observablesName;
  let type = 0;
  let valueFrom = 0;
  let valueTo = 0;
  let valueHow = 0;
  for (;;) {
    if (bytes[at] !== quote) return failed;
    const name = scanName(at + 1);
    if (name === failed) return failed;
    const value = afterName;
    at = scanValue(value, parent, name, depth);
    if (at === failed) return failed;
    if (isObservable && name === typeName) type = Number(bytes.toString("latin1", value, at));
    else if (isObservable && name === valueName && bytes[value] === quote) {
      valueFrom = value + 1;
      valueTo = at - 1;
      valueHow = how;
    }
    at = skipSpace(at);
    if (bytes[at] === closeBrace) break;
    if (bytes[at] !== comma) return failed;
    at = skipSpace(at + 1);
  }
  const place = isObservable && valueTo > valueFrom ? placeOfType.get(type) : undefined;
  if (place !== undefined) take(place, valueFrom, valueTo, valueHow);
  return at + 1;
}

/** Tells `taker` of each text at a place of observables in the line that begins at `from`; it ends at a line feed or at the end of `line`. */
export function scanObservables(line: Buffer, from: number, taker: TakeText): void {
  bytes = line;
  take = taker;
  const open = skipSpace(from);
  if (bytes[open] === openBrace) scanObject(open + 1, 0, limits.jsonDepthMax);
}

/** Each observable of a line, as often as it occurs. */
export function observablesOf(line: Buffer, from: number): Observable[] {
  const found: Observable[] = [];
  scanObservables(line, from, (place, start, end, as) => {
    const text = textOf(line, start, end, as);
    const one = text === undefined ? null : observableAt(place, text);
    if (one !== null) found.push(one);
  });
  return found;
}
