/**
 * Why: `config.gateway.lingerMs` must be a number because the table says so, with no second declaration that could disagree.
 * Enforces: Config is computed from the table's own type.
 * Forbids: casts where a field is read.
 */
import type { configFields } from "./fields.ts";
import type { Secret } from "./secret.ts";

type Table = typeof configFields;

/** `buffer_bytes_max` becomes `bufferBytesMax`. */
type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;

type Value<S> = S extends { secret: true }
  ? Secret
  : S extends { type: "choice"; choices: readonly (infer C)[] }
    ? C
    : S extends { type: "boolean" }
      ? boolean
      : S extends { type: "integer" | "ratio" | "bytes" }
        ? number
        : string;

type Section<K> = K extends `${infer S}.${string}` ? S : never;

type TopLevel = { readonly [K in keyof Table as K extends `${string}.${string}` ? never : Camel<K>]: Value<Table[K]> };
type Sections = {
  readonly [S in Section<keyof Table>]: {
    readonly [K in keyof Table as K extends `${S}.${infer Name}` ? Camel<Name> : never]: Value<Table[K]>;
  };
};

/** The whole configuration: deeply frozen, every field present, in the units of the table (bytes as numbers). */
export type Config = TopLevel & Sections;
