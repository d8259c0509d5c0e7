/**
 * Why it exists: alarms of all processes reach stream:alerts by the outbox, as all that the system publishes; the keeper may write there.
 * Enforces: one transaction; the supervisor hears that they are kept after its commit. Written twice, they are published once, by their id.
 * Forbids: publishing; that is the relay's.
 */
import { inTransaction, type Pool } from "ransomeye-db";
import { writeOutbox } from "ransomeye-engine";
import type { RoleContext } from "./role_process.ts";

/** Puts what waits into the outbox. */
export async function keepAlerts({ alerts, say }: Pick<RoleContext, "alerts" | "say">, pool: Pool): Promise<void> {
  const { waiting } = alerts;
  if (waiting.length === 0) return;
  await inTransaction(pool, (client) => writeOutbox(client, waiting));
  alerts.kept(waiting);
  say({ type: "kept", ids: waiting.map(({ message_id }) => message_id) });
}
