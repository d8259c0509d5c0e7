/**
 * Why: an alarm that drowns among its like, or is forgotten while the database is away, is no alarm.
 * Enforces: what the limiter, the teller, the spool and the desk promise, on a clock that moves when a test says so, and for any history.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { createTelemetry, type RaisedAlarm, recordingTelemetry, type RecordingTelemetry, seededRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { type AlertPayload, type Message, MessageQueueManager, openMemoryMessages, StreamName } from "ransomeye-pipeline";
import { alarmAgainMs, AlarmDesk, alertsMax } from "../src/alarms/alarm_desk.ts";
import { AlarmLimiter, type CountedAlarm, others } from "../src/alarms/alarm_limiter.ts";
import { AlarmTeller } from "../src/alarms/alarm_teller.ts";
import { alertMessage } from "../src/alarms/alert_message.ts";
import { toldAlarm } from "../src/alarms/told_alarm.ts";
import { busPaused, cloneSuspected } from "../src/events.ts";
import { AlertInbox } from "../src/roles/alert_inbox.ts";
import { type ManualClock, manualClock } from "./manual_clock.ts";

type Alert = Message<AlertPayload>;

function alarm(event: string, subject: string, atUs = 0): CountedAlarm {
  const about = { producer: subject };
  return { event, title: "Something", severity: "high", about, fields: about, count: 1, firstUs: atUs, lastUs: atUs };
}
const summed = (alarms: readonly CountedAlarm[]): number => alarms.reduce((sum, { count }) => sum + count, 0);

test("EB-27 R-27 whatever is raised is told: the counts add up, each interval has one message for a subject, and one event's flood hides no other", () => {
  const raised = fc.record({ event: fc.constantFrom("a", "b", "c", "d"), subject: fc.nat(9), pauseMs: fc.constantFrom(0, 0, 1, 40, 250) });
  fc.assert(
    fc.property(fc.array(raised, { maxLength: 300 }), fc.infiniteStream(fc.boolean()), (history, polls) => {
      const limits = { againMs: 100, subjectsMax: 3, eventsMax: 3 };
      const limiter = new AlarmLimiter(limits);
      const told: { readonly atMs: number; readonly alarm: CountedAlarm }[] = [];
      let nowMs = 0;
      for (const { event, subject, pauseMs } of history) {
        nowMs += pauseMs;
        if (polls.next().value === true) told.push(...limiter.due(nowMs).map((one) => ({ atMs: nowMs, alarm: one })));
        const now = limiter.raise(alarm(event, String(subject), nowMs), nowMs);
        if (now !== undefined) told.push({ atMs: nowMs, alarm: now });
      }
      const lastMs = new Map<string, number>();
      for (const { atMs, alarm: one } of told) {
        const key = `${one.event} ${one.about["producer"]}`;
        assert.ok(atMs - (lastMs.get(key) ?? -limits.againMs) >= limits.againMs, "one of a subject within an interval");
        lastMs.set(key, atMs);
        assert.ok(one.firstUs <= one.lastUs);
      }
      const inAnyInterval = told.filter(({ atMs }) => atMs > nowMs - limits.againMs).length;
      assert.ok(inAnyInterval <= (limits.eventsMax + 1) * (limits.subjectsMax + 1));
      assert.equal(summed([...told.map(({ alarm: one }) => one), ...limiter.close()]), history.length);
      assert.ok(limiter.isEmpty);
    }),
  );
  const flooded = new AlarmLimiter({ againMs: 100, subjectsMax: 3, eventsMax: 3 });
  for (let n = 0; n < 1000; n += 1) flooded.raise(alarm("equivocation_found", `producer ${n}`), 0);
  assert.equal(flooded.raise(alarm("registry_stale", ""), 0)?.event, "registry_stale");
  const later = flooded.due(100);
  assert.deepEqual(
    later.map(({ event, about, count }) => [event, about["producer"], count]),
    [["equivocation_found", others, 996]],
  );
});

test("R-27 a process tells the first alarm at once and a second's repetitions as one, and what was gathered when it ends", () => {
  const clock = manualClock();
  const told: CountedAlarm[] = [];
  const teller = new AlarmTeller({ clock, tell: (one) => told.push(one) });
  const telemetry = createTelemetry({
    role: "gateway-1",
    level: "silent",
    destination: { write: () => undefined },
    onAlarm: (one) => teller.raised(one),
  });
  const clone = { producer: "p", evidence: "fork", detail: "x".repeat(10_000) };
  for (let n = 0; n < 1000; n += 1) telemetry.child({ session: 7 }).emit(cloneSuspected, clone);
  assert.deepEqual(
    told.map(({ event, count, about }) => [event, count, about]),
    [["clone_suspected", 1, { producer: "p", evidence: "fork" }]],
  );
  assert.deepEqual([told[0]?.fields["session"], String(told[0]?.fields["detail"]).length], [7, 512]);
  clock.advance(1000);
  assert.deepEqual(
    told.map(({ count }) => count),
    [1, 999],
  );
  telemetry.emit(cloneSuspected, clone);
  teller.close();
  assert.deepEqual(
    told.map(({ count }) => count),
    [1, 999, 1],
  );
  for (const one of told) assert.deepEqual(toldAlarm(JSON.parse(JSON.stringify(one))), one, "as it arrives");
});

/** A desk whose keeper takes what it is handed as a test says. */
class Keeper {
  present = true;
  readonly inbox = new AlertInbox();
  /** What came into the outbox. */
  readonly kept: Alert[] = [];
  readonly desk: AlarmDesk;
  readonly telemetry: RecordingTelemetry = recordingTelemetry();

  constructor(clock: ManualClock, file: string) {
    const hand = (alerts: readonly Alert[]): boolean => {
      if (this.present) this.inbox.put(alerts);
      return this.present;
    };
    this.desk = new AlarmDesk({ clock, file, host: "host", hand });
  }

  /** Keeps what it was handed, all rounds long. */
  keep(): void {
    while (this.inbox.waiting.length > 0) {
      const { waiting } = this.inbox;
      this.kept.push(...waiting);
      this.inbox.kept(waiting);
      this.desk.kept(waiting.map(({ message_id }) => message_id));
    }
  }

  codes(): unknown[] {
    return this.kept.map(({ payload }) => [payload.code, payload.process, payload.count]);
  }
}

async function opened(clock: ManualClock, file: string): Promise<Keeper> {
  const keeper = new Keeper(clock, file);
  await keeper.desk.begin(keeper.telemetry);
  return keeper;
}

const paused: RaisedAlarm = {
  event: busPaused.name,
  title: "Paused",
  severity: "critical",
  about: { reason: "x" },
  fields: { reason: "x" },
};

test("EB-27 R-27 a hundred thousand equivocations at a gateway are two messages, and beside them another alarm is heard", async () => {
  const clock = manualClock();
  const keeper = await opened(clock, join(await temporaryDirectory(), "alerts.json"));
  for (let n = 0; n < 100_000; n += 1) keeper.desk.told("gateway-1", alarm("equivocation_found", "p", n));
  keeper.desk.told("gateway-1", alarm("registry_stale", "", 3));
  keeper.desk.told("gateway-2", alarm("equivocation_found", "p", 4));
  keeper.keep();
  const first = [
    ["equivocation_found", "gateway-1", 1],
    ["registry_stale", "gateway-1", 1],
    ["equivocation_found", "gateway-2", 1],
  ];
  assert.deepEqual(keeper.codes(), first);
  clock.advance(alarmAgainMs + 1000);
  keeper.keep();
  assert.deepEqual(keeper.codes(), [...first, ["equivocation_found", "gateway-1", 99_999]]);
  const { payload } = keeper.kept[3] as Alert;
  assert.deepEqual([payload.first_at, payload.last_at], ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.099Z"]);
  assert.equal(new Set(keeper.kept.map(({ message_id }) => message_id)).size, 4);
  await keeper.desk.close();
});

test("EB-26 R-27 alerts wait for the keeper, are handed again when it died with them, and keep their ids", async () => {
  const clock = manualClock();
  const keeper = await opened(clock, join(await temporaryDirectory(), "alerts.json"));
  keeper.present = false;
  keeper.desk.raised(paused);
  clock.advance(10_000);
  assert.equal(keeper.inbox.waiting.length, 0);
  keeper.present = true;
  clock.advance(1000);
  const handed = keeper.inbox.waiting;
  assert.deepEqual(
    handed.map(({ payload }) => payload.process),
    ["supervisor"],
  );
  // It dies with them; whoever follows is handed the same.
  keeper.inbox.put([]);
  clock.advance(10_000);
  assert.deepEqual(keeper.inbox.waiting, handed);
  keeper.keep();
  clock.advance(10_000);
  assert.deepEqual([keeper.kept, keeper.inbox.waiting], [handed, []]);
  await keeper.desk.close();
});

test("EB-26 R-27 what waits outlives the supervisor; one that was not stopped in order is an alarm, one that was is none", async () => {
  const file = join(await temporaryDirectory(), "alerts.json");
  const clock = manualClock();
  const killed = await opened(clock, file);
  killed.present = false;
  killed.desk.raised(paused);
  const waits = async (): Promise<number> => (JSON.parse(await readFile(file, "utf8")) as { waiting: Alert[] }).waiting.length;
  while ((await waits()) === 0) await new Promise(setImmediate);

  clock.advance(60_000);
  const next = await opened(clock, file);
  // As the supervisor's telemetry does.
  const returned = next.telemetry.events.filter(({ level }) => level === "error");
  assert.deepEqual(
    returned.map(({ name, fields }) => [name, fields]),
    [["system_returned", { since: "2023-11-14T22:13:20.000Z" }]],
  );
  next.keep();
  assert.deepEqual(next.codes(), [["bus_paused", "supervisor", 1]]);
  // Raised again and not told: it is told by whoever follows.
  for (let n = 0; n < 5; n += 1) next.desk.raised({ ...paused, about: { reason: "y" } });
  next.keep();
  await next.desk.close();

  const last = await opened(clock, file);
  clock.advance(1000);
  last.keep();
  assert.deepEqual(last.codes(), [["bus_paused", "supervisor", 4]]);
  assert.deepEqual(
    last.telemetry.events.filter(({ level }) => level === "error"),
    [],
  );
  await last.desk.close();
  const all = [...next.kept, ...last.kept].map(({ message_id }) => message_id);
  assert.equal(new Set(all).size, all.length);
});

test("EB-26 R-27 what finds no room to wait is counted, and one message says so as soon as there is room", async () => {
  const clock = manualClock();
  const keeper = await opened(clock, join(await temporaryDirectory(), "alerts.json"));
  keeper.present = false;
  let raised = 0;
  for (let source = 0; raised < alertsMax + 100; source += 1)
    for (let n = 0; n < 20; n += 1, raised += 1) keeper.desk.told(`process-${source}`, alarm("clock_drifted", `p${n}`, raised));
  const lost = raised - alertsMax;
  assert.equal(keeper.telemetry.events.filter(({ name }) => name === "alerts_missed").length, lost);
  keeper.present = true;
  clock.advance(1000);
  keeper.keep();
  assert.equal(keeper.kept.length, alertsMax + 1);
  assert.deepEqual(keeper.codes().at(-1), ["alerts_missed", "supervisor", lost]);
  await keeper.desk.close();
});

test("R-27 a file of alerts that cannot be read is told and costs nothing else", async () => {
  const file = join(await temporaryDirectory(), "alerts.json");
  await writeFile(file, `{"version":1,"waiting":`);
  const keeper = await opened(manualClock(), file);
  assert.deepEqual(
    keeper.telemetry.events.map(({ name }) => name),
    ["alerts_unkept"],
  );
  keeper.desk.raised(paused);
  keeper.keep();
  assert.equal(keeper.kept.length, 1);
  await keeper.desk.close();
});

test("R-12 R-27 what a process tells is not believed unless it is an alarm, and never about another process", async () => {
  const keeper = await opened(manualClock(), join(await temporaryDirectory(), "alerts.json"));
  const good = alarm("clock_drifted", "p");
  const foreign: readonly unknown[] = [
    undefined,
    null,
    "alarm",
    [],
    {},
    { ...good, event: "\u001b[2J" },
    { ...good, event: "x".repeat(65) },
    { ...good, title: "" },
    { ...good, title: "x".repeat(201) },
    { ...good, severity: "fatal" },
    { ...good, about: null },
    { ...good, about: { producer: 7 } },
    { ...good, fields: { producer: {} } },
    { ...good, fields: { producer: "x".repeat(513) } },
    { ...good, fields: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`f${n}`, n])) },
    { ...good, count: 0 },
    { ...good, count: 1.5 },
    { ...good, firstUs: -1 },
    { ...good, lastUs: 2 ** 60 },
  ];
  for (const value of foreign) keeper.desk.told("gateway-1", value);
  keeper.keep();
  assert.deepEqual([keeper.kept, keeper.telemetry.events.length], [[], foreign.length]);
  keeper.desk.told("gateway-1", { ...good, process: "engine", host: "another", seq: 1 });
  keeper.keep();
  assert.deepEqual(
    keeper.kept.map(({ producer_id, payload }) => [producer_id, payload.process, payload.host]),
    [["gateway-1", "gateway-1", "host"]],
  );
  await keeper.desk.close();
});

test("EB-25 R-27 every alarm that is believed is a message that its stream takes", async () => {
  const text = fc.string({ maxLength: 512, unit: "binary" });
  const name = fc.constantFrom("producer", "part", "message_id", "code", "a_b");
  const told = fc.record({
    event: fc.stringMatching(/^[a-z][a-z0-9_]{0,60}$/),
    title: fc.string({ minLength: 1, maxLength: 200 }),
    severity: fc.constantFrom("medium", "high", "critical"),
    about: fc.dictionary(name, text),
    fields: fc.dictionary(name, fc.oneof(text, fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer())),
    count: fc.integer({ min: 1, max: 1_000_000_000_000 }),
    firstUs: fc.maxSafeNat(),
    lastUs: fc.maxSafeNat(),
  });
  const clock = manualClock();
  const queue = new MessageQueueManager({
    log: openMemoryMessages({ clock }),
    producerId: "test",
    clock,
    random: seededRandom(1),
    telemetry: recordingTelemetry(),
  });
  let seq = 0;
  await fc.assert(
    fc.asyncProperty(told, async (value) => {
      const one = toldAlarm(JSON.parse(JSON.stringify(value)));
      assert.ok(one !== undefined);
      seq += 1;
      const message = alertMessage({ host: "host", process: "engine", lifeUs: 1, seq }, one);
      const outcome = await queue.publish(StreamName.alerts, message.payload, { priority: message.priority });
      assert.equal(outcome.kind, "published");
    }),
  );
  await queue.close();
});
