/**
 * Why: the table of fields is read by people; what a field can be stands apart from it.
 * Enforces: closed kinds of values, each with its bounds.
 * Forbids: fields.
 */

interface Described {
  /** One sentence or two for the reference page: what it does and why one would change it. */
  readonly prose: string;
  /** True if a running process takes over a new value; else a restart does. */
  readonly reloadable: boolean;
}

/** Free text. `pattern` is a whole-string regular expression that `expected` puts into words. */
export interface TextField extends Described {
  readonly type: "text" | "path";
  readonly default: string;
  readonly pattern?: string;
  readonly expected?: string;
}
/** `host:port`; IPv6 hosts in brackets; port 0 lets the system choose. */
export interface AddressField extends Described {
  readonly type: "address";
  readonly default: string;
}
/** A URL with one of `protocols`, or empty. Always secret: it may hold a password. */
export interface UrlField extends Described {
  readonly type: "url";
  readonly default: "";
  readonly protocols: readonly string[];
  readonly secret: true;
}
export interface ChoiceField extends Described {
  readonly type: "choice";
  readonly choices: readonly string[];
  readonly default: string;
}
export interface BooleanField extends Described {
  readonly type: "boolean";
  readonly default: boolean;
}
/** A whole number (`integer`) or a fraction (`ratio`) in words of `unit`. */
export interface NumberField extends Described {
  readonly type: "integer" | "ratio";
  readonly unit: string;
  readonly default: number;
  readonly min: number;
  readonly max: number;
}
/** An amount of bytes; written as a number or with KiB, MiB, GiB, TiB. */
export interface BytesField extends Described {
  readonly type: "bytes";
  readonly default: string;
  readonly min: string;
  readonly max: string;
}
export type FieldSpec = TextField | AddressField | UrlField | ChoiceField | BooleanField | NumberField | BytesField;
