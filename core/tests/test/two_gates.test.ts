/**
 * Why: a producer that has moved may still have an old conversation open at another gate; what each gate answers then is a table in ingestion_flow.md.
 * Enforces: each row of that table, through two real listeners over one bus: the bus is the referee, and no gate needs to know of another.
 * Forbids: gates that speak to each other.
 */
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { startTestGate, type TestConversation, type TestGate, until } from "../src/gate/test_gate.ts";
import { syntheticPayload } from "../synthetic_events.ts";

interface Both {
  readonly a: TestGate;
  readonly b: TestGate;
  /** The same producer, first at gate A, then at gate B, and it has not left A. */
  readonly atA: TestConversation;
  readonly atB: TestConversation;
}

/** Two gates over one bus; the producer has `before` durable through A when it comes to B. */
async function both(t: TestContext, before: number): Promise<Both> {
  const a = await startTestGate(t);
  const b = await startTestGate(t, { bus: a.bus, gatewayId: "gate-2" });
  const [mine, yours] = [await a.enrol(1), await b.enrol(1)];
  const atA = await a.begin(mine.who, mine.certificate);
  for (let n = 0; n < before; n++) {
    atA.say(atA.chain.next(2).message);
    await atA.client.next("receipt");
  }
  const atB = await b.begin(yours.who, yours.certificate);
  return { a, b, atA, atB };
}

suite("one producer at two gates", { concurrency: 4 }, () => {
  const timeout = 30_000;

  test("IF-5 in order: the gate it has come to goes on where the bus stands, and the old one takes the next frame, too", {
    timeout,
  }, async (t) => {
    const { a, atA, atB } = await both(t, 1);
    assert.equal(atB.welcome.head.seq, 2);
    const third = atB.chain.next(2);
    atB.say(third.message);
    assert.equal((await atB.client.next("receipt")).durableSeq, 4);
    atA.chain.next(2);
    atA.say(third.message);
    assert.equal((await atA.client.next("receipt")).durableSeq, 4, "a duplicate earns the same receipt");
    atA.say(atA.chain.next(2).message);
    assert.equal((await atA.client.next("receipt")).durableSeq, 6, "next is next, whoever takes it");
    assert.equal(await a.stored(), 3);
    await until(() => a.refused("INGEST_DUPLICATE_GATE") === 1);
  });

  test("IF-5 ahead of the old gate's expectation: refused with the head that it knows, and going back heals", { timeout }, async (t) => {
    const { a, atA, atB } = await both(t, 1);
    const frames = [atB.chain.next(2), atB.chain.next(2)];
    for (const { message } of frames) {
      atB.say(message);
      await atB.client.next("receipt");
    }
    const fifth = atB.chain.next(2);
    atA.say(fifth.message);
    const reject = await atA.client.next("reject");
    assert.deepEqual([reject.code, reject.next, reject.expected?.seq], ["INGEST_SEQUENCE_GAP", "resend", 2]);
    for (const { message } of frames) atA.say(message);
    atA.say(fifth.message);
    await until(async () => (await a.stored()) === 4);
    await until(() => a.refused("INGEST_DUPLICATE_GATE") === 2);
  });

  test("IF-5 FM-13 behind at the new gate: what is late at the one is a duplicate at the other, each time behind the barrier of R-4", {
    timeout,
  }, async (t) => {
    const { b, atA, atB } = await both(t, 1);
    const third = atA.chain.next(2);
    for (const at of [atA, atB, atB]) {
      at.say(third.message);
      assert.equal((await at.client.next("receipt")).durableSeq, 4);
    }
    await until(() => b.refused("INGEST_DUPLICATE_GATE") === 2);
    assert.equal(await b.stored(), 2);
  });

  test("IF-5 R-6 a new epoch at one gate fences the other: known frames are duplicates, new ones end its session", {
    timeout,
  }, async (t) => {
    const { a, atA, atB } = await both(t, 0);
    const first = atA.chain.next(2);
    atA.say(first.message);
    await atA.client.next("receipt");
    atB.chain.resume({ ...atB.welcome.head, seq: 2, hash: first.hash });
    atB.say(atB.chain.openEpoch(atB.welcome.sessionNonce));
    const opened = await atB.client.next("epochOpened");
    assert.deepEqual([opened.epoch, opened.prevSeq], [2, 2]);
    atA.say(first.message);
    assert.equal((await atA.client.next("receipt")).epoch, 2, "the receipt tells where the producer is now");
    atA.say(atA.chain.next(2).message);
    const reject = await atA.client.next("reject");
    assert.equal(reject.code, "INGEST_EPOCH_FENCED");
    assert.equal((await atA.client.ended).code, "INGEST_EPOCH_FENCED");
    atB.chain.opened(opened.epoch, opened);
    atB.say(atB.chain.next(2).message);
    assert.equal((await atB.client.next("receipt")).durableSeq, 2);
    assert.equal(await a.stored(), 2);
  });

  test("IF-5 R-6 of two that open the same epoch at two gates one wins, and the other is told", { timeout }, async (t) => {
    const { atA, atB } = await both(t, 1);
    atB.chain.resume(atB.welcome.head);
    atA.say(atA.chain.openEpoch(atA.welcome.sessionNonce));
    assert.equal((await atA.client.next("epochOpened")).epoch, 2);
    atB.say(atB.chain.openEpoch(atB.welcome.sessionNonce));
    assert.equal((await atB.client.ended).code, "INGEST_EPOCH_CONFLICT");
  });

  test("IF-5 two histories under one sequence at two gates: the second is refused, alarmed, and ends its session only", {
    timeout,
  }, async (t) => {
    const { a, b, atA, atB } = await both(t, 1);
    const other = atB.chain.peek(syntheticPayload(9, 2), 2);
    atA.say(atA.chain.next(2).message);
    await atA.client.next("receipt");
    atB.say(other.message);
    assert.equal((await atB.client.next("reject")).code, "INGEST_EQUIVOCATION");
    assert.equal(b.telemetry.events.filter(({ name }) => name === "equivocation_found").length, 1);
    atA.say(atA.chain.next(2).message);
    assert.equal((await atA.client.next("receipt")).durableSeq, 6);
    assert.equal(await a.stored(), 3);
  });
});
