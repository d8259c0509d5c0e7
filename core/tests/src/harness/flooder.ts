/**
 * Why: several proofs need a producer that floods a real gateway until it is refused.
 * Enforces: a producer enrolled for this alone, which breaks the conversation as often as it takes.
 * Forbids: anything that an honest producer would do.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { loadIdentity } from "ransomeye-sdk";
import { plainHello, TestClient } from "../gate/test_client.ts";
import type { RunningSystem } from "./running_system.ts";

/** Enrols `name` and floods until the gateway has put it into quarantine; gives the producer's id. */
export async function floodUntilQuarantined(system: RunningSystem, name: string): Promise<string> {
  assert.equal((await system.run("producer", "enroll", name, "--kind", "linux")).exitCode, 0);
  const { producer, tlsCertPem: cert, tlsKeyPem: key, caPem: ca } = await loadIdentity(join(system.dataDir, "identities", name));
  const { port } = (await system.runtime()).gateway;
  // Who is welcomed and says Hello again breaks the conversation.
  let ended: string;
  do {
    const client = new TestClient({ port, ca, cert, key });
    client.say(plainHello());
    client.say(plainHello());
    ended = (await client.ended).code;
    client.session.destroy();
  } while (ended === "INGEST_PROTOCOL_VIOLATION");
  assert.equal(ended, "INGEST_QUARANTINED");
  return producer;
}
