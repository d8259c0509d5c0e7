// Why: messages that were written with their rows have to reach their streams, wherever those lie.
// Enforces: removed only after the stream has them; published twice after a crash, they are stored once, by their id; a stream that is full, or fails, is
// waited for, and keeps back nothing but its own messages of that priority, in their order.
// Forbids: JSON that the database parses, whose jsonb refuses an escaped NUL and half a surrogate pair; and holding anything up: rows are stored whether streams answer or not.

import { BinaryCopyEncoder, copyIn, type Pool, type PoolClient } from "ransomeye-db";
import { type Message, type MessageLog, MessagePriority, StreamName } from "ransomeye-pipeline";

/** Of a lane. */
const batch = 256;

const laneOf = (stream: StreamName, priority: MessagePriority): string => `${stream} ${priority}`;

/** All; what was written before there were any lies in one without a name. */
const lanes = [
  "",
  ...Object.values(StreamName).flatMap((stream) => Object.values(MessagePriority).map((priority) => laneOf(stream, priority))),
];

/** The oldest of each lane. BETWEEN, and not equal: the planner would else walk through all that waits by id, for lanes of which nothing does. */
const waitingSql = `
  SELECT o.id, l.lane, o.body
  FROM unnest($1::text[]) AS l (lane) CROSS JOIN LATERAL (
    SELECT id, body FROM bus.outbox WHERE lane BETWEEN l.lane AND l.lane ORDER BY outbox.lane, id LIMIT $2) AS o
  ORDER BY o.id`;

export interface RelayOptions {
  /** Of a role that may read and empty the outbox (the keeper's). */
  readonly pool: Pool;
  readonly log: MessageLog;
}

interface Waiting {
  readonly id: number;
  readonly lane: string;
  readonly body: string;
}

/** Has messages wait for the relay, as part of the transaction that `client` is in, if any. */
export async function writeOutbox(client: PoolClient, messages: readonly Message[]): Promise<void> {
  if (messages.length === 0) return;
  const encoder = new BinaryCopyEncoder();
  for (const message of messages) {
    encoder.row(3);
    encoder.uuid(message.message_id);
    encoder.text(laneOf(message.stream, message.priority));
    encoder.text(JSON.stringify(message));
  }
  await copyIn(client, "COPY bus.outbox (message_id, lane, body) FROM STDIN (FORMAT binary)", [encoder.finish()]);
}

/**
 * Publishes what waits, oldest first; gives how many messages have left.
 * @throws the first failure of a stream, after all others have been served
 */
export async function relayOutbox({ pool, log }: RelayOptions): Promise<number> {
  const open = new Set(lanes);
  let failure: Error | undefined;
  for (let relayed = 0; ; ) {
    const { rows } = await pool.query<Waiting>(waitingSql, [[...open], batch]);
    if (rows.length === 0 && failure !== undefined) throw failure;
    if (rows.length === 0) return relayed;
    const outcomes = await Promise.allSettled(rows.map(({ body }) => log.publish([JSON.parse(body) as Message])));
    const stored: number[] = [];
    for (const [index, { id, lane }] of rows.entries()) {
      const outcome = outcomes[index];
      if (outcome?.status === "rejected") failure ??= outcome.reason as Error;
      if (outcome?.status === "fulfilled" && outcome.value[0]?.kind !== "full") stored.push(id);
      else open.delete(lane);
    }
    if (stored.length > 0) await pool.query("DELETE FROM bus.outbox WHERE id = ANY ($1::bigint[])", [stored]);
    relayed += stored.length;
  }
}
