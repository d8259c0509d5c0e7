/**
 * Why: a mapping may rename, split and convert, but nothing that a source said may be missing from the event, also without raw_data.
 * Enforces: each text and number of a record is found again in the event, whole or word by word.
 * Forbids: looking into raw_data, which holds everything by itself.
 *
 * Words are compared because mappings split (`DOMAIN\user`, `SHA1=…,MD5=…`) and join; letters' case and numbers' notation do not count.
 */
import { canonicalIp } from "ransomeye-ingestion/protocol";
import { saidBy } from "./record_values.ts";

/** Every text and number of a value, with the path to it. */
function* leaves(value: unknown, path: string): Generator<readonly [path: string, leaf: string]> {
  if (typeof value === "string") yield [path, value];
  else if (typeof value === "number") yield [path, String(value)];
  else if (typeof value === "object" && value !== null) {
    for (const [name, item] of Object.entries(value)) yield* leaves(item, `${path}.${name}`);
  }
}

/** Letters and digits as they compare: lower case, hexadecimal and decimal numbers alike. */
function wordsOf(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []).map((word) =>
    /^(?:0x[0-9a-f]{1,13}|\d{1,15})$/.test(word) ? String(Number(word)) : word,
  );
}

/** What is left of a text without its punctuation: `AA:BB` and `aabb` are one fingerprint. */
function bare(text: string): string {
  return text.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");
}

/** Paths and values of a record that are nowhere in its event. Empty texts and `-` say nothing. */
export function lostLeaves(record: unknown, event: Readonly<Record<string, unknown>>): string[] {
  const { raw_data: _, raw_data_size: __, ...rest } = event;
  const words = new Set<string>();
  const whole = new Set<string>();
  for (const [, leaf] of leaves(rest, "")) {
    whole.add(bare(leaf));
    for (const word of wordsOf(leaf)) words.add(word);
  }
  const lost: string[] = [];
  for (const [path, text] of leaves(record, "")) {
    const leaf = saidBy(text);
    if (whole.has(bare(leaf)) || wordsOf(leaf).every((word) => words.has(word) || whole.has(word))) continue;
    const address = canonicalIp(leaf);
    if (address === null || !whole.has(bare(address))) lost.push(`${path} = ${leaf}`);
  }
  return lost;
}
