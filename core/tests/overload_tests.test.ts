/**
 * Why: credit is a reservation; a gate that is pressed answers slower, and loses nothing (promise 5).
 * Enforces: the bounds of the buffer, of messages and of sessions through the real listener; the pause of the bus and its end.
 * Forbids: production data, and timed assertions.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { INGEST_CODES } from "ransomeye-ingestion";
import type { ServerMessage } from "ransomeye-ingestion/protocol";
import { limits, systemClock } from "ransomeye-kernel";
import { type FrameAppend, type GateReport, type MemoryBus, openMemoryBus } from "ransomeye-pipeline";
import { JumpingClock } from "./src/gate/jumping_clock.ts";
import { SilentBus } from "./src/gate/silent_bus.ts";
import { Spender } from "./src/gate/spender.ts";
import { plainHello } from "./src/gate/test_client.ts";
import { startTestGate, until } from "./src/gate/test_gate.ts";
import { longSyntheticEvent, syntheticPayload, syntheticProducer } from "./synthetic_events.ts";

suite("bounds and backpressure", { concurrency: 8 }, () => {
  const timeout = 60_000;

  test("BP-2 a frame beyond credit ends the session, and nothing of it is stored", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say, welcome } = await gate.begin(who, certificate);
    assert.equal(welcome.creditBytesTotal, limits.sessionFloorBytes, "the floor, and no more");
    say(chain.next(100).message);
    const ended = await client.ended;
    assert.equal(ended.code, "INGEST_CREDIT_EXCEEDED");
    assert.equal(ended.grpcStatus, INGEST_CODES.INGEST_CREDIT_EXCEEDED.grpc);
    assert.equal(await gate.stored(), 0);
    await until(() => gate.refused("INGEST_CREDIT_EXCEEDED") === 1);
  });

  test("BP more events than credited, in few bytes", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    say(chain.next(200, Buffer.from("{}\n".repeat(200))).message);
    assert.equal((await client.ended).code, "INGEST_CREDIT_EXCEEDED");
    assert.equal(await gate.stored(), 0);
  });

  test("BP an announced message that no credit covers is refused at its prefix, before its bytes are gathered", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client } = await gate.begin(who, certificate);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(200_000, 1);
    client.sayRaw(prefix);
    assert.equal((await client.ended).code, "INGEST_CREDIT_EXCEEDED");
  });

  test("BP-5 R-14 the window that a peer is given follows its credit: floor and first credit, as far as more covers, and back once it is idle", {
    timeout,
  }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say, welcome, credit } = await gate.begin(who, certificate);
    const windowIs = (bytes: number): Promise<void> => until(() => client.session.remoteSettings.initialWindowSize === bytes);
    await windowIs(welcome.creditBytesTotal + limits.sessionFloorBytes);
    const payload = syntheticPayload(0, 250);
    await credit(payload.length, 250);
    await windowIs(65_536);
    assert.ok(payload.length >= 65_536 - limits.sessionFloorBytes, "which its credit covers");
    say(chain.next(250, payload).message);
    await client.next("receipt");
    clock.jump(6000);
    await windowIs(2 * limits.sessionFloorBytes);
    for (let nth = 0; nth < 20; nth += 1) {
      say(chain.next(9).message);
      await client.next("receipt");
    }
    assert.equal(await gate.stored(), 21, "what its floor covers passes through a window of that size");
  });

  test("BP an oversized message", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol(1);
    const client = gate.connect(certificate);
    client.say(plainHello());
    await client.next("welcome");
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(limits.messageBytesMax + 1, 1);
    client.sayRaw(prefix);
    assert.equal((await client.ended).code, "INGEST_MESSAGE_TOO_LARGE");
    await until(() => gate.refused("INGEST_MESSAGE_TOO_LARGE") === 1);
    assert.equal(await gate.stored(), 0);
  });

  test("BP demand earns credit, the largest frame passes, and its room comes back", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say, credit } = await gate.begin(who, certificate);
    for (let i = 0; i < 8; i += 1) {
      const line = longSyntheticEvent(i);
      const payload = Buffer.from(`${line}\n${line}\n`);
      await credit(payload.length + 1024, 2);
      say(chain.next(2, payload).message);
      assert.equal((await client.next("receipt")).durableSeq, chain.seq);
    }
    assert.equal(await gate.stored(), 8);
    const figures = gate.gateway.figures();
    assert.equal(figures.heldBytes, 0);
    assert.ok(figures.reservedBytesPeak <= figures.bufferBytesMax);
  });

  test("BP sessions beyond the bound are told to come back", { timeout }, async (t) => {
    const gate = await startTestGate(t, { config: { sessionsMax: 2 } });
    for (const seed of [1, 2]) {
      const { who, certificate } = await gate.enrol(seed);
      await gate.begin(who, certificate);
    }
    const { certificate } = await gate.enrol(3);
    const client = gate.connect(certificate);
    client.say(plainHello());
    assert.equal((await client.ended).code, "INGEST_SESSIONS_MAX");
  });

  test("P-5: while the bus is paused producers are told so, frames are kept, no credit is given; afterwards all of it is stored once (FM-10)", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    await gate.bus.pause("disk_floor");
    say(chain.next(2).message);
    const throttle = await client.next("throttle");
    assert.deepEqual([throttle.state, throttle.reason], ["paused", "disk_floor"]);
    assert.ok(throttle.retryAfterMs > 0);
    say({ kind: "demand", bytes: 100_000, events: 100, oldestUs: 0, frameBytes: 0 });
    say(chain.next(1).message);
    await until(() => gate.gateway.figures().framesUnanswered === 2);
    assert.equal(client.heard.filter(({ kind }) => kind === "credit" || kind === "receipt").length, 0);
    await gate.bus.pause(null);
    assert.equal((await client.next("receipt")).epoch, 1);
    await until(async () => (await gate.stored()) === 2);
    await until(() => client.heard.some((message) => message.kind === "throttle" && message.state === "open"));
    await until(() => client.heard.some((message) => message.kind === "credit"));
    assert.equal(gate.gateway.figures().heldBytes, 0);
  });

  /** A bus whose next appends fail, before or after they happened. */
  function flakyBus(): { readonly bus: MemoryBus; failures: ("before" | "after")[] } {
    const bus = openMemoryBus({ clock: systemClock });
    const append = bus.append.bind(bus);
    const flaky = { bus, failures: [] as ("before" | "after")[] };
    bus.append = async (part: number, frames: readonly FrameAppend[], options) => {
      const failure = flaky.failures.shift();
      if (failure === "before") throw new Error("connection refused");
      const outcomes = await append(part, frames, options);
      if (failure === "after") throw new Error("connection reset");
      return outcomes;
    };
    return flaky;
  }

  test("BP-10 R-14 a lease runs from the question, not from its answer: a bus that takes longer than the lease has leased nothing", {
    timeout,
  }, async (t) => {
    for (const lateMs of [0, 60_000]) {
      let aheadMs = 0;
      const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
      const bus = openMemoryBus({ clock: systemClock });
      const pressure = bus.pressure.bind(bus);
      bus.pressure = async (question) => {
        const answer = await pressure(question);
        aheadMs += lateMs;
        return answer;
      };
      const gate = await startTestGate(t, { bus, clock });
      const { inFlightBytesMax, state, reason } = gate.gateway.figures();
      if (lateMs === 0) assert.ok(inFlightBytesMax > 0 && state === "open");
      else assert.deepEqual({ inFlightBytesMax, state, reason }, { inFlightBytesMax: 0, state: "paused", reason: "bus_unavailable" });
    }
  });

  test("P-1: an append without an answer is sent again; what had happened comes back as duplicate, and the receipt follows (FM-11)", {
    timeout,
  }, async (t) => {
    const flaky = flakyBus();
    const gate = await startTestGate(t, { bus: flaky.bus });
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    flaky.failures.push("before", "after", "before");
    say(chain.next(2).message);
    assert.equal((await client.next("receipt")).durableSeq, 2);
    assert.equal(await gate.stored(), 1);
    assert.equal(gate.telemetry.events.filter(({ name }) => name === "append_failed").length, 3);
    say(chain.next(2).message);
    assert.equal((await client.next("receipt")).durableSeq, 4);
  });

  test("BP a producer beyond its rate is throttled with the time to wait, and loses nothing (FM-1)", { timeout }, async (t) => {
    const gate = await startTestGate(t, { config: { rateBytesPerSecondMax: 64 * 1024, rateEventsPerSecondMax: 2000 } });
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say, credit } = await gate.begin(who, certificate);
    let sent = 0;
    const frame = 250;
    const bytes = syntheticPayload(0, frame).length + 4096;
    for (let i = 0; i < 8; i += 1) {
      await credit(bytes, frame);
      say(chain.next(frame).message);
      sent += frame;
    }
    await until(() => client.heard.some((message) => message.kind === "receipt" && message.durableSeq === sent));
    const throttle = client.heard.find((message) => message.kind === "throttle");
    assert.ok(throttle?.kind === "throttle" && throttle.state === "throttled" && throttle.reason === "rate" && throttle.retryAfterMs > 0);
  });

  test("R-5 what the engine has stored is told, so that spools may forget", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    say(chain.next(2).message);
    await client.next("receipt");
    gate.bus.noteStored(who.producer, 1, 2);
    const stored = await client.next("stored");
    assert.deepEqual([stored.epoch, stored.seq], [1, 2]);
  });

  test("BP-17 BP-18 ING-8 a producer that keeps breaking its credit is quarantined: closed, refused with a time, alarmed, counted, listed; then let in again (FM-1)", {
    timeout,
  }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const { certificate } = await gate.enrol("flooder");
    const honest = await gate.enrol("honest");
    const neighbour = await gate.begin(honest.who, honest.certificate);
    const unpaid = Buffer.alloc(5);
    unpaid.writeUInt32BE(200_000, 1);
    /** One session: Hello, and a message that no credit covers. */
    const breakIn = async (): Promise<Extract<ServerMessage, { kind: "goodbye" }>> => {
      const client = gate.connect(certificate);
      client.say(plainHello());
      const answer = await client.next("welcome", "goodbye");
      if (answer.kind === "welcome") client.sayRaw(unpaid);
      return answer.kind === "goodbye" ? answer : await client.next("goodbye");
    };
    const codes: string[] = [];
    let last = await breakIn();
    for (; last.code === "INGEST_CREDIT_EXCEEDED"; last = await breakIn()) codes.push(last.code);
    assert.equal(last.code, "INGEST_QUARANTINED");
    assert.ok(codes.length >= 9, `after ${codes.length} breaks, and not at the first`);
    assert.ok(
      last.comeBackAfterMs > 5000 && last.comeBackAfterMs <= 65_000,
      `${last.comeBackAfterMs} ms: more than whoever else is sent away`,
    );

    const { producer } = syntheticProducer("flooder");
    const alarms = gate.telemetry.events.filter(({ name }) => name === "producer_quarantined");
    assert.deepEqual(
      alarms.map(({ level, fields }) => [level, fields["producer"], fields["code"]]),
      [["error", producer, "INGEST_CREDIT_EXCEEDED"]],
    );
    const listed = gate.gateway.figures().quarantined;
    assert.deepEqual(
      listed.map((one) => [one.producer, one.code, one.untilUs - one.sinceUs]),
      [[producer, "INGEST_CREDIT_EXCEEDED", 60_000_000]],
    );
    const page = (): Promise<string> => gate.telemetry.metricsText();
    assert.match(await page(), /^ransomeye_gateway_quarantines_total\{code="INGEST_CREDIT_EXCEEDED"\} 1$/m);
    await until(async () => /^ransomeye_gateway_quarantined 1$/m.test(await page()));
    await until(() => gate.refused("INGEST_QUARANTINED") > 0 && gate.refused("INGEST_CREDIT_EXCEEDED") >= codes.length);

    neighbour.say(neighbour.chain.next(2).message);
    assert.equal((await neighbour.client.next("receipt")).durableSeq, 2, "nobody else pays for it");
    clock.jump(60_000);
    assert.equal((await breakIn()).code, "INGEST_CREDIT_EXCEEDED", "its time is over, and its sheet is clean");
    await until(async () => /^ransomeye_gateway_quarantined 0$/m.test(await page()));
  });

  test("P-2 P-3 P-5 a hundred thousand events as fast as credit allows: each stored once and in order, the buffer within its bound", {
    timeout,
  }, async (t) => {
    const [producers, frames, events] = [8, 25, 500];
    const gate = await startTestGate(t);
    const conversations = await Promise.all(
      Array.from({ length: producers }, async (_, seed) => {
        const { who, certificate } = await gate.enrol(seed);
        return gate.begin(who, certificate);
      }),
    );
    await Promise.all(
      conversations.map(async (conversation) => {
        const { chain, client } = conversation;
        const spender = new Spender(conversation);
        for (let left = frames; left > 0; left -= 1)
          assert.equal(await spender.send(events, syntheticPayload(chain.seq, events), left), "sent");
        await until(() => client.heard.some((message) => message.kind === "receipt" && message.durableSeq === frames * events));
      }),
    );
    const next = new Map(conversations.map(({ chain }) => [chain.who.producer, 1]));
    for (const { part, off } of await gate.bus.tails()) {
      const entries = await gate.bus.read(part, null, { framesMax: producers * frames, bytesMax: Number.MAX_SAFE_INTEGER });
      assert.equal(entries.length, off);
      for (const { link, payload } of entries) {
        assert.equal(link.firstSeq, next.get(link.producer), "the next of its producer");
        assert.ok(payload.equals(syntheticPayload(link.firstSeq - 1, link.count)), "and what it sent");
        next.set(link.producer, link.firstSeq + link.count);
      }
    }
    assert.deepEqual(
      [...next.values()],
      conversations.map(() => frames * events + 1),
    );
    const { heldBytes, reservedBytesPeak, bufferBytesMax } = gate.gateway.figures();
    assert.ok(heldBytes === 0 && reservedBytesPeak <= bufferBytesMax, `${reservedBytesPeak} of ${bufferBytesMax} bytes`);
    assert.match(await gate.telemetry.metricsText(), /^ransomeye_gateway_events_accepted_total\{kind="linux"\} 100000$/m);
    assert.deepEqual(gate.refusals(), []);
  });

  test("drain: frames in flight are receipted, then Goodbye with a time to come back; counters say that the end was clean", {
    timeout,
  }, async (t) => {
    const silent = new SilentBus();
    const reports: GateReport[] = [];
    const report = silent.bus.report.bind(silent.bus);
    silent.bus.report = async (said) => {
      reports.push(said);
      return report(said);
    };
    const gate = await startTestGate(t, { bus: silent.bus });
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    silent.fallSilent();
    say(chain.next(2).message);
    say(chain.next(3).message);
    await until(() => gate.gateway.figures().framesUnanswered === 2);
    const drained = gate.gateway.drain();
    assert.ok(
      client.heard.every(({ kind }) => kind !== "goodbye"),
      "not before its frames are answered",
    );
    silent.speak();
    await drained;
    const { code, comeBackAfterMs } = await client.next("goodbye");
    assert.equal(code, "INGEST_DRAINING");
    assert.ok(comeBackAfterMs >= 0 && comeBackAfterMs <= 5000, `${comeBackAfterMs} ms`);
    const receipts = client.heard.flatMap((message) => (message.kind === "receipt" ? [message.durableSeq] : []));
    assert.equal(receipts.at(-1), 5, "both frames, before the last word");
    assert.equal((await client.ended).code, "INGEST_DRAINING");

    const last = reports.at(-1);
    assert.deepEqual([last?.ended, last?.sessions], [true, 0], "the last report is one of an end");
    assert.deepEqual(last?.counters, { frames_accepted: 2, events_accepted: 5, frames_duplicate: 0, events_duplicate: 0 });
    assert.deepEqual(
      gate.telemetry.events.filter(({ name }) => name === "gateway_drained").map(({ fields }) => fields),
      [{ sessions: 0, unanswered_frames: 0 }],
    );
    assert.match(await gate.telemetry.metricsText(), /^ransomeye_gateway_sessions_ended_total\{code="INGEST_DRAINING"\} 1$/m);
  });
});
