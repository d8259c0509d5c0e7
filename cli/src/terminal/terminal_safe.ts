/**
 * Why it exists: event text comes from attackers, and a terminal obeys what it is sent: escape sequences retitle windows, hide lines and, in
 * some emulators, type commands; bidirectional overrides show a file name other than the one that is there.
 * Enforces: whatever passes here prints as one visible line and changes nothing but the cells it fills.
 * Forbids: printing a string that a producer, a file or a remote peer could have chosen by any other way.
 */
import { cutText } from "ransomeye-kernel";

/**
 * What may not reach a terminal: C0 and C1 controls and DEL, bidirectional marks, overrides and isolates, line and paragraph separators,
 * zero-width and other invisible format characters, tags, and lone surrogates.
 */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this expression is about
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

/** `text` with everything that a terminal could act on written as visible escapes, cut to `charsMax` characters. */
export function terminalSafe(text: string, charsMax: number = Number.POSITIVE_INFINITY): string {
  const cut = text.length > charsMax ? `${cutText(text, Math.max(0, charsMax - 1))}…` : text;
  return cut.replace(unsafe, escape);
}

/** JSON for a terminal: the same document, with unsafe characters as JSON escapes, so that it still parses to the same value. */
export function terminalSafeJson(json: string): string {
  return json.replace(unsafe, (found) => (found === "\n" || found === "\r" || found === "\t" ? found : jsonEscape(found)));
}

function escape(found: string): string {
  const point = found.codePointAt(0) ?? 0;
  if (found === "\n") return "\\n";
  if (found === "\r") return "\\r";
  if (found === "\t") return "\\t";
  return point <= 0xff ? `\\x${point.toString(16).padStart(2, "0")}` : `\\u{${point.toString(16)}}`;
}

function jsonEscape(found: string): string {
  let out = "";
  for (let at = 0; at < found.length; at += 1) out += `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`;
  return out;
}
