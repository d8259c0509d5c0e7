import type { Queryable } from "./pool.ts";

/** The schema as stable text, from a catalogue query of our own. */
export function schemaDump(_pool: Queryable): Promise<string> {
  return Promise.reject(new Error("not built yet"));
}
