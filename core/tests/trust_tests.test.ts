/**
 * Why: certificates and authorities change while the gate runs; who is trusted must follow at once, and nobody else may notice.
 * Enforces: the real listener and heart: other TLS material without a restart, authorities that overlap, a certificate that ends on an open stream.
 * Forbids: production data.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { gatewaySpiffeId, producerSpiffeId } from "ransomeye-ingestion/protocol";
import { systemClock } from "ransomeye-kernel";
import { openMemoryBus } from "ransomeye-pipeline";
import { plainHello, TestClient } from "./src/gate/test_client.ts";
import { startTestGate, testDomain, until } from "./src/gate/test_gate.ts";
import { createTestCa, type TestCa, usages } from "./src/test_ca.ts";
import { syntheticPayload } from "./synthetic_events.ts";

suite("trust that changes", { concurrency: 4 }, () => {
  const timeout = 30_000;
  const gatewayNames = [
    { type: "url", value: gatewaySpiffeId(testDomain, "gate-1") },
    { type: "ip", value: "127.0.0.1" },
  ] as const;

  test("TB-4 two authorities at once, then the new one alone: sessions of both live on, and the old one opens no more", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const next = await createTestCa("next ca");
    const serverOf = async (ca: TestCa): Promise<{ key: string; cert: string }> =>
      ca.leaf({ names: gatewayNames, usages: [usages.server] });
    const old = await gate.enrol("old");
    const young = await gate.enrol("young");
    const names = [{ type: "url" as const, value: producerSpiffeId(testDomain, young.who.kind, young.who.producer) }];
    const youngLeaf = await next.leaf({ names });

    const before = await gate.begin(old.who, old.certificate);
    gate.gateway.reload({ ...(await serverOf(next)), ca: [gate.ca.cert, next.cert].join("\n") });
    const trusting = (ca: string, leaf: { cert: string; key: string }): TestClient => {
      const client = new TestClient({ port: gate.gateway.address.port, ca, cert: leaf.cert, key: leaf.key });
      t.after(() => client.close());
      return client;
    };
    const early = trusting(next.cert, youngLeaf);
    early.say(plainHello());
    await early.next("welcome");
    const still = await gate.enrol("still");
    const late = trusting(next.cert, still.certificate);
    late.say(plainHello());
    await late.next("welcome");

    gate.gateway.reload({ ...(await serverOf(next)), ca: next.cert });
    const refused = trusting(next.cert, (await gate.enrol("gone")).certificate);
    refused.say(plainHello());
    assert.equal((await refused.ended).grpcStatus, undefined, "no stream came to be");
    await until(() => gate.refused("INGEST_CERT_UNTRUSTED") === 1);

    before.say(before.chain.next(3).message);
    assert.equal((await before.client.next("receipt")).durableSeq, 3, "a session from before both changes lives on");
  });

  test("TB-4 material that cannot be used changes nothing", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const other = await gate.ca.leaf({ names: gatewayNames, usages: [usages.server] });
    const { cert } = await gate.ca.leaf({ names: gatewayNames, usages: [usages.server] });
    assert.throws(() => gate.gateway.reload({ key: other.key, cert, ca: gate.ca.cert }), /key values mismatch/);
    const { who, certificate } = await gate.enrol(1);
    await gate.begin(who, certificate);
  });

  test("TB-3 R-13 a batch key that is retired ends the stream that signs with it, and no other", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const [one, other] = [await gate.enrol("one"), await gate.enrol("other")];
    const signing = await gate.begin(one.who, one.certificate);
    const beside = await gate.begin(other.who, other.certificate);
    signing.say(signing.chain.next(2).message);
    await signing.client.next("receipt");
    const { keyId, publicKey } = one.who;
    gate.directory.put(one.who, { keys: new Map([[keyId, { publicKey, retiredUs: systemClock.nowUs() + 3_600_000_000 }]]) });
    signing.say(signing.chain.next(2).message);
    await signing.client.next("receipt");
    gate.directory.put(one.who, { keys: new Map([[keyId, { publicKey, retiredUs: systemClock.nowUs() }]]) });
    assert.equal((await signing.client.ended).code, "INGEST_KEY_RETIRED");
    beside.say(beside.chain.next(2).message);
    await beside.client.next("receipt");
  });

  test("TB-8 R-6 a sequence signed twice is told to the registry as a sign of a clone", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol("twice");
    const { chain, say, client } = await gate.begin(who, certificate);
    const rival = chain.peek(syntheticPayload(500, 3), 3);
    say(chain.next(3).message);
    await client.next("receipt");
    say(rival.message);
    await until(() => gate.directory.suspicions.length > 0);
    assert.deepEqual(
      gate.directory.suspicions.map(({ producer, evidence }) => ({ producer, evidence })),
      [{ producer: who.producer, evidence: "sequence_conflict" }],
    );
  });

  test("TB-8 R-6 whoever wants more epochs than a day allows is told to the registry as a sign of a clone", { timeout }, async (t) => {
    const gate = await startTestGate(t, { bus: openMemoryBus({ clock: systemClock, epochOpeningsPerDayMax: 2 }) });
    const [often, other] = [await gate.enrol("often"), await gate.enrol("other")];
    const beside = await gate.begin(other.who, other.certificate);
    const { chain, say, client, welcome } = await gate.begin(often.who, often.certificate);
    const inEpoch = async (): Promise<void> => {
      say(chain.next(1).message);
      await client.next("receipt");
      say(chain.openEpoch(welcome.sessionNonce));
    };
    await inEpoch();
    const opened = await client.next("epochOpened");
    chain.opened(opened.epoch, opened);
    assert.deepEqual(gate.directory.suspicions, []);
    await inEpoch();
    assert.equal((await client.ended).code, "INGEST_EPOCH_LIMITED");
    assert.deepEqual(gate.directory.suspicions, [
      { producer: often.who.producer, evidence: "epochs_limited", detail: "no epoch after 2 for now, at gate-1" },
    ]);
    const noted = gate.telemetry.events.filter(({ name }) => name === "epochs_limited");
    assert.deepEqual(
      noted.map(({ fields }) => fields),
      [{ producer: often.who.producer, epoch: 2 }],
    );
    await until(() => gate.refused("INGEST_EPOCH_LIMITED") === 1);
    beside.say(beside.chain.next(1).message);
    await beside.client.next("receipt");
  });

  test("TB-3 a certificate that ends while its stream is open ends the stream (FM-18)", { timeout }, async (t) => {
    let aheadUs = 0;
    const gate = await startTestGate(t, { clock: { ...systemClock, nowUs: () => systemClock.nowUs() + aheadUs } });
    const { who, certificate } = await gate.enrol(1);
    const { client } = await gate.begin(who, certificate);
    aheadUs = 86_400_000_000;
    const ended = await client.ended;
    assert.equal(ended.code, "INGEST_CERT_EXPIRED");
    assert.equal(await gate.stored(), 0);
  });
});
