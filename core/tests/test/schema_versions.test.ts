/**
 * Why: fifty thousand agents are never updated at once: two releases send to one gateway for months (ING-7).
 * Enforces: through the real listener, two versions live side by side, each judged by its own rules; what is newer than the gateway keeps its events.
 * Forbids: judging a frame by what its session said instead of what it signed.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { newestSchema } from "ransomeye-ingestion/protocol";
import { startTestGate, until } from "../src/gate/test_gate.ts";
import { plainHello } from "../src/gate/test_client.ts";
import { syntheticEvent } from "../synthetic_events.ts";

const timeout = 60_000;
const newest = newestSchema.version;
const older = newest - 1;

/** A payload whose second event only the older version takes. */
function mixedPayload(): Buffer {
  const lax = JSON.parse(syntheticEvent(2)) as Record<string, unknown>;
  return Buffer.from(
    [syntheticEvent(1), JSON.stringify({ ...lax, severity_id: 7 }), syntheticEvent(3)].map((line) => `${line}\n`).join(""),
  );
}

suite("two versions of the schema", { concurrency: 4 }, () => {
  test("ING-7 an older and a newer producer live side by side, each judged by the version that it signed", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const old = await gate.enrol(1);
    const young = await gate.enrol(2);
    const oldTalk = await gate.begin(old.who, old.certificate, { schemaVersions: [older] });
    const youngTalk = await gate.begin(young.who, young.certificate, { schemaVersions: [newest] });
    assert.equal(oldTalk.welcome.schemaVersion, older);
    assert.equal(youngTalk.welcome.schemaVersion, newest);
    const payload = mixedPayload();
    const invalid: number[][] = [];
    for (const [{ client, chain, say }, schemaVersion] of [
      [oldTalk, older],
      [youngTalk, newest],
    ] as const) {
      say(chain.peek(payload, 3, { schemaVersion }).message);
      const receipt = await client.next("receipt");
      assert.equal(receipt.durableSeq, 3);
      invalid.push(receipt.invalid.map(({ seq }) => seq));
    }
    assert.deepEqual(invalid, [[], [2]]);
  });

  test("ING-7 a producer of both versions is welcomed with the newer; what its spool still holds of the older is judged as such", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(3);
    const { client, chain, welcome, say } = await gate.begin(who, certificate, { schemaVersions: [older, newest] });
    assert.equal(welcome.schemaVersion, newest);
    say(chain.peek(mixedPayload(), 3, { schemaVersion: older }).message);
    assert.deepEqual((await client.next("receipt")).invalid, []);
  });

  test("ING-7 a producer newer than the gateway is told to come back, and a frame of an unknown version is one dead letter (FM-20)", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(4);
    const early = gate.connect(certificate);
    early.say(plainHello({ schemaVersions: [newest + 1] }));
    const goodbye = await early.next("goodbye");
    assert.equal(goodbye.code, "INGEST_VERSION_UNSUPPORTED");
    assert.ok(goodbye.comeBackAfterMs < 60_000, "it may come back: the gateway may have been updated by then");
    await until(() => gate.refused("INGEST_VERSION_UNSUPPORTED") > 0);
    const { client, chain, say } = await gate.begin(who, certificate);
    say(chain.peek(mixedPayload(), 3, { schemaVersion: newest + 1 }).message);
    const receipt = await client.next("receipt");
    assert.equal(receipt.durableSeq, 3, "the frame is genuine, so it is accepted (R-8)");
    assert.deepEqual(
      receipt.invalid.map(({ seq }) => seq),
      [1, 2, 3],
    );
  });
});
