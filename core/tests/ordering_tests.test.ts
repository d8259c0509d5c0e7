/**
 * Why: each producer's events are stored in the order it sent them, once (promise 3), whatever a producer sends and however often.
 * Enforces: go-back-N, duplicates, equivocation and epochs through the real listener and the bus in memory.
 * Forbids: production data.
 */
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { suite, test } from "node:test";
import { type FrameFields, importPublicKey, verifyReceipt } from "ransomeye-ingestion/protocol";
import { plainHello } from "./src/gate/test_client.ts";
import { startTestGate, until } from "./src/gate/test_gate.ts";
import { signFrame, SyntheticChain, syntheticPayload } from "./synthetic_events.ts";

/** The line of a metric page that says how often something was refused under a code. */
const metricOf = (code: string, count: number): RegExp =>
  new RegExp(`^ransomeye_gateway_refused_total\\{step="ordering",code="${code}"\\} ${count}$`, "m");

suite("order and epochs", { concurrency: 8 }, () => {
  const timeout = 30_000;

  test("P-1: a receipt is signed, cumulative, and comes after the append", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say, welcome } = await gate.begin(who, certificate);
    const frame = chain.next(3);
    say(frame.message);
    const receipt = await client.next("receipt");
    assert.equal(receipt.durableSeq, 3);
    assert.ok(receipt.chainHash.equals(frame.hash));
    const head = (await gate.bus.headsOf([who.producer])).get(who.producer);
    assert.equal(head?.seq, 3, "durable when the receipt is here");
    const key = importPublicKey(welcome.receiptPublicKey);
    assert.ok(key.kind === "decoded" && verifyReceipt(who.producer, receipt, key.value));
    assert.ok(!verifyReceipt("00000000-0000-4000-8000-000000000000", receipt, key.value), "not for another producer");
    assert.ok(createPublicKey(key.value.export({ format: "pem", type: "spki" })));
  });

  test("R-37 a frame that is not next is answered with the expected head and not buffered; going back heals (IF-4)", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    const [first, second, third] = [chain.next(2), chain.next(2), chain.next(2)];
    say(first.message);
    await client.next("receipt");
    say(third.message);
    const reject = await client.next("reject");
    assert.equal(reject.code, "INGEST_SEQUENCE_GAP");
    assert.equal(reject.next, "resend");
    assert.equal(reject.expected?.seq, 2);
    assert.ok(reject.expected.hash.equals(first.hash));
    say(second.message);
    say(third.message);
    await until(async () => ((await gate.bus.headsOf([who.producer])).get(who.producer)?.seq ?? 0) === 6);
    assert.equal(await gate.stored(), 3);
    await until(() => gate.refused("INGEST_SEQUENCE_GAP") === 1);
  });

  test("ING-7 FM-13 a frame that its own session sends again stores nothing, is counted, and earns the same receipt", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    const [first, second] = [chain.next(2), chain.next(2)];
    say(first.message);
    say(second.message);
    const receipts = (): readonly number[] => client.heard.flatMap((message) => (message.kind === "receipt" ? [message.durableSeq] : []));
    await until(() => receipts().at(-1) === 4);
    const before = receipts().length;
    say(first.message);
    await until(() => gate.refused("INGEST_DUPLICATE") === 1);
    assert.match(await gate.telemetry.metricsText(), metricOf("INGEST_DUPLICATE", 1));
    await until(() => receipts().length > before);
    assert.equal(receipts().at(-1), 4, "never a step back");
    assert.equal(await gate.stored(), 2);
  });

  const elsewhere: readonly (readonly [where: string, code: string, gatewayId: string | undefined])[] = [
    ["in a later session", "INGEST_DUPLICATE_SESSION", undefined],
    ["after a gate restart", "INGEST_DUPLICATE_RESTART", "gate-1"],
    ["at another gate", "INGEST_DUPLICATE_GATE", "gate-2"],
  ];
  for (const [where, code, gatewayId] of elsewhere) {
    test(`ING-7 FM-13 frames of a recorded session ${where} store nothing, and are counted as such`, { timeout }, async (t) => {
      const gate = await startTestGate(t);
      const { who, certificate } = await gate.enrol(1);
      const { chain, say, client } = await gate.begin(who, certificate);
      const frames = [chain.next(2), chain.next(2), chain.next(2)];
      for (const { message } of frames) say(message);
      await until(async () => (await gate.stored()) === 3);
      client.close();
      const again = gatewayId === undefined ? gate : await startTestGate(t, { bus: gate.bus, gatewayId });
      const back = await again.enrol(1);
      const replay = await again.begin(back.who, back.certificate);
      assert.equal(replay.welcome.head.seq, 6, "the resume point is the bus's word");
      for (const { message } of frames) replay.say(message);
      await until(() => again.refused(code) === 3);
      assert.match(await again.telemetry.metricsText(), metricOf(code, 3));
      // The same receipt as ever. It is counted before it is sent, and both before it is here.
      await until(() => replay.client.heard.some((message) => message.kind === "receipt" && message.durableSeq === 6));
      assert.equal(await again.stored(), 3);
      // What comes next is next, and sent twice it is this session's own.
      const next = replay.chain.next(1).message;
      replay.say(next);
      replay.say(next);
      await until(() => again.refused("INGEST_DUPLICATE") === 1);
      assert.equal(await again.stored(), 4);
      assert.equal(again.refused(code), 3);
    });

    test(`ING-7 FM-13 a recorded session whose opening is played again ${where} is told from a wrong signature`, { timeout }, async (t) => {
      const gate = await startTestGate(t);
      const { who, certificate } = await gate.enrol(1);
      const first = gate.connect(certificate);
      first.say(plainHello());
      const { sessionNonce } = await first.next("welcome");
      const chain = new SyntheticChain(who);
      const opening = chain.openEpoch(sessionNonce);
      first.say(opening);
      const opened = await first.next("epochOpened");
      chain.opened(opened.epoch, opened);
      const frame = chain.next(2).message;
      first.say(frame);
      await first.next("receipt");
      first.close();
      const again = gatewayId === undefined ? gate : await startTestGate(t, { bus: gate.bus, gatewayId });
      const thief = again.connect((await again.enrol(1)).certificate);
      thief.say(plainHello());
      await thief.next("welcome");
      for (const message of [opening, frame]) thief.say(message);
      assert.equal((await thief.ended).code, "INGEST_SESSION_REPLAYED");
      await until(() => again.refused("INGEST_SESSION_REPLAYED") === 1);
      assert.match(await again.telemetry.metricsText(), metricOf("INGEST_SESSION_REPLAYED", 1));
      assert.equal(again.refused("INGEST_EPOCH_SIGNATURE"), 0);
      assert.equal(await again.stored(), 1);
      assert.equal((await again.bus.headsOf([who.producer])).get(who.producer)?.epoch, 1);
    });
  }

  test("ING-7 FM-13 of a frame that retention has removed nobody says who accepted it; the receipt is the same", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    const [first, second] = [chain.next(2).message, chain.next(2).message];
    for (const message of [first, second]) {
      say(message);
      await client.next("receipt");
    }
    for (const { part, off } of await gate.bus.tails()) if (off > 0) await gate.bus.trim(part, 1);
    for (const message of [first, second]) {
      say(message);
      assert.equal((await client.next("receipt")).durableSeq, 4);
    }
    await until(() => gate.refused("INGEST_DUPLICATE_TRIMMED") === 1 && gate.refused("INGEST_DUPLICATE") === 1);
    assert.match(await gate.telemetry.metricsText(), metricOf("INGEST_DUPLICATE_TRIMMED", 1));
  });

  const lie: Partial<FrameFields> = { mappingVersion: 7 };

  test("equivocation: a second history under one sequence is refused, alarmed, and ends the session (FM-12)", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    const fields = chain.fields(syntheticPayload(0, 2), 2);
    say(chain.next(2, syntheticPayload(0, 2)).message);
    await client.next("receipt");
    say(signFrame({ ...fields, ...lie }, syntheticPayload(0, 2), who.batchKey).message);
    const reject = await client.next("reject");
    assert.equal(reject.code, "INGEST_EQUIVOCATION");
    assert.equal(reject.next, "stop");
    assert.equal((await client.ended).code, "INGEST_EQUIVOCATION");
    const alarms = gate.telemetry.events.filter((event) => event.name === "equivocation_found");
    assert.equal(alarms.length, 1);
    assert.equal(alarms[0]?.level, "error");
    await until(() => gate.refused("INGEST_EQUIVOCATION") === 1);
    const page = await gate.telemetry.metricsText();
    assert.match(page, metricOf("INGEST_EQUIVOCATION", 1));
    assert.match(page, /^ransomeye_gateway_equivocations_total 1$/m);
    assert.equal(await gate.stored(), 1);
  });

  test("equivocation: a next frame that signs another past (FM-12)", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    say(chain.next(2).message);
    await client.next("receipt");
    say(chain.peek(syntheticPayload(9, 2), 2, { prevHash: Buffer.alloc(32, 7) }).message);
    assert.equal((await client.next("reject")).code, "INGEST_EQUIVOCATION");
    assert.equal(await gate.stored(), 1);
  });

  test("R-6 a newer epoch fences the older one: its frames are refused and its holder may open none", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const other = await startTestGate(t, { bus: gate.bus });
    const { who, certificate } = await gate.enrol(1);
    const clone = await other.enrol(1);
    const original = await gate.begin(who, certificate);
    original.say(original.chain.next(2).message);
    await original.client.next("receipt");

    // A clone with the same identity opens the next epoch through another gate.
    const second = await other.begin(clone.who, clone.certificate);
    second.say(second.chain.openEpoch(second.welcome.sessionNonce));
    const opened = await second.client.next("epochOpened");
    assert.deepEqual([opened.epoch, opened.prevEpoch, opened.prevSeq], [2, 1, 2]);
    second.chain.opened(opened.epoch, opened);
    second.say(second.chain.next(1).message);
    await second.client.next("receipt");

    original.say(original.chain.next(2).message);
    assert.equal((await original.client.next("reject")).code, "INGEST_EPOCH_FENCED");
    assert.equal((await original.client.ended).code, "INGEST_EPOCH_FENCED");
    await until(() => gate.refused("INGEST_EPOCH_FENCED") >= 1);
    assert.equal(await gate.stored(), 2);

    // It comes back, still in the old epoch, and asks for a new one.
    const client = gate.connect(certificate);
    client.say(plainHello({ epoch: 1, nextSeq: 3 }));
    const welcome = await client.next("welcome");
    const chain = new SyntheticChain(who);
    chain.epoch = welcome.head.epoch;
    client.say(chain.openEpoch(welcome.sessionNonce));
    assert.equal((await client.ended).code, "INGEST_EPOCH_FENCED");
    assert.equal((await gate.bus.headsOf([who.producer])).get(who.producer)?.epoch, 2);
  });

  test("R-6 the first frame of an epoch links to the sealed end of the one before; a frame of an epoch nobody opened is sent back", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say, welcome } = await gate.begin(who, certificate);
    const last = chain.next(2);
    say(last.message);
    await client.next("receipt");
    say(chain.peek(syntheticPayload(0, 1), 1, { epoch: 9, firstSeq: 1, offered: 1, prevEpoch: 1, prevSeq: 2 }).message);
    const reject = await client.next("reject");
    assert.equal(reject.code, "INGEST_EPOCH_NOT_OPEN");
    assert.equal(reject.expected?.epoch, 1);
    say(chain.openEpoch(welcome.sessionNonce));
    const opened = await client.next("epochOpened");
    assert.ok(opened.prevHash.equals(last.hash));
    chain.opened(opened.epoch, opened);
    say(chain.next(1).message);
    assert.equal((await client.next("receipt")).epoch, 2);
  });

  test("one session per producer: the newest; the older is told (IF-10)", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const first = await gate.begin(who, certificate);
    const second = await gate.begin(who, certificate);
    assert.equal((await first.client.ended).code, "INGEST_SESSION_REPLACED");
    second.say(second.chain.next(1).message);
    assert.equal((await second.client.next("receipt")).durableSeq, 1);
  });

  test("X-2 a gap declaration is a link of the chain and costs one event of credit however much it declares", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    const payload = Buffer.from('{"reason":"spool_full"}');
    say(chain.peek(payload, 1_000_000, { kind: "gap" }).message);
    const receipt = await client.next("receipt");
    assert.equal(receipt.durableSeq, 1_000_000);
    assert.deepEqual(receipt.invalid, []);
  });
});
