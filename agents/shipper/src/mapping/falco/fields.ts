// Why: Falco writes its fields flat under dotted names; forwarders nest them.
// Enforces: one way to take a field by its Falco name, whichever way it was written.
// Forbids: `<NA>` as a value: it is Falco's word for "there is none".

import type { Fields } from "../json.ts";

const absent = "<NA>";

/** A view on `output_fields` by Falco's own field names. */
export class FalcoFields {
  readonly #output: Fields;

  constructor(output: Fields) {
    this.#output = output;
  }

  peek(name: string): unknown {
    const [owner, key] = this.#place(name);
    return owner.peek(key);
  }

  /** Looks at a text that says something. */
  word(name: string): string | undefined {
    const [owner, key] = this.#place(name);
    const word = owner.word(key);
    return word === absent ? undefined : word;
  }

  /** Takes a text that says something. A number counts as its text. */
  text(name: string): string | undefined {
    const [owner, key] = this.#place(name);
    return owner.peek(key) === absent ? undefined : owner.text(key);
  }

  integer(name: string): number | undefined {
    const [owner, key] = this.#place(name);
    return owner.integer(key);
  }

  /** The object that holds the field, and its name there: the dotted name, else the last of its parts. */
  #place(name: string): readonly [owner: Fields, key: string] {
    if (this.#output.has(name)) return [this.#output, name];
    const parts = name.split(".");
    const key = parts.pop() as string;
    return [parts.reduce((owner, part) => owner.nested(part), this.#output), key];
  }
}
