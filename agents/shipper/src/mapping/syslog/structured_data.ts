// Why: RFC 5424's structured data has escapes of its own, and a bracket inside a value must not end it.
// Enforces: elements by id, parameters by name; of those that come twice all values are kept.
// Forbids: reading on where the grammar is broken.

import { addValue, type Json } from "../json.ts";

const element = /\[([^\s=\]"]{1,64})((?: [^\s=\]"]{1,64}="(?:[^"\\\]]|\\[^])*")*) ?\]/y;
const parameter = / ([^\s=\]"]{1,64})="((?:[^"\\\]]|\\[^])*)"/g;

/** A backslash only escapes `"`, `\` and `]`; before anything else it stands for itself. */
function unescaped(value: string): string {
  return value.replace(/\\(["\\\]])/g, "$1");
}

/** `-` or elements, then the message behind a space; undefined where it is neither. */
export function parseStructuredData(text: string): { readonly data: Json | undefined; readonly rest: string } | undefined {
  const data: Json = {};
  let at = 0;
  if (text.startsWith("-")) at = 1;
  else {
    for (element.lastIndex = 0; ; ) {
      const found = element.exec(text);
      if (found === null) break;
      at = element.lastIndex;
      const parameters: Json = {};
      for (const [, name, value] of (found[2] as string).matchAll(parameter))
        addValue(parameters, name as string, unescaped(value as string));
      addValue(data, found[1] as string, parameters);
    }
  }
  if (at === 0 || (at < text.length && text[at] !== " ")) return undefined;
  return { data: Object.keys(data).length === 0 ? undefined : data, rest: text.slice(at + 1) };
}
