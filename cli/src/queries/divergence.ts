/**
 * Why it exists: a partition stops when the log no longer holds what was read from it, and an operator has to see which, and why.
 * Enforces: both sides are compared anew at each call; nothing rests on what some process has noted down.
 * Forbids: changing anything.
 */
import type { Pool } from "ransomeye-db";
import type { FrameReader } from "ransomeye-pipeline";

/** A partition in which the engine's place is not, or no longer, the log's. */
export interface DivergedPlace {
  readonly part: number;
  /** Up to where the engine has stored. */
  readonly off: number;
  /** The log's end. */
  readonly tail: number;
}

/** A producer whose last stored frame is not in the log. */
export interface DivergedProducer {
  readonly producer: string;
  /** Up to where rows were made … */
  readonly epoch: number;
  readonly seq: number;
  /** … and up to where the log goes; 0 where it has never heard of the producer. */
  readonly bus_epoch: number;
  readonly bus_seq: number;
  /** Where the log has the epoch of the last stored frame; null where it does not know that epoch. */
  readonly part: number | null;
}

/** The engine's group on the bus. The engine's room is loaded for whoever asks, and not for every command. */
export async function engineGroupName(): Promise<string> {
  return (await import("ransomeye-engine")).engineGroup;
}

/** One look-up for each partition: cheap. */
export async function divergedPlaces(pool: Pool): Promise<DivergedPlace[]> {
  const sql = "SELECT part, off, tail FROM views.consumer_lag WHERE grp = $1 AND NOT proven ORDER BY part";
  return (await pool.query<DivergedPlace>(sql, [await engineGroupName()])).rows;
}

interface StoredEnd {
  readonly part: number;
  readonly off: number;
  readonly received_us: number;
  readonly entry_hash: Buffer;
}

/** The same for a log on servers of its own: they are asked what they hold where rows end. Needs the keeper's role. */
export async function divergedPlacesOn(log: FrameReader, keeper: Pool): Promise<DivergedPlace[]> {
  const { rows } = await keeper.query<StoredEnd>(
    "SELECT part, off, received_us, entry_hash FROM bus.log_ends(true) WHERE off > 0 ORDER BY part",
  );
  const tails = new Map((await log.tails()).map(({ part, off }) => [part, off]));
  const { generation } = log;
  const found = await Promise.all(
    rows.map(({ part, off, received_us: receivedUs, entry_hash: hash }) => log.checkPosition({ generation, part, off, receivedUs, hash })),
  );
  return rows.flatMap(({ part, off }, index) => (found[index] === "diverged" ? [{ part, off, tail: tails.get(part) ?? 0 }] : []));
}

/** One look-up for each producer. */
export async function divergedProducers(pool: Pool): Promise<DivergedProducer[]> {
  const sql = "SELECT producer_id AS producer, epoch, seq, bus_epoch, bus_seq, part FROM views.sink_diverged ORDER BY producer_id";
  return (await pool.query<DivergedProducer>(sql)).rows;
}
