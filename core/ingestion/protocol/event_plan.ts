// Why: one table says what a field is; checker and scanner read its notation by the same rules.
// Enforces: the meaning of `name!`, `thing[]`, `any` and object names, for everybody who reads event_schema.ts.
// Forbids: a second reading of the notation.

/** Types that a field may have; whatever is not named here is an object of event_objects.ts. */
export const basic = { string: 1, integer: 2, boolean: 3, any: 4, object: 5 } as const;
export type BasicType = (typeof basic)[keyof typeof basic];

/** What the notation of one field says. `object` names the object where `type` is one. */
export interface FieldNotation {
  readonly type: BasicType;
  readonly list: boolean;
  readonly mandatory: boolean;
  readonly object: string | null;
}

export function readNotation(notation: string): FieldNotation {
  const mandatory = notation.endsWith("!");
  const bare = mandatory ? notation.slice(0, -1) : notation;
  const list = bare.endsWith("[]");
  const name = list ? bare.slice(0, -2) : bare;
  const type = Object.hasOwn(basic, name) && name !== "object" ? basic[name as keyof typeof basic] : basic.object;
  return { type, list, mandatory, object: type === basic.object ? name : null };
}
