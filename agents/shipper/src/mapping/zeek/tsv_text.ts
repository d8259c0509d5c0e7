// Why: Zeek escapes what would break a row, and bytes that are no UTF-8.
// Enforces: `\xNN` and `\\` are undone; what then is UTF-8 is text; bytes that are not stay `\xNN`, as in Zeek's JSON.
// Forbids: guessing another encoding, and replacing a byte by a sign that says nothing of it.

import { isUtf8 } from "node:buffer";

/** Bytes as latin1 with Zeek's escapes undone. */
export function unescapeBytes(latin1: string): string {
  if (!latin1.includes("\\")) return latin1;
  return latin1.replace(/\\(?:x([0-9a-fA-F]{2})|\\)/g, (_, hex?: string) =>
    hex === undefined ? "\\" : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** A well-formed UTF-8 sequence, as latin1; what TextDecoder would take. */
const utf8Sequence =
  /[\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g;

/** The text of a value. */
export function tsvText(latin1: string): string {
  const bytes = unescapeBytes(latin1);
  if (/^[\x00-\x7f]*$/.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, "latin1");
  if (isUtf8(buffer)) return buffer.toString("utf8");
  return bytes.replace(utf8Sequence, (sequence) => {
    const first = sequence.charCodeAt(0);
    return sequence.length === 1 && first > 0x7f ? `\\x${first.toString(16)}` : Buffer.from(sequence, "latin1").toString("utf8");
  });
}
