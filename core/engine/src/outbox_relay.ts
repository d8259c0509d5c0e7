// Why: messages that were written with their rows have to reach their streams, wherever those lie.
// Enforces: removed only after the stream has them; published twice after a crash, they are stored once, by their id; a stream that is full is waited for.
// Forbids: holding anything up: rows are stored whether streams answer or not.

import type { Pool } from "ransomeye-db";
import type { Message, MessageLog } from "ransomeye-pipeline";

const batch = 256;

export interface RelayOptions {
  /** Of a role that may read and empty the outbox (the keeper's). */
  readonly pool: Pool;
  readonly log: MessageLog;
}

/** Publishes what waits, oldest first; gives how many messages have left. */
export async function relayOutbox({ pool, log }: RelayOptions): Promise<number> {
  let relayed = 0;
  for (;;) {
    const { rows } = await pool.query<{ id: number; body: string }>("SELECT id, body FROM bus.outbox ORDER BY id LIMIT $1", [batch]);
    if (rows.length === 0) return relayed;
    const outcomes = await log.publish(rows.map(({ body }) => JSON.parse(body) as Message));
    const stored = rows.filter((_row, index) => outcomes[index]?.kind !== "full").map(({ id }) => id);
    await pool.query("DELETE FROM bus.outbox WHERE id = ANY ($1::bigint[])", [stored]);
    relayed += stored.length;
    if (stored.length < rows.length) return relayed;
  }
}
