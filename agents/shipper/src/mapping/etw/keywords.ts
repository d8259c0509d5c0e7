// Why: ETW's keywords are 64 bits, and every writer has its own way to write them: hexadecimal, decimal, decimal with a sign.
// Enforces: one text for one mask, so that it can be searched for.
// Forbids: a double between the two: `-9223372036854775808` and its neighbours would become one.

const bits = 64;

/** `0x` and sixteen hexadecimal digits from any of the three; undefined for whatever is no 64-bit mask. */
export function keywordsMask(value: unknown): string | undefined {
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || !/^(?:-?\d{1,20}|0[xX][0-9a-fA-F]{1,16})$/.test(text)) return undefined;
  const mask = BigInt(text);
  if (mask !== BigInt.asUintN(bits, mask) && mask !== BigInt.asIntN(bits, mask)) return undefined;
  return `0x${BigInt.asUintN(bits, mask)
    .toString(16)
    .padStart(bits / 4, "0")}`;
}
