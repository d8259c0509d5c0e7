/**
 * Why: how the engine writes rows was chosen; these are the ways that it was chosen from.
 * Enforces: each way writes the same rows, from memory, over one connection, with every commit flushed.
 * Forbids: encoding while the clock runs, but for INSERT, whose client always has to.
 */
import { type Client, copyIn } from "ransomeye-db";
import type { EncodedRows } from "../ingest/raw_copy.ts";

/** The same rows in the forms that the ways need. */
export interface Material {
  /** Binary COPY, by rows of a commit. */
  readonly binary: ReadonlyMap<number, readonly EncodedRows[]>;
  /** COPY's text, of as many rows as a commit of the engine. */
  readonly text: readonly EncodedRows[];
  /** As a client's driver sends values. */
  readonly values: readonly (readonly (string | null)[])[];
}

/** One way. */
export interface Way {
  readonly name: string;
  /** Before it, and what takes it back: settings of the server or of the session. */
  readonly set?: readonly [set: string, reset: string];
  /** Writes at most `rows` rows; gives how many. */
  readonly write: (client: Client, material: Material, rows: number) => Promise<number>;
}

/** Rows of a commit of the engine at most (`engine.commit_rows_max`). */
export const groupRows = 20_000;
export const groupSizes: readonly number[] = [100, 1_000, 5_000, groupRows, 100_000];
/** A statement takes 65,535 parameters at most. */
const insertRows = 1_000;
const table = "bench.rows";

const copied =
  (size: number) =>
  async (client: Client, { binary }: Material, rows: number): Promise<number> =>
    copyAll(client, "binary", binary.get(size) ?? [], rows);

/** The way that all others are compared with. */
export const reference: Way = { name: `COPY, binary, commits of ${groupRows} rows`, write: copied(groupRows) };

export const ways: readonly Way[] = [
  reference,
  { name: `COPY, text, commits of ${groupRows} rows`, write: (client, { text }, rows) => copyAll(client, "text", text, rows) },
  {
    name: `INSERT of ${insertRows} rows, commits of ${groupRows} rows`,
    write: (client, material, rows) => insertAll(client, material, rows, insertRows),
  },
  {
    name: `INSERT of one row, commits of ${groupRows} rows`,
    write: (client, material, rows) => insertAll(client, material, Math.ceil(rows / 10), 1),
  },
  ...groupSizes
    .filter((size) => size !== groupRows)
    .map((size) => ({ name: `COPY, binary, commits of ${size} rows`, write: copied(size) })),
  { ...reference, name: "the same, wal_compression = pglz", set: ["SET wal_compression = pglz", "RESET wal_compression"] },
  {
    ...reference,
    name: "the same, max_wal_size = 64MB",
    set: ["ALTER SYSTEM SET max_wal_size = '64MB'", "ALTER SYSTEM RESET max_wal_size"],
  },
];

async function copyAll(client: Client, format: "binary" | "text", commits: readonly EncodedRows[], rowsMax: number): Promise<number> {
  let rows = 0;
  for (const commit of commits) {
    if (rows >= rowsMax) break;
    rows += await copyIn(client, `COPY ${table} FROM STDIN (FORMAT ${format})`, commit);
  }
  return rows;
}

async function insertAll(client: Client, { values }: Material, rowsMax: number, each: number): Promise<number> {
  const width = values[0]?.length ?? 0;
  const row = (n: number): string => `(${Array.from({ length: width }, (_, i) => `$${n * width + i + 1}`).join(",")})`;
  const text = `INSERT INTO ${table} VALUES ${Array.from({ length: each }, (_, n) => row(n)).join(",")}`;
  let rows = 0;
  while (rows < rowsMax) {
    await client.query("BEGIN");
    for (let inGroup = 0; inGroup < groupRows && rows < rowsMax; inGroup += each) {
      const from = rows % values.length;
      const batch = values.slice(from, from + each);
      const { rowCount } = await client.query({ name: `insert_${each}`, text, values: batch.flat() });
      rows += rowCount ?? 0;
    }
    await client.query("COMMIT");
  }
  return rows;
}
