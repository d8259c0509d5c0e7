/**
 * Why: whoever records a producer's traffic may play it to any gateway, and gateways share no memory: only real processes show what they know of each other.
 * Enforces: two gateway processes on one port; a recorded session, with its opening and without, is played to the one that never saw it, and to the one
 *   that did, after that was killed and came back. Each by its code and metric, and nothing is stored again.
 * Forbids: reaching into a process.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { keyIdOf, rawPublicKey, type ServerMessage } from "ransomeye-ingestion/protocol";
import { enrolWithToken, type ProducerIdentity } from "ransomeye-sdk";
import type { TestClient } from "../src/gate/test_client.ts";
import { until } from "../src/gate/test_gate.ts";
import type { RunningSystem } from "../src/harness/running_system.ts";
import { openStream, startEnrolling } from "../src/revocation/revocation_run.ts";
import { SyntheticChain } from "../synthetic_events.ts";

const frames = 3;
const eventsPerFrame = 2;

interface At {
  readonly client: TestClient;
  readonly welcome: Extract<ServerMessage, { kind: "welcome" }>;
}

async function enter(system: RunningSystem, identity: ProducerIdentity): Promise<At> {
  const client = await openStream((await system.runtime()).gateway.port, identity);
  const welcome = client.heard.find((message) => message.kind === "welcome");
  assert.ok(welcome !== undefined);
  return { client, welcome };
}

/** Comes to another process than this one: which cannot take a connection while it stands still. */
async function enterBeside(system: RunningSystem, name: string, identity: ProducerIdentity): Promise<At> {
  await using _still = await system.standStill("gateway", name);
  return await enter(system, identity);
}

function chainOf({ producer, kind, batchKey }: ProducerIdentity): SyntheticChain {
  const publicKey = rawPublicKey(batchKey);
  return new SyntheticChain({ producer, kind, batchKey, publicKey, keyId: keyIdOf(publicKey) });
}

/** Waits until a process's metrics page counts so many under a code. */
async function counted(system: RunningSystem, gateway: string, code: string, count: number): Promise<void> {
  const line = `ransomeye_gateway_refused_total{step="ordering",code="${code}"} ${count}\n`;
  await until(async () => (await system.metrics(gateway)).includes(line));
}

test("ING-7 FM-13 a recorded session, played to another gateway process and to the same one after kill -9, stores nothing", async () => {
  await using running = await startEnrolling(1, ["--set", "gateway.processes=2"]);
  const { system, registry, token } = running;
  const { identity } = await enrolWithToken(registry, { directory: join(system.dataDir, "recorded"), token, kind: "linux" });

  const first = await enter(system, identity);
  const chain = chainOf(identity);
  const opening = chain.openEpoch(first.welcome.sessionNonce);
  first.client.say(opening);
  const opened = await first.client.next("epochOpened");
  chain.opened(opened.epoch, opened);
  const recorded = Array.from({ length: frames }, () => chain.next(eventsPerFrame).message);
  for (const frame of recorded) first.client.say(frame);
  const { seq } = chain;
  while ((await first.client.next("receipt")).durableSeq < seq);
  first.client.close();
  const home = first.welcome.gateway;

  const other = await enterBeside(system, home, identity);
  const away = other.welcome.gateway;
  assert.deepEqual(new Set([home, away]), new Set(["gateway-1", "gateway-2"]));
  const pids = (await system.runtime()).children.filter(({ role }) => role === "gateway").map(({ pid }) => pid);
  assert.equal(new Set(pids).size, 2);
  for (const frame of recorded) other.client.say(frame);
  assert.equal((await other.client.next("receipt")).durableSeq, seq, "the receipt that they had earned");
  await counted(system, away, "INGEST_DUPLICATE_GATE", frames);
  other.client.close();

  const thief = await enterBeside(system, home, identity);
  for (const message of [opening, ...recorded]) thief.client.say(message);
  assert.equal((await thief.client.ended).code, "INGEST_SESSION_REPLAYED");
  await counted(system, away, "INGEST_SESSION_REPLAYED", 1);

  const killed = await system.kill("gateway", home);
  await until(async () => (await system.runtime()).children.some(({ name, pid }) => name === home && pid !== killed));
  await until(async () =>
    system.metrics(home).then(
      () => true,
      () => false,
    ),
  );
  const again = await enterBeside(system, away, identity);
  assert.equal(again.welcome.gateway, home);
  for (const frame of recorded) again.client.say(frame);
  await counted(system, home, "INGEST_DUPLICATE_RESTART", frames);
  // Its producer is none the worse for it: what is next is next.
  chain.resume(again.welcome.head);
  again.client.say(chain.next(eventsPerFrame).message);
  while ((await again.client.next("receipt")).durableSeq < seq + eventsPerFrame);
  again.client.close();
  const ledger = await system.json<{ balanced: boolean; stored: number }>("audit", "--wait-idle", "60");
  assert.deepEqual([ledger.balanced, ledger.stored], [true, seq + eventsPerFrame]);
});
