/**
 * Why: trust changes while everything runs: rights are taken away, and one authority takes over from another.
 * Enforces: the real processes and commands; streams that lose their right end, the others live on.
 * Forbids: reaching into a process.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { enrolWithToken, renewIdentity } from "ransomeye-sdk";
import { openStream, revocationRun, startEnrolling } from "../src/revocation/revocation_run.ts";

test("TB-3 R-13 a right that an operator takes away ends the open stream, each kind with its code", async () => {
  const closings = await revocationRun(4, () => undefined);
  // How long it takes is for `npm run test:revocation` to say, on a machine that does nothing else.
  assert.deepEqual(
    closings.filter(({ code, expected, again, expectedAgain }) => code !== expected || again !== expectedAgain),
    [],
  );
  assert.equal(closings.length, 4);
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
  young.say({ kind: "demand", bytes: 1, events: 1, oldestUs: 0 });
  await young.next("credit");
  const shown = await system.json<{ retiring: unknown }>("ca", "show");
  assert.equal(shown.retiring, null);
  const ended = await system.json<{ producers: { producer: string; certificates: { revoked: boolean }[] }[] }>("producer", "list");
  const lazyOne = ended.producers.find(({ producer }) => producer === lazy.identity.producer);
  assert.ok(lazyOne?.certificates.every(({ revoked }) => revoked));
});
