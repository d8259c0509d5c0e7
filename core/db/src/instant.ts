/**
 * Why it exists: times cross our SQL as whole microseconds since 1970, in one way.
 * Enforces: no parsing of text, so that no session's settings have a say.
 * Forbids: text from outside as an expression; pass a parameter.
 */

/** SQL of a timestamptz from microseconds since 1970: a parameter such as `$1`, a column, or a whole number. */
export function instantSql(us: string | number): string {
  if (typeof us === "number" && !Number.isSafeInteger(us)) throw new RangeError(`${us} is no whole number of microseconds`);
  return `timestamptz '1970-01-01 00:00:00+00' + ${us}::bigint * interval '1 microsecond'`;
}
