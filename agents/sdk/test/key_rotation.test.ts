/**
 * Why: a batch key is replaced while its producer runs, and ends while frames that it signed still wait.
 * Enforces: TB-9, TB-13, R-6, promises 1 and 3.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { comeBackNever, keyRetiredCode } from "ransomeye-ingestion/protocol";
import { sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { freshMachineState, openProducer, type ProducerIdentity, ProducerMachine, saveIdentity } from "../src/lib.ts";
import { GatewayDouble, settings, testIdentity } from "./gateway_double.ts";
import { producer, World } from "./model.ts";
import { keyId } from "./model_keys.ts";

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

test("TB-13 promises 1 and 3: keys rotate and end at any moment, through cuts and crashes: each event once, in order, no sequence twice", () => {
  let openings = 0;
  for (let seed = 1; seed <= 300; seed += 1) {
    const world = new World(`keys ${seed}`, 50, undefined, true);
    for (let i = 0; i < 300; i += 1) world.chance(true);
    world.retire();
    world.settle();
    const replay = `seed ${seed}`;
    assert.equal(world.server.equivocations, 0, replay);
    assert.equal(world.stopped, undefined, replay);
    assert.deepEqual(world.server.events, upTo(50), replay);
    assert.equal(world.doubleSettles + world.earlySettles, 0, replay);
    openings += world.server.epochsOpened - 1;
  }
  assert.ok(openings > 20, `the end of a key met frames in the spool ${openings} times`);
});

test("TB-13 X-2 with losses declared, too: each event arrives or is counted in a gap in its place, whatever key signs", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const world = new World(`lossy keys ${seed}`, 50, { declares: true, ageUsMax: 200_000 }, true);
    for (let i = 0; i < 300; i += 1) world.chance(true);
    world.retire();
    world.settle();
    const { stopped, server, brokenPromises, earlyLosses } = world;
    const kept = { stopped, unaccounted: server.unaccounted(50), equivocations: server.equivocations, brokenPromises, earlyLosses };
    const expected = { stopped: undefined, unaccounted: undefined, equivocations: 0, brokenPromises: 0, earlyLosses: 0 };
    assert.deepEqual(kept, expected, `seed ${seed}`);
  }
});

test("TB-9 a key takes over between two frames: what was signed keeps its key, the next frame names the new one", () => {
  const world = new World("boundary", 40);
  for (const step of ["hand", "hand", "connect", "serve", "deliver", "serve", "deliver", "sync", "sync"] as const) world[step]();
  world.keys.rotate();
  const next = world.keys.current;
  world.signal({ kind: "key", keyId: next });
  world.settle();
  const signers = world.server.accepted.map(({ header }) => header.keyId);
  assert.deepEqual([signers[0], signers[1], signers.at(-1)], [keyId, keyId, next]);
  assert.deepEqual(signers, [...signers].sort());
  assert.deepEqual([world.server.epochsOpened, world.server.equivocations], [1, 0]);
});

test("TB-13 a producer stops where the key that signs now has ended, and only there", () => {
  const world = new World("ended", 30);
  for (const step of ["hand", "hand", "connect", "serve", "deliver", "serve", "deliver", "sync", "sync"] as const) world[step]();
  world.keys.inForceFrom = "00000000000000aa";
  world.settle();
  assert.match(world.stopped ?? "", /^SDK_KEY_RETIRED INGEST_KEY_RETIRED: .*; key 0000000000000000$/);
  const goodbye = { kind: "goodbye", code: keyRetiredCode, message: "", comeBackAfterMs: comeBackNever } as const;
  const said = (rotated: boolean): string[] => {
    const machine = new ProducerMachine(producer, keyId, 1, freshMachineState);
    const now = { ms: 1, us: 1 };
    machine.step({ kind: "start" }, now);
    machine.step({ kind: "connected" }, now);
    if (rotated) machine.step({ kind: "key", keyId: "00000000000000aa" }, now);
    return machine.step({ kind: "message", message: goodbye }, now).map((effect) => ("code" in effect ? effect.code : effect.kind));
  };
  assert.deepEqual(said(false), ["SDK_KEY_RETIRED"]);
  assert.deepEqual(said(true), ["SDK_KEY_SUPERSEDED"], "the session was opened in the name of the key before");
});

async function rotated(identity: ProducerIdentity, directory: string): Promise<ProducerIdentity> {
  const next = { ...identity, batchKey: generateKeyPairSync("ed25519").privateKey };
  await saveIdentity(directory, next);
  return next;
}

test("TB-9 a running producer takes a replaced batch key up from disk, and a retired one's frames are signed anew in another epoch", async (t) => {
  const identity = testIdentity();
  const identityDir = join(await temporaryDirectory(), "identity");
  await saveIdentity(identityDir, identity);
  const gateway = new GatewayDouble(identity);
  const port = await gateway.listen();
  const all = { ...settings(identity, port, await temporaryDirectory(), { identityLookMs: 5 }), identityDir };
  const sender = await openProducer(all);
  t.after(async () => {
    await sender.close();
    gateway.close();
  });
  const taken = (): number => all.telemetry.events.filter(({ name }) => name === "sdk_batch_key_taken").length;
  const until = async (what: () => boolean): Promise<void> => {
    for (let i = 0; i < 2000 && !what(); i += 1) await sleep(systemClock, 5);
    assert.ok(what());
  };
  const [first] = [...gateway.keys.keys()];
  await sender.send('{"n":1}', { urgent: true });
  const second = await rotated(identity, identityDir);
  const secondId = gateway.admit(second);
  await until(() => taken() === 1);
  await sender.send('{"n":2}', { urgent: true });
  assert.deepEqual(gateway.signers, [first, secondId]);
  assert.equal(gateway.hellos.length, 1, "the session goes on");

  // Frames of the second key wait: the gateway has swallowed them when the third takes over and the second ends.
  gateway.onFrame = () => "hold";
  const spooled = await sender.sendMany([Buffer.from('{"n":3}'), Buffer.from('{"n":4}')]);
  await until(() => gateway.frames === 3);
  const thirdId = gateway.admit(await rotated(second, identityDir));
  await until(() => taken() === 2);
  gateway.keys.delete(secondId);
  gateway.onFrame = undefined;
  gateway.cut();
  assert.deepEqual((await spooled.receipt).ranges, [{ epoch: 2, firstSeq: 1, lastSeq: 2 }]);
  await sender.drain("stored");
  assert.deepEqual(gateway.lines, ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}']);
  assert.equal(gateway.signers.at(-1), thirdId);
  assert.deepEqual(gateway.violations, []);
});
