// Why: RFC 5424's structured data has escapes of its own, and a bracket inside a value must not end it.
// Enforces: elements by id, parameters by name; of those that come twice all values are kept.
// Forbids: reading on where the grammar is broken.

import type { Json } from "../json.ts";

const element = /\[([^\s=\]"]{1,64})((?: [^\s=\]"]{1,64}="(?:[^"\\\]]|\\[^])*")*) ?\]/y;
const parameter = / ([^\s=\]"]{1,64})="((?:[^"\\\]]|\\[^])*)"/g;

/** A backslash only escapes `"`, `\` and `]`; before anything else it stands for itself. */
function unescaped(value: string): string {
  return value.replace(/\\(["\\\]])/g, "$1");
}

function add(owner: Json, name: string, value: unknown): void {
  const before = Object.hasOwn(owner, name) ? owner[name] : undefined;
  const all = before === undefined ? value : Array.isArray(before) ? [...(before as unknown[]), value] : [before, value];
  Object.defineProperty(owner, name, { value: all, enumerable: true, configurable: true, writable: true });
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
      for (const [, name, value] of (found[2] as string).matchAll(parameter)) add(parameters, name as string, unescaped(value as string));
      add(data, found[1] as string, parameters);
    }
  }
  if (at === 0 || (at < text.length && text[at] !== " ")) return undefined;
  return { data: Object.keys(data).length === 0 ? undefined : data, rest: text.slice(at + 1) };
}
