/**
 * Why it exists: a row is an index of signed bytes; whoever checks one derives it again and compares column by column.
 * Enforces: every derived column takes part; a version of the derivation that this release does not have is said, not guessed.
 * Forbids: believing the row.
 */
import { deriveRow, newRowColumns, NORMALISER_VERSION, parseLine, type RowColumns, unparsed } from "ransomeye-ingestion/protocol";

/** A row as it is stored: its place in the batch, the versions that it was made with, and what was derived. */
export interface StoredRow extends RowColumns {
  readonly line: number;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly schemaVersion: number;
  readonly mappingVersion: number;
  readonly normaliserVersion: number;
}

/** The column names of {@link RowColumns}, once. */
export const derivedColumns: readonly (keyof RowColumns)[] = Object.keys(newRowColumns()) as (keyof RowColumns)[];

/** What is wrong with a row of this line, in words; undefined if it is what the bytes say. */
export function rowFault(row: RowColumns & { readonly normaliserVersion?: number }, line: Buffer, receivedUs: number): string | undefined {
  const { normaliserVersion = NORMALISER_VERSION } = row;
  if (normaliserVersion !== NORMALISER_VERSION)
    return `was derived by normaliser ${normaliserVersion}; this release has ${NORMALISER_VERSION}: verify with the release that has it, or rebuild its day`;
  const value = parseLine(line, 0, line.length);
  if (value === unparsed) return "the line is not JSON";
  const derived = newRowColumns();
  deriveRow(value, receivedUs, derived);
  const different = derivedColumns.filter((name) => !same(derived[name], row[name]));
  return different.length === 0 ? undefined : `differs in ${different.join(", ")}`;
}

function same(a: unknown, b: unknown): boolean {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b;
}
