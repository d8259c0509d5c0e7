/**
 * Why: what stands behind or before a gate goes away, and its producers go on; what the gate holds meanwhile is bounded, and nothing of it is lost (ING-8).
 * Enforces: a bus that does not answer, an engine that stores nothing, a network that swallows: each through the real listener, with what producers are
 *   told, what is refused them, and the way back.
 * Forbids: production data, and timed assertions.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { limits, systemClock } from "ransomeye-kernel";
import { type MemoryBus, openMemoryBus } from "ransomeye-pipeline";
import { JumpingClock } from "./src/gate/jumping_clock.ts";
import { SilentBus } from "./src/gate/silent_bus.ts";
import { Spender } from "./src/gate/spender.ts";
import { startTestGate, type TestConversation, type TestGate, until } from "./src/gate/test_gate.ts";
import { NetworkProxy } from "./src/outage/network_proxy.ts";
import { longSyntheticEvent } from "./synthetic_events.ts";

/** The states that the gate has been in, with their reasons, in order. */
const statesOf = ({ telemetry }: TestGate): string[] =>
  telemetry.events
    .filter(({ name }) => name === "pressure_changed")
    .map(({ fields }) => `${String(fields["state"])} ${String(fields["reason"])}`);

/** The throttle states that a producer was told. */
const toldTo = ({ client }: TestConversation): string[] =>
  client.heard.flatMap((message) => (message.kind === "throttle" ? [`${message.state} ${message.reason}`] : []));

const creditsOf = ({ client }: TestConversation): number => client.heard.filter(({ kind }) => kind === "credit").length;

/** Waits until the gate has taken all that was said to it before: a ping is answered in its order. */
const taken = ({ client }: TestConversation): Promise<void> =>
  new Promise((resolve, reject) => client.session.ping((error) => (error === null ? resolve() : reject(error))));

/** An engine that stores all there is. */
async function storeAll(bus: MemoryBus): Promise<void> {
  for (const lease of await bus.acquire("engine", "engine-1", { leaseMs: 60_000, partsMax: bus.partitions, held: [] })) {
    const entries = await bus.read(lease.part, lease.position, { framesMax: 1000, bytesMax: Number.MAX_SAFE_INTEGER });
    const last = entries.at(-1);
    if (last !== undefined) assert.equal(await bus.commit(lease, last.position), "committed");
    for (const { link } of entries) bus.noteStored(link.producer, link.epoch, link.firstSeq + link.count - 1);
  }
}

suite("what is away behind the gate, and before it", { concurrency: 4 }, () => {
  const timeout = 60_000;

  test("BP-8 P-5 a bus that answers no append fills the buffer to its bound and not beyond: THROTTLED, then PAUSED `buffer`; then all is stored once (FM-4)", {
    timeout,
  }, async (t) => {
    const silent = new SilentBus();
    // Only the buffer is to speak: how long an append takes is another signal.
    const config = { sessionsMax: 24, appendMsMax: 3_600_000 };
    const gate = await startTestGate(t, { bus: silent.bus, config });
    const line = `${longSyntheticEvent(1)}\n`;
    const count = Math.floor(limits.frameBytesMax / line.length);
    const payload = Buffer.from(line.repeat(count));
    const conversations: TestConversation[] = [];
    for (let seed = 0; seed < 20; seed += 1) {
      const { who, certificate } = await gate.enrol(seed);
      conversations.push(await gate.begin(who, certificate));
    }
    silent.fallSilent();
    const spenders = conversations.map((conversation) => new Spender(conversation));
    await Promise.all(
      spenders.map(async (spender) => {
        while ((await spender.send(count, payload)) === "sent");
      }),
    );
    const sent = conversations.reduce((sum, { chain }) => sum + chain.seq / count, 0);
    assert.deepEqual(statesOf(gate), ["throttled buffer", "paused buffer"]);
    for (const conversation of conversations) assert.equal(toldTo(conversation).at(-1), "paused buffer");

    const credits = conversations.map(creditsOf);
    for (const { say } of conversations) say({ kind: "demand", bytes: 1_000_000, events: 100, oldestUs: 0, frameBytes: 0 });
    await Promise.all(conversations.map(taken));
    const full = gate.gateway.figures();
    assert.deepEqual(conversations.map(creditsOf), credits, "nothing is granted while paused");
    assert.equal(full.framesUnanswered, sent, "all that was sent is held");
    assert.ok(full.heldBytes >= 0.8 * full.bufferBytesMax && full.reservedBytesPeak <= full.bufferBytesMax, JSON.stringify(full));
    assert.equal(await gate.stored(), 0);
    assert.ok(conversations.every(({ client }) => client.heard.every(({ kind }) => kind !== "receipt")));

    silent.speak();
    await until(() => gate.gateway.figures().framesUnanswered === 0);
    assert.equal(await gate.stored(), sent, "each frame once");
    for (const { client, chain } of conversations)
      if (chain.seq > 0) await until(() => client.heard.some((message) => message.kind === "receipt" && message.durableSeq === chain.seq));
    await until(() => conversations.every((conversation) => toldTo(conversation).at(-1) === "open "));
    await until(() => conversations.some((conversation, i) => creditsOf(conversation) > (credits[i] ?? 0)));
    assert.deepEqual(gate.refusals(), []);
    const { reservedBytesPeak, bufferBytesMax } = gate.gateway.figures();
    assert.ok(reservedBytesPeak <= bufferBytesMax, "nor did the way back break the bound");
  });

  test("BP-11 an engine that stores nothing pauses producers with `engine_lag`; what their floors cover is still taken; its return opens (FM-5)", {
    timeout,
  }, async (t) => {
    let aheadUs = 0;
    const bus = openMemoryBus({ clock: { ...systemClock, nowUs: () => systemClock.nowUs() + aheadUs } });
    await storeAll(bus);
    const gate = await startTestGate(t, { bus });
    const { who, certificate } = await gate.enrol(1);
    const conversation = await gate.begin(who, certificate);
    const { client, chain, say } = conversation;
    say(chain.next(2).message);
    await client.next("receipt");
    aheadUs = 31_000_000;
    await until(() => gate.gateway.figures().state === "paused");
    assert.equal(gate.gateway.figures().reason, "engine_lag");
    assert.deepEqual(toldTo(conversation), [], "who is silent is not disturbed");
    const credits = creditsOf(conversation);
    say({ kind: "demand", bytes: 100_000, events: 100, oldestUs: 0, frameBytes: 0 });
    await until(() => toldTo(conversation).at(-1) === "paused engine_lag");
    say(chain.next(1).message);
    assert.equal((await client.next("receipt")).durableSeq, 3, "the bus is there: what credit covers is durable");
    await taken(conversation);
    assert.equal(creditsOf(conversation), credits, "nothing is granted while paused");
    await storeAll(bus);
    await until(() => toldTo(conversation).at(-1) === "open ");
    await until(() => creditsOf(conversation) > credits);
    await until(() => client.heard.some((message) => message.kind === "stored" && message.seq === 3));
    assert.equal(await gate.stored(), 2);
    assert.deepEqual(gate.refusals(), []);
  });

  test("P-1 a network that swallows: the gate notices, gives the room back, and what comes again is stored once (FM-7)", {
    timeout,
  }, async (t) => {
    const clock = new JumpingClock();
    const silent = new SilentBus();
    const gate = await startTestGate(t, { bus: silent.bus, clock });
    const proxy = await NetworkProxy.open(gate.gateway.address);
    t.after(() => proxy[Symbol.asyncDispose]());
    const { who, certificate } = await gate.enrol(1);
    const before = await gate.begin(who, certificate, {}, proxy.address.port);
    const [first, second, third] = [before.chain.next(2), before.chain.next(2), before.chain.next(2)];
    before.say(first.message);
    await before.client.next("receipt");

    silent.fallSilent();
    before.say(second.message);
    await until(() => gate.gateway.figures().framesUnanswered === 1);
    proxy.become("swallow");
    silent.speak();
    await until(async () => (await gate.stored()) === 2);
    before.say(third.message);
    await until(() => {
      clock.jump(25_000);
      return gate.refused("INGEST_PEER_SILENT") === 1;
    });
    const { sessions, heldBytes, reservedBytes } = gate.gateway.figures();
    assert.deepEqual({ sessions, heldBytes, reservedBytes }, { sessions: 0, heldBytes: 0, reservedBytes: 0 });
    assert.equal(before.client.heard.filter(({ kind }) => kind === "receipt").length, 1, "the second receipt never arrived");

    proxy.become("pass");
    await before.client.ended;
    const after = await gate.begin(who, certificate, { epoch: 1 }, proxy.address.port);
    assert.equal(after.welcome.head.seq, 4, "the bus's word: the second frame is there, the third is not");
    // A producer without its receipt sends again from where it was sure.
    for (const frame of [second, third]) after.say(frame.message);
    await until(() => after.client.heard.some((message) => message.kind === "receipt" && message.durableSeq === 6));
    assert.equal(await gate.stored(), 3);
    await until(() => gate.refused("INGEST_DUPLICATE_SESSION") === 1);
  });
});
