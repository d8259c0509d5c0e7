/**
 * Why it exists: the words in which it is said how a table lies on disk.
 * Enforces: what is said of one table is said of each.
 * Forbids: tables.
 */
import type { Schema } from "../src/role_names.ts";

/** An index of a table. */
export interface IndexChoice {
  readonly method: "btree" | "brin";
  readonly why: string;
  /** Expected bytes for each row of its table; not said where rows are few. */
  readonly bytes?: number;
}

/** How one table is stored. */
export interface TableChoice {
  readonly name: `${Schema}.${string}`;
  /** What it has a row for. */
  readonly rowFor: string;
  /** Why it survives a crash, or need not. */
  readonly crash: string;
  readonly unlogged?: true;
  /** Partitioned by received day: by what it goes. */
  readonly byDay?: string;
  /** Percent of a page that inserts fill; PostgreSQL's own is 100. */
  readonly fillfactor?: number;
  /** Options of autovacuum that are not PostgreSQL's own, with the reason. */
  readonly upkeep?: { readonly why: string; readonly options: readonly string[] };
  /** Expected bytes of the heap for each row, its header and free space included, without what lies out of line; not said where rows are few. */
  readonly rowBytes?: number;
  readonly indexes: Readonly<Record<string, IndexChoice>>;
  /** `none`: a row stays as it was written. `hot`: beside itself in its page, no index is touched. `rare`: now and then, not on a hot path; HOT is not counted on. */
  readonly updates: "none" | "hot" | "rare";
  /** What updates or deletes rows. */
  readonly changedBy: string;
}

export const btree: (why: string, bytes?: number) => IndexChoice = (why: string, bytes?: number): IndexChoice => ({
  method: "btree",
  why,
  ...(bytes === undefined ? {} : { bytes }),
});
export const brin: (why: string, bytes: number) => IndexChoice = (why: string, bytes: number): IndexChoice => ({
  method: "brin",
  why,
  bytes,
});
export const key: (name: string, bytes?: number) => Record<string, IndexChoice> = (
  name: string,
  bytes?: number,
): Record<string, IndexChoice> => ({
  [name]: btree("rows are found and kept apart by it", bytes),
});

export const never: string = "nothing";
export const retention: string = "nothing; retention drops the day";
export const evidence: string = "it is evidence under a receipt";
export const dayOfEvents: string = "retention: a day goes as one file";
export const byTimes: string =
  "rows come in the order of received time, so that a range of pages says enough; a B-tree would cost a tenth of the row";

/** A table of few rows, found by its key. */
export function few(
  name: TableChoice["name"],
  rowFor: string,
  crash: string,
  index: string,
  changedBy: string,
  updates: TableChoice["updates"] = "none",
): TableChoice {
  return { name, rowFor, crash, indexes: key(index), updates, changedBy };
}
