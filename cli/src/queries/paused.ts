/**
 * Why it exists: a gateway that takes nothing looks like a quiet one, and an operator must see the difference.
 * Enforces: the bus says it itself, by the same rule that gates are told by.
 * Forbids: nothing beyond that.
 */
import type { Pool } from "ransomeye-db";

/** Why the bus takes nothing at the moment, or null. */
export async function pausedReason(pool: Pool): Promise<string | null> {
  const { rows } = await pool.query<{ paused: string | null }>("SELECT paused FROM bus.load()");
  return rows[0]?.paused ?? null;
}
