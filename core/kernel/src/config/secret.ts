/**
 * Why: a password in a log line is a leak for ever.
 * Enforces: a secret shows as `[secret]` wherever it is printed or serialised, and as an empty object where it is inspected; only `reveal()` gives the text.
 * Forbids: secrets as plain strings in Config.
 */
const shown = "[secret]";

/** A text that does not print itself. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. Call it where the secret is used, and keep no copy. */
  reveal(): string {
    return this.#text;
  }

  /** True if nothing was set. */
  get isEmpty(): boolean {
    return this.#text === "";
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }
}
