// Why: mappings read foreign objects of any shape, and nothing that they leave behind may get lost.
// Enforces: a field is taken once and only if it has the type that its place wants; whatever is not taken stays and goes to `unmapped`.
// Forbids: taking a value that has to be thrown away.

/** A JSON object. */
export type Json = Record<string, unknown>;

/** The value as an object, if it is one. */
export function asObject(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** The object, or undefined where nothing in it has a value: an empty object says nothing and may be invalid. */
export function some(object: Json): Json | undefined {
  for (const name in object) if (object[name] !== undefined) return object;
  return undefined;
}

/**
 * Sets a value that a text names; of one that comes twice all are kept, as a list. Any name is a name, `__proto__` too. A list that is there grows in its place:
 * a text may repeat one name a hundred thousand times, and copying the list each time would stand still on it.
 */
export function addValue(object: Json, name: string, value: unknown): void {
  const before = Object.hasOwn(object, name) ? object[name] : undefined;
  if (Array.isArray(before)) {
    before.push(value);
    return;
  }
  const all = before === undefined ? value : [before, value];
  Object.defineProperty(object, name, { value: all, enumerable: true, configurable: true, writable: true });
}

/** The text without the NULs at its end. Not by `/\0+$/`, which begins anew at every NUL of a run that does not end the text. */
export function withoutNuls(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end -= 1;
  return text.slice(0, end);
}

/** A view on one object of a record, from which fields are taken. What is taken is set to `undefined`, which JSON.stringify leaves out. */
export class Fields {
  readonly #object: Json;
  readonly #nested = new Map<string, Fields>();
  /** What was taken, in order, so that it can be put back. */
  readonly #taken: [name: string, value: unknown][] = [];

  constructor(object: Json) {
    this.#object = object;
  }

  /** Looks without taking. */
  peek(name: string): unknown {
    return this.#object[name];
  }

  /** Looks at a text without taking it: for words that choose a class or activity and are not kept by it. */
  word(name: string): string | undefined {
    const value = this.#object[name];
    return typeof value === "string" && value !== "" && value !== "-" ? value : undefined;
  }

  has(name: string): boolean {
    return this.#object[name] !== undefined;
  }

  /** Takes whatever is there. */
  take(name: string): unknown {
    const value = this.#object[name];
    if (value !== undefined) this.#remove(name, value);
    return value;
  }

  #remove(name: string, value: unknown): void {
    this.#taken.push([name, value]);
    this.#object[name] = undefined;
  }

  /** Makes a part out of fields. Where it comes to nothing, what was taken for it is put back: a user without a process has no place. */
  attempt<T>(make: () => T | undefined): T | undefined {
    const mark = this.#taken.length;
    const part = make();
    if (part === undefined) for (const [name, value] of this.#taken.splice(mark)) this.#object[name] = value;
    return part;
  }

  /** Takes a text that says something: not empty, not `-`. A number counts as its text. */
  text(name: string): string | undefined {
    const value = this.#object[name];
    const text = typeof value === "number" ? String(value) : value;
    if (typeof text !== "string" || text === "" || text === "-") return undefined;
    this.#remove(name, value);
    return text;
  }

  /** Takes an integer, also from decimal text. */
  integer(name: string): number | undefined {
    const value = this.#object[name];
    const integer = toInteger(value);
    if (integer !== undefined) this.#remove(name, value);
    return integer;
  }

  /** Takes true or false. */
  flag(name: string): boolean | undefined {
    const value = this.#object[name];
    if (typeof value !== "boolean") return undefined;
    this.#remove(name, value);
    return value;
  }

  /** Takes a list of texts; only if every element is one. */
  texts(name: string): string[] | undefined {
    const value = this.#object[name];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) return undefined;
    this.#remove(name, value);
    return value;
  }

  /** Takes the one text of a list that has no more. */
  onlyText(name: string): string | undefined {
    const value = this.#object[name];
    return Array.isArray(value) && value.length === 1 ? this.texts(name)?.[0] : undefined;
  }

  /** A view on a nested object; an empty one if there is none. What stays in it stays in the record. */
  nested(name: string): Fields {
    let fields = this.#nested.get(name);
    if (fields === undefined) {
      fields = new Fields(asObject(this.#object[name]) ?? {});
      this.#nested.set(name, fields);
    }
    return fields;
  }

  /** What was left, for `unmapped`; undefined if nothing was. Objects that have been emptied are left out. */
  rest(): Json | undefined {
    for (const [name, fields] of this.#nested) {
      if (asObject(this.#object[name]) !== undefined && fields.rest() === undefined) this.#object[name] = undefined;
    }
    return some(this.#object);
  }
}

/** An integer that a double holds exactly, from a number or from decimal or 0x-hexadecimal text. */
export function toInteger(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== "string" || value.length > 18 || !/^(?:-?\d+|0[xX][0-9a-fA-F]+)$/.test(value)) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

/**
 * Writes numbers that a double cannot hold exactly (integers beyond 2^53, exponents beyond its range) as texts, so that they survive the way
 * through JSON.parse. `text` must be JSON; anything else comes back changed or not, and is no JSON either way.
 */
export function keepExactNumbers(text: string): string {
  // Most records have none; a number stands behind a colon, comma or bracket. Texts that look so only cost the careful way below.
  if (!/(?:^|[:,[])\s*-?(?:\d{16}|\d+(?:\.\d+)?[eE])/.test(text)) return text;
  // A text that has no end reaches to the end of the record: where it failed, it would be tried anew at each quote in it, over all that follows.
  return text.replace(/"(?:[^"\\]|\\[^])*(?:"|\\?$)|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) => {
    if (token.charCodeAt(0) === 0x22) return token;
    const number = Number(token);
    const whole = !/[.eE]/.test(token);
    return (whole && !Number.isSafeInteger(number)) || !Number.isFinite(number) ? `"${token}"` : token;
  });
}
