// Why: one row that PostgreSQL refuses must cost that row, not the commit group and not the partition.
// Enforces: the whole group in one COPY as long as all is well; after a refusal, halving under savepoints until the row is found;
//   rows that PostgreSQL counted = rows that were prepared, less the refused ones.
// Forbids: dead-lettering for any error that is not about data, and without bound.

import { type PoolClient, copyIn } from "ransomeye-db";
import { EngineError } from "./codes.ts";
import type { PreparedFrame, RowBatch } from "./row_batch.ts";
import { copyEventsSql, inData, type PlaceOf } from "./sink_statements.ts";
import { disposition, sqlState } from "./sqlstate.ts";
import { type DeadLetter, type EventTable, byteLengthColumn, byteOffsetColumn, lineColumn, seqColumn } from "./tables.ts";

/** More refused rows than this in one commit are no fault of the data: the table and this version do not fit. */
export const refusedRowsMax = 256;

/** Copies all rows at once. Throws PostgreSQL's error; a data error calls for `copySearching`. */
export async function copyAll(
  client: PoolClient,
  table: EventTable,
  batch: RowBatch,
  frames: readonly PreparedFrame[],
  placeOf: PlaceOf = inData,
): Promise<void> {
  const pieces = batch.stream(table, frames);
  if (pieces.length <= 2) return;
  await copyExactly(
    client,
    copyEventsSql(table, placeOf),
    pieces,
    frames.reduce((sum, frame) => sum + (frame.table === table ? frame.rows : 0), 0),
  );
}

/** Copies what PostgreSQL takes and gives a dead letter for each row that it refuses, in the rows' order. */
export async function copySearching(
  client: PoolClient,
  table: EventTable,
  batch: RowBatch,
  frames: readonly PreparedFrame[],
  placeOf: PlaceOf = inData,
): Promise<DeadLetter[]> {
  const rows = frames.flatMap((frame) => splitRows(Buffer.concat(batch.rows(table, [frame]))).map((bytes) => ({ frame, bytes })));
  const refused: DeadLetter[] = [];
  await copyHalf(rows);
  return refused;

  async function copyHalf(half: readonly PlacedRow[]): Promise<void> {
    if (half.length === 0) return;
    await client.query("SAVEPOINT half");
    try {
      await copyExactly(
        client,
        copyEventsSql(table, placeOf),
        batch.wrap(
          table,
          half.map((row) => row.bytes),
        ),
        half.length,
      );
    } catch (error) {
      if (disposition(error).action !== "data") throw error;
      await client.query("ROLLBACK TO SAVEPOINT half");
      await client.query("RELEASE SAVEPOINT half");
      const only = half.length === 1 ? half[0] : undefined;
      if (only !== undefined) refused.push(deadLetterOf(only, sqlState(error) ?? ""));
      if (refused.length > refusedRowsMax)
        throw new EngineError("ENGINE_ROWS_REFUSED", `more than ${refusedRowsMax} rows were refused`, { cause: error });
      if (only === undefined) {
        const middle = half.length >> 1;
        await copyHalf(half.slice(0, middle));
        await copyHalf(half.slice(middle));
      }
      return;
    }
    await client.query("RELEASE SAVEPOINT half");
  }
}

async function copyExactly(client: PoolClient, sql: string, pieces: readonly Buffer[], rows: number): Promise<void> {
  const copied = await copyIn(client, sql, pieces);
  if (copied !== rows) throw new EngineError("ENGINE_COUNT_BROKEN", `PostgreSQL counted ${copied} rows of ${rows}`);
}

interface PlacedRow {
  readonly frame: PreparedFrame;
  readonly bytes: Buffer;
}

/** Cuts the bytes of binary COPY between rows. A row: 16-bit number of fields, then each field's 32-bit length (-1: NULL) and bytes. */
export function splitRows(bytes: Buffer): Buffer[] {
  const rows: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const to = fieldAt(bytes, from, bytes.readInt16BE(from));
    rows.push(bytes.subarray(from, to));
    from = to;
  }
  return rows;
}

/** Where field `index` (its length word) of the row that begins at `row` stands. */
function fieldAt(bytes: Buffer, row: number, index: number): number {
  let at = row + 2;
  for (let field = 0; field < index; field++) at += 4 + Math.max(0, bytes.readInt32BE(at));
  return at;
}

function deadLetterOf({ frame, bytes }: PlacedRow, state: string): DeadLetter {
  const { link, position } = frame;
  return {
    receivedUs: position.receivedUs,
    producer: link.producer,
    epoch: link.epoch,
    firstSeq: Number(bytes.readBigInt64BE(fieldAt(bytes, 0, seqColumn) + 4)),
    count: 1,
    part: position.part,
    off: position.off,
    line: bytes.readInt32BE(fieldAt(bytes, 0, lineColumn) + 4),
    byteOffset: bytes.readInt32BE(fieldAt(bytes, 0, byteOffsetColumn) + 4),
    byteLength: bytes.readInt32BE(fieldAt(bytes, 0, byteLengthColumn) + 4),
    code: "ENGINE_ROW_REFUSED",
    detail: `SQLSTATE ${state}`,
  };
}
