// Why: "not JSON" alone helps nobody find the broken byte, and the parser's own message carries the sender's bytes.
// Enforces: reasons are printable ASCII of bounded length, whatever the sender wrote.
// Forbids: control characters, terminal sequences and unbounded text in anything that is stored, logged or printed.

const reasonCharsMax = 160;

/** Printable ASCII of at most `charsMax` characters; everything else as \xHH or \u{H}. */
export function printable(text: string, charsMax: number = reasonCharsMax): string {
  let out = "";
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    const piece =
      code >= 0x20 && code < 0x7f && code !== 0x5c
        ? char
        : code === 0x5c
          ? "\\\\"
          : code < 0x100
            ? `\\x${code.toString(16).padStart(2, "0")}`
            : `\\u{${code.toString(16)}}`;
    if (out.length + piece.length > charsMax - 3) return `${out}...`;
    out += piece;
  }
  return out;
}

/** Why `text` is not JSON, in the parser's words. */
export function jsonFault(text: string): string {
  if (text.charCodeAt(0) === 0xfeff) return "begins with a byte order mark";
  if (text.trim() === "") return "the line is empty";
  try {
    JSON.parse(text);
    return "not JSON";
  } catch (error) {
    return printable(error instanceof Error ? error.message : String(error));
  }
}
