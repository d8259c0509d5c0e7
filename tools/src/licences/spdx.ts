/**
 * Why: G-2, only some licences are allowed, and packages say theirs as SPDX expressions.
 * Enforces: of `A OR B` one branch must be allowed, of `A AND B` both; an exception (`WITH`) is a licence of its own.
 * Forbids: anything that does not parse or is not on the list.
 */

/** Allowed licences. ISC and 0BSD count as BSD: see core/docs/decisions. */
export const allowedLicences: ReadonlySet<string> = new Set(["MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "0BSD"]);

/** True if the expression can be satisfied by allowed licences alone. */
export function isAllowed(expression: string): boolean {
  const tokens = expression.match(/[()]|[A-Za-z0-9.+:-]+/g) ?? [];
  if (tokens.join("").length !== expression.replace(/\s/g, "").length) return false;
  const parser = new Parser(tokens);
  const result = parser.either();
  return parser.atEnd ? result === true : false;
}

/** Recursive descent; `undefined` stands for a syntax error and wins over everything. */
class Parser {
  #at = 0;
  readonly #tokens: readonly string[];

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get atEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  either(): boolean | undefined {
    let result = this.#both();
    while (this.#take("OR")) {
      const right = this.#both();
      result = result === undefined || right === undefined ? undefined : result || right;
    }
    return result;
  }

  #both(): boolean | undefined {
    let result = this.#one();
    while (this.#take("AND")) {
      const right = this.#one();
      result = result === undefined || right === undefined ? undefined : result && right;
    }
    return result;
  }

  #one(): boolean | undefined {
    if (this.#take("(")) {
      const inner = this.either();
      return this.#take(")") ? inner : undefined;
    }
    const name = this.#tokens[this.#at];
    if (name === undefined || ["AND", "OR", "WITH", ")"].includes(name)) return undefined;
    this.#at += 1;
    if (!this.#take("WITH")) return allowedLicences.has(name);
    this.#at += 1;
    return false;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }
}
