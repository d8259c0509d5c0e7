// Why: every statement of the row transaction in one place, each with what it guards.
// Enforces: the fence and the expected offset in one WHERE; heads read under lock and moved by compare and set.
// Forbids: statements on tables that are not the engine's in the ownership matrix.

import { BinaryCopyEncoder, type PoolClient, copyIn } from "ransomeye-db";
import type { Lease, Position } from "ransomeye-pipeline";
import { type EpochFinal, type HeadMove, type SinkHead, finalKey } from "./sink_machine.ts";
import { offsetOf } from "./sink_store.ts";
import { type DeadLetter, type EventTable, type Gap, eventColumns } from "./tables.ts";

/** A group's step in one partition. */
export interface OffsetMove {
  readonly from: Position | null;
  readonly to: Position;
  /** What is held is at work: its lease ends no sooner than this after now. A renewal does not wait for it. */
  readonly leaseMs: number;
}

/**
 * Moves the group's offset of one partition, if nobody else has: the first statement of the row transaction, and the
 * lock that makes everything after it ours. False: the lease is void.
 */
export async function moveOffset(client: PoolClient, lease: Lease, { from, to, leaseMs }: OffsetMove): Promise<boolean> {
  const moved = await client.query({
    name: "engine_move_offset",
    text: `UPDATE bus.consumer_offset SET off = $5, generation = $6, entry_hash = $7, entry_received_us = $8,
             lease_until = greatest(lease_until, clock_timestamp() + $9 * interval '1 millisecond')
           WHERE grp = $1 AND part = $2 AND off = $3 AND fence = $4`,
    values: [lease.group, lease.part, offsetOf(from), lease.token, to.off, to.generation, to.hash, to.receivedUs, leaseMs],
  });
  return moved.rowCount === 1;
}

/** What an offset row says once every transaction that may still change it has ended: FOR UPDATE waits for the old backend. */
export async function settledOffset(client: PoolClient, lease: Lease): Promise<{ off: number; fence: number } | null> {
  const found = await client.query<{ off: number; fence: number }>(
    `SELECT off, fence FROM bus.consumer_offset WHERE grp = $1 AND part = $2 FOR UPDATE`,
    [lease.group, lease.part],
  );
  return found.rows[0] ?? null;
}

/** Heads of the producers in the sink, locked in the order of their ids, so that no two writers wait for each other. */
export async function lockHeads(client: PoolClient, producers: readonly string[]): Promise<Map<string, SinkHead>> {
  const found = await client.query<{ producer_id: string; epoch: number; seq: number; hash: Buffer }>({
    name: "engine_lock_heads",
    text: `SELECT producer_id, epoch, seq, hash FROM data.sink_head
           WHERE producer_id = ANY ($1::uuid[]) ORDER BY producer_id FOR UPDATE`,
    values: [producers],
  });
  return new Map(found.rows.map((row) => [row.producer_id, { epoch: row.epoch, seq: row.seq, hash: row.hash }]));
}

export async function closedEpochs(
  client: PoolClient,
  needed: readonly { producer: string; epoch: number }[],
): Promise<Map<string, EpochFinal>> {
  if (needed.length === 0) return new Map();
  const found = await client.query<{ producer_id: string; epoch: number; final_seq: number; final_hash: Buffer }>(
    `SELECT e.producer_id, e.epoch, e.final_seq, e.final_hash
     FROM data.sink_epochs e JOIN unnest($1::uuid[], $2::bigint[]) AS n (producer_id, epoch) USING (producer_id, epoch)`,
    [needed.map((epoch) => epoch.producer), needed.map((epoch) => epoch.epoch)],
  );
  return new Map(
    found.rows.map((row) => [
      finalKey(row.producer_id, row.epoch),
      { producer: row.producer_id, epoch: row.epoch, seq: row.final_seq, hash: row.final_hash },
    ]),
  );
}

/** Moves heads that still are what the plan was made on. False: one is not, and the transaction must not commit. */
export async function moveHeads(client: PoolClient, moves: readonly HeadMove[], nowUs: number): Promise<boolean> {
  const known = moves.filter((move) => move.from !== null);
  const fresh = moves.filter((move) => move.from === null);
  if (known.length > 0) {
    const moved = await client.query({
      name: "engine_move_heads",
      text: `UPDATE data.sink_head h SET epoch = n.epoch, seq = n.seq, hash = n.hash, producer_kind = n.kind,
               updated_at = to_timestamp($8 / 1000000.0)
             FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::smallint[])
               AS n (producer_id, from_epoch, from_seq, epoch, seq, hash, kind)
             WHERE h.producer_id = n.producer_id AND h.epoch = n.from_epoch AND h.seq = n.from_seq`,
      values: [
        known.map((move) => move.producer),
        known.map((move) => move.from?.epoch),
        known.map((move) => move.from?.seq),
        known.map((move) => move.to.epoch),
        known.map((move) => move.to.seq),
        known.map((move) => move.to.hash),
        known.map((move) => kindNumbers[move.producerKind]),
        nowUs,
      ],
    });
    if (moved.rowCount !== known.length) return false;
  }
  if (fresh.length > 0) {
    await client.query({
      name: "engine_first_heads",
      text: `INSERT INTO data.sink_head (producer_id, producer_kind, epoch, seq, hash, updated_at)
             SELECT n.producer_id, n.kind, n.epoch, n.seq, n.hash, to_timestamp($6 / 1000000.0)
             FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[]) AS n (producer_id, kind, epoch, seq, hash)
             ORDER BY n.producer_id`,
      values: [
        fresh.map((move) => move.producer),
        fresh.map((move) => kindNumbers[move.producerKind]),
        fresh.map((move) => move.to.epoch),
        fresh.map((move) => move.to.seq),
        fresh.map((move) => move.to.hash),
        nowUs,
      ],
    });
  }
  return true;
}

/** As in bus.frames.producer_kind. */
const kindNumbers: Readonly<Record<HeadMove["producerKind"], number>> = { dpi: 1, linux: 2, windows: 3, honeypot: 4 };

export async function closeEpochs(client: PoolClient, closed: readonly EpochFinal[]): Promise<void> {
  if (closed.length === 0) return;
  await client.query(
    `INSERT INTO data.sink_epochs (producer_id, epoch, final_seq, final_hash)
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[])`,
    [
      closed.map((epoch) => epoch.producer),
      closed.map((epoch) => epoch.epoch),
      closed.map((epoch) => epoch.seq),
      closed.map((epoch) => epoch.hash),
    ],
  );
}

/** The table that rows of a table go to; a rebuild has others than those that are read. */
export type PlaceOf = (table: EventTable | "event_dead_letters" | "gaps") => string;

export const inData: PlaceOf = (table) => `data.${table}`;

/** COPY of one event table, in the order of columns that `row_batch.ts` writes. */
export function copyEventsSql(table: EventTable, placeOf: PlaceOf = inData): string {
  return `COPY ${placeOf(table)} (${eventColumns.join(", ")}) FROM STDIN (FORMAT binary)`;
}

export async function writeDeadLetters(client: PoolClient, deadLetters: readonly DeadLetter[], placeOf: PlaceOf = inData): Promise<void> {
  if (deadLetters.length === 0) return;
  const encoder = new BinaryCopyEncoder();
  for (const dead of deadLetters) {
    encoder.row(12);
    placeColumns(encoder, dead);
    for (const value of [dead.line, dead.byteOffset, dead.byteLength]) {
      if (value === null) encoder.null();
      else encoder.int4(value);
    }
    encoder.text(dead.code);
    encoder.text(dead.detail.replaceAll("\0", "\ufffd"));
  }
  await copyIn(
    client,
    `COPY ${placeOf("event_dead_letters")} (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off,
       line, byte_offset, byte_length, code, detail) FROM STDIN (FORMAT binary)`,
    [encoder.finish()],
  );
}

export async function writeGaps(client: PoolClient, gaps: readonly Gap[], placeOf: PlaceOf = inData): Promise<void> {
  if (gaps.length === 0) return;
  const encoder = new BinaryCopyEncoder();
  for (const gap of gaps) {
    encoder.row(8);
    placeColumns(encoder, gap);
    encoder.text(gap.reason);
  }
  await copyIn(
    client,
    `COPY ${placeOf("gaps")} (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, reason) FROM STDIN (FORMAT binary)`,
    [encoder.finish()],
  );
}

/** The seven columns that dead letters and gaps have in common. */
function placeColumns(encoder: BinaryCopyEncoder, place: DeadLetter | Gap): void {
  encoder.timestamptzUs(place.receivedUs);
  encoder.uuid(place.producer);
  encoder.int8(place.epoch);
  encoder.int8(place.firstSeq);
  encoder.int4(place.count);
  encoder.int4(place.part);
  encoder.int8(place.off);
}

/** Has the day partitions of these days (YYYY-MM-DD, UTC) made. Outside any transaction. */
export async function ensureDays(client: PoolClient, days: readonly string[]): Promise<void> {
  for (const day of days) await client.query("SELECT ops.ensure_partitions($1::date, 1)", [day]);
}
