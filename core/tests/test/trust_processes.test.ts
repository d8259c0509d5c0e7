/**
 * Why: trust changes while everything runs: rights are taken away, and one authority takes over from another.
 * Enforces: the real processes and commands; streams that lose their right end, the others live on.
 * Forbids: reaching into a process.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { keyIdOf, OCSF_VERSION, rawPublicKey } from "ransomeye-ingestion/protocol";
import { enrolWithToken, openProducer, type Producer, type ProducerIdentity, renewIdentity, rotateBatchKey } from "ransomeye-sdk";
import { numberedEvent } from "../src/crash/numbered_events.ts";
import { numberedRows } from "../src/crash/numbered_rows.ts";
import { connect, openStream, revocationRun, startEnrolling } from "../src/revocation/revocation_run.ts";

test("TB-3 R-13 a right that an operator takes away ends the open stream, each kind with its code", async () => {
  const closings = await revocationRun(4, () => undefined);
  // How long it takes is for `npm run test:revocation` to say, on a machine that does nothing else.
  assert.deepEqual(
    closings.filter(({ code, expected, again, expectedAgain }) => code !== expected || again !== expectedAgain),
    [],
  );
  assert.equal(closings.length, 4);
});

test("R-13 a registry that stands still: nobody new, then nobody at all; when it goes on, everybody comes back (FM-9)", async () => {
  const [freshMs, staleMs] = [2000, 10_000];
  await using running = await startEnrolling(
    2,
    ["--set", `gateway.registry_fresh_ms_max=${freshMs}`].concat("--set", `gateway.registry_stale_ms_max=${staleMs}`),
  );
  const { system, registry, token } = running;
  const { port } = (await system.runtime()).gateway;
  const enrol = async (name: string): Promise<ProducerIdentity> =>
    (await enrolWithToken(registry, { directory: join(system.dataDir, name), token, kind: "linux" })).identity;
  const [early, late] = [await enrol("early"), await enrol("late")];
  const open = await openStream(port, early);
  const comes = async (): Promise<string> => {
    const client = connect(port, late);
    const welcomed = await client.next("welcome").catch(() => undefined);
    client.close();
    // Whoever comes too often floods.
    await new Promise((resolve) => setTimeout(resolve, 200));
    return welcomed === undefined ? (await client.ended).code : "";
  };
  {
    await using _still = await system.standStill("registry");
    // It was heard a moment ago: until that is too long ago, whoever comes is let in.
    let code = "";
    while (code === "") code = await comes();
    assert.equal(code, "INGEST_REGISTRY_STALE");
    open.say({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 });
    await open.next("credit");
    assert.equal((await open.ended).code, "INGEST_REGISTRY_STALE", "and then the open one ends, too");
    const metrics = await system.metrics("gateway-1");
    assert.match(metrics, /^ransomeye_gateway_registry_silences_total 1$/m);
    assert.match(metrics, /^ransomeye_gateway_refused_total\{step="authentication",code="INGEST_REGISTRY_STALE"\} [1-9]/m);
  }
  while ((await comes()) !== "");
  const back = await openStream(port, early);
  back.say({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 });
  await back.next("credit");
  back.close();
});

test("TB-4 one authority takes over from another: nobody is locked out, streams live on, and the old one ends with its certificates (FM-18)", async () => {
  await using running = await startEnrolling(3);
  const { system, registry, token } = running;
  const port = (await system.runtime()).gateway.port;
  const folder = (name: string): string => join(system.dataDir, name);
  const enrol = (name: string): ReturnType<typeof enrolWithToken> =>
    enrolWithToken(registry, { directory: folder(name), token, kind: "linux" });

  const [early, lazy] = [await enrol("early"), await enrol("lazy")];
  const before = await openStream(port, lazy.identity);
  const rotated = await system.json<{ pin: string; retiring: { pin: string; certificates: number } | null }>("ca", "rotate");
  assert.deepEqual([rotated.retiring?.certificates, rotated.retiring?.pin === rotated.pin], [2, false]);

  // Who knows only the old root believes the new certificates by the link that comes with them: the gateway's, and the registry's.
  (await openStream(port, lazy.identity)).close();
  const renewed = await renewIdentity(registry, folder("early"));
  assert.equal(renewed.caPem.match(/BEGIN CERTIFICATE/g)?.length, 2, "two roots while they overlap");
  assert.notEqual(renewed.caPem.trim(), early.identity.caPem.trim());
  const young = await openStream(port, renewed);
  const fresh = await enrol("fresh");
  (await openStream(port, fresh.identity)).close();
  const { certificates } = await system.json<{ certificates: Record<string, number> }>("status");
  assert.deepEqual({ ...certificates, root_days: 0 }, { gateway_days: 89, root_days: 0, retiring_days: 99, producers_ending: 0 });
  const again = await system.run("ca", "rotate");
  assert.equal(again.exitCode, 1, "no third authority beside two");

  await system.json("ca", "retire");
  assert.equal((await before.ended).code, "INGEST_SESSION_REPLACED", "its place was taken by the stream that came after it");
  const late = openStream(port, lazy.identity);
  await assert.rejects(late);
  young.say({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 });
  await young.next("credit");
  const shown = await system.json<{ retiring: unknown }>("ca", "show");
  assert.equal(shown.retiring, null);
  const ended = await system.json<{ producers: { producer: string; certificates: { revoked: boolean }[] }[] }>("producer", "list");
  const lazyOne = ended.producers.find(({ producer }) => producer === lazy.identity.producer);
  assert.ok(lazyOne?.certificates.every(({ revoked }) => revoked));
});

test("TB-9 TB-13 a batch key is replaced under a running producer; what a key had signed that ended is signed anew, once, in another epoch", async () => {
  await using running = await startEnrolling(1);
  const { system, registry, token } = running;
  const gateway = { host: "127.0.0.1", port: (await system.runtime()).gateway.port };
  const identityDir = join(system.dataDir, "machine");
  const { identity, name } = await enrolWithToken(registry, { directory: identityDir, token, kind: "linux" });
  const telemetry = recordingTelemetry();
  const options = { lingerMs: 2, backoffBaseMs: 5, backoffCapMs: 100, identityLookMs: 5 };
  const spoolDir = join(system.dataDir, "machine-spool");
  const open = (as: ProducerIdentity): Promise<Producer> =>
    openProducer({ identity: as, gateway, spoolDir, options, clock: systemClock, random: systemRandom, telemetry });
  const idOf = ({ batchKey }: ProducerIdentity): string => keyIdOf(rawPublicKey(batchKey));

  const watching = await openProducer({
    identity,
    identityDir,
    gateway,
    spoolDir,
    options,
    clock: systemClock,
    random: systemRandom,
    telemetry,
  });
  const before = await watching.send("{}", { urgent: true });
  const { identity: rotated } = await rotateBatchKey(registry, identityDir);
  while (!telemetry.events.some(({ fields, name: what }) => what === "sdk_batch_key_taken" && fields["key_id"] === idOf(rotated)))
    await new Promise((resolve) => setTimeout(resolve, 5));
  const after = await watching.send("{}", { urgent: true });
  assert.deepEqual([before.id, after.id], [`${identity.producer}:1:1`, `${identity.producer}:1:2`]);
  await system.json("producer", "revoke", name, "--key", idOf(identity));
  // The stream goes on under the new key.
  assert.equal((await watching.send("{}", { urgent: true })).id, `${identity.producer}:1:3`);
  await watching.close();

  // A process that did not hear of the new key: it stops, and its spool keeps what the old one had signed.
  const deaf = await open(identity);
  await assert.rejects(deaf.send("{}", { urgent: true }), (error) => (error as { code?: string }).code === "SDK_KEY_RETIRED");
  await deaf.close();
  assert.equal((await system.run("producer", "extend-key", name, "--key", idOf(identity))).exitCode, 1, "it was revoked");
  const next = await open(rotated);
  await next.drain("receipt");
  assert.equal((await next.send("{}", { urgent: true })).id, `${identity.producer}:2:2`);
  await next.drain("stored");
  assert.deepEqual(next.stats().frames, 0);
  await next.close();
});

test("TB-14 a machine that was away longer than the overlap sends what it kept, under its old key, once an operator extends it", async (t) => {
  await using running = await startEnrolling(1);
  const { system, registry, token } = running;
  const gateway = { host: "127.0.0.1", port: (await system.runtime()).gateway.port };
  const identityDir = join(system.dataDir, "away");
  const { identity, name } = await enrolWithToken(registry, { directory: identityDir, token, kind: "linux" });
  const key = keyIdOf(rawPublicKey(identity.batchKey));
  const options = { lingerMs: 2, backoffBaseMs: 5, backoffCapMs: 100 };
  const spoolDir = join(system.dataDir, "away-spool");
  const telemetry = recordingTelemetry();
  const open = async (): Promise<Producer> => {
    const producer = await openProducer({ identity, gateway, spoolDir, options, clock: systemClock, random: systemRandom, telemetry });
    t.after(() => producer.close());
    return producer;
  };

  let handed = 0;
  const send = (producer: Producer): ReturnType<Producer["send"]> =>
    producer.send(numberedEvent(++handed, 0, OCSF_VERSION), { urgent: true });
  const away = await open();
  await send(away);
  await rotateBatchKey(registry, identityDir);
  // An overlap is of days. They pass behind the registry's back, which learns of it when it starts again, and the gateway from it.
  const administrator = await system.administrator();
  try {
    const { rowCount } = await administrator.query(
      "UPDATE registry.producer_keys SET retired_at = clock_timestamp() - interval '1 day' WHERE key_id = $1",
      [Buffer.from(key, "hex")],
    );
    assert.equal(rowCount, 1);
  } finally {
    await administrator.end();
  }
  await system.kill("registry");
  const refused = async (): Promise<unknown> => {
    for (;;) {
      try {
        await send(away);
      } catch (error) {
        return (error as { code?: string }).code;
      }
    }
  };
  assert.equal(await refused(), "SDK_KEY_RETIRED");
  await away.close();

  const extended = await system.json<{ producer: string }>("producer", "extend-key", name, "--key", key.slice(0, 8), "--days", "1");
  assert.equal(extended.producer, identity.producer);
  const back = await open();
  assert.equal((await send(back)).id, `${identity.producer}:1:${handed}`, "behind what it kept, in the same epoch");
  await back.drain("stored");
  await back.close();
  const ledger = await system.json<{ balanced: boolean; stored: number }>("audit", "--wait-idle", "60");
  assert.deepEqual([ledger.balanced, ledger.stored], [true, handed]);
  const { stored, lost, duplicated, outOfOrder } = await numberedRows(system.dataDir, handed);
  assert.deepEqual({ stored, lost, duplicated, outOfOrder }, { stored: handed, lost: 0, duplicated: 0, outOfOrder: 0 });
});
