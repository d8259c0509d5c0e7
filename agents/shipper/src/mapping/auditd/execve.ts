// Why: the arguments of a program are spread: each in a field of its own, long ones in parts, many over several records.
// Enforces: one list of arguments in their order; parts are put together before they are decoded, for a character may lie on their border.
// Forbids: losing an argument: what does not fit the scheme stays as it is.

import { isUtf8 } from "node:buffer";
import { hexBytes } from "./audit_fields.ts";
import { addValue, type Fields, type Json } from "../json.ts";

const part = /^(a\d+)\[(\d+)\]$/;

/** A part's text with its quotes, or hexadecimal. */
function bytesOf(value: string): Buffer | undefined {
  return value.startsWith('"') ? Buffer.from(value.slice(1, value.length > 1 && value.endsWith('"') ? -1 : undefined)) : hexBytes(value);
}

/** Several EXECVE records of one event as one, `a1[0]` and `a1[1]` as `a1`. */
export function mergedExecve(records: readonly Json[]): Json {
  const merged: Json = {};
  const parts = new Map<string, [index: number, value: string][]>();
  for (const record of records) {
    for (const [name, value] of Object.entries(record)) {
      const found = part.exec(name);
      if (found === null || typeof value !== "string") addValue(merged, name, value);
      else {
        const argument = found[1] as string;
        const known = parts.get(argument) ?? [];
        if (known.length === 0) parts.set(argument, known);
        known.push([Number(found[2]), value]);
      }
    }
  }
  for (const [argument, all] of parts) {
    all.sort(([a], [b]) => a - b);
    const bytes = all.map(([, value]) => bytesOf(value));
    const whole = bytes.every((one) => one !== undefined) ? Buffer.concat(bytes) : undefined;
    const text = whole !== undefined && isUtf8(whole) ? whole.toString("utf8") : all.map(([, value]) => value).join("");
    addValue(merged, argument, text);
  }
  return merged;
}

/** `a0`, `a1`, … of a record in their order, as far as none is missing; looks without taking. */
export function argumentsOf(execve: Fields): string[] {
  const list: string[] = [];
  for (let i = 0; ; i++) {
    const argument = execve.peek(`a${i}`);
    if (typeof argument !== "string") return list;
    list.push(argument);
  }
}
