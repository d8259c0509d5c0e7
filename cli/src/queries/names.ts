/**
 * Why it exists: people know producers by name; the database knows them by id.
 * Enforces: names come from the registry; without it, ids must do.
 * Forbids: failing a command for want of a name.
 */
import type { Clock } from "ransomeye-kernel";
import { listProducers } from "../registry/client.ts";
import type { WireProducer } from "../registry/wire.ts";

/** All registered producers; empty when the registry does not answer. */
export async function registeredProducers(registrySocket: string, clock: Clock): Promise<readonly WireProducer[]> {
  try {
    return (await listProducers(registrySocket, clock)).producers;
  } catch {
    return [];
  }
}

/** Names by producer id. */
export async function producerNames(registrySocket: string, clock: Clock): Promise<ReadonlyMap<string, string>> {
  return new Map((await registeredProducers(registrySocket, clock)).map((p) => [p.id, p.name]));
}
