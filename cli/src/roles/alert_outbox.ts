/**
 * Why it exists: alarms of all processes reach stream:alerts by the outbox, as all that the system publishes; the keeper may write there.
 * Enforces: one statement, one transaction; the supervisor hears that they are kept after its commit. Written twice, they are published once, by their id.
 * Forbids: publishing; that is the relay's.
 */
import type { Pool } from "ransomeye-db";
import type { RoleContext } from "./role_process.ts";

/** Puts what waits into the outbox. */
export async function keepAlerts({ alerts, say }: Pick<RoleContext, "alerts" | "say">, pool: Pool): Promise<void> {
  const { waiting } = alerts;
  if (waiting.length === 0) return;
  const ids = waiting.map(({ message_id }) => message_id);
  await pool.query("INSERT INTO bus.outbox (message_id, body) SELECT * FROM unnest($1::uuid[], $2::text[])", [
    ids,
    waiting.map((alert) => JSON.stringify(alert)),
  ]);
  alerts.kept(waiting);
  say({ type: "kept", ids });
}
