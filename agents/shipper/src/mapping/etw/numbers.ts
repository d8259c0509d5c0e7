// Why: SilkETW writes numbers as people read them, `11,996`.
// Enforces: such a number is the number that it says.
// Forbids: taking a comma for anything else: groups have three digits.

import { type Fields, toInteger } from "../json.ts";

/** Takes an integer, with or without thousands separators. */
export function plainInteger(data: Fields, name: string): number | undefined {
  const value = data.peek(name);
  if (typeof value !== "string" || !/^\d{1,3}(?:,\d{3})+$/.test(value)) return data.integer(name);
  const integer = toInteger(value.replaceAll(",", ""));
  if (integer !== undefined) data.take(name);
  return integer;
}
