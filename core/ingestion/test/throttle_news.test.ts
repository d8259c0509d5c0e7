/**
 * Why: news for thousands of sessions, sent when the gate has least time, was what kept a gate of 18,000 sessions from its work.
 * Enforces: whom a change of state or linger is told (BP-19), that the silent hear nothing, and the bound of what is told at once.
 * Forbids: sockets and real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { grant, openAccount } from "../src/buffer.ts";
import type { Session } from "../src/session_state.ts";
import { ThrottleNews, toldPerTickMax } from "../src/throttle_news.ts";
import { type ModelProducer, ModelWorld } from "./gate_model.ts";

/** Lets time pass in ticks; `peersWaited` is a gate that is too slow for its peers. */
function pass(world: ModelWorld, ms: number, peersWaited = false): void {
  for (let i = 0; i < ms; i += 100) {
    world.nowMs += 100;
    world.step({ kind: "tick", registryAgeMs: 0, peersWaited });
  }
}

async function joined(world: ModelWorld): Promise<ModelProducer> {
  const producer = world.producer();
  await world.join(producer);
  producer.heard.length = 0;
  return producer;
}

const throttles = ({ heard }: ModelProducer): readonly string[] =>
  heard.flatMap((message) => (message.kind === "throttle" ? [`${message.state} ${message.reason}`] : []));

const lingers = ({ heard }: ModelProducer): readonly number[] =>
  heard.flatMap((message) => (message.kind === "credit" ? [message.lingerMs] : []));

test("BP-19 a state that changes is told to those who wait or speak, and to nobody else", async () => {
  const world = new ModelWorld(1);
  const [waits, silent, speaks] = [await joined(world), await joined(world), await joined(world)];
  world.busPressure = { ...world.busPressure, paused: "disk_floor" };
  pass(world, 1200);
  world.say(waits, { kind: "demand", bytes: 1_000_000, events: 10, oldestUs: 0 });
  assert.deepEqual([throttles(waits), throttles(silent), throttles(speaks)], [["paused disk_floor"], [], []]);
  world.say(speaks, speaks.frame(1));
  assert.deepEqual(throttles(speaks), ["paused disk_floor"]);
  world.busPressure = { ...world.busPressure, paused: "full" };
  pass(world, 1200);
  assert.deepEqual(throttles(waits), ["paused disk_floor", "paused full"], "another reason is news");
  world.busPressure = { ...world.busPressure, paused: null };
  pass(world, 1200);
  for (const heard of [throttles(waits), throttles(speaks)]) assert.equal(heard.at(-1), "open ", "who heard of trouble hears of its end");
  assert.deepEqual(throttles(silent), []);
});

test("BP-19 news is told to a bounded number at once, and what has passed meanwhile is none", () => {
  const sessions = 3 * toldPerTickMax;
  const news = new ThrottleNews();
  news.changed(Array.from({ length: sessions }, (_, id) => id));
  const first = news.take();
  assert.deepEqual([first.length, news.take().length], [toldPerTickMax, 0]);
  news.refresh();
  // The state changes again before the others were told: they are told once.
  news.changed(Array.from({ length: sessions }, (_, id) => id));
  const told = [...first];
  for (let tick = 0; tick < 5; tick += 1) {
    told.push(...news.take());
    news.refresh();
  }
  assert.equal(told.length, sessions + toldPerTickMax);
  assert.deepEqual(new Set(told).size, sessions);
  const concerned = { id: 7, account: openAccount(4096), inFlight: 1, told: { state: "open", reason: "", retryAfterMs: 0 } } as Session;
  news.note(concerned);
  news.changed([]);
  assert.deepEqual(news.take(), [7], "who has frames on their way");
  news.note({ ...concerned, inFlight: 0 });
  news.changed([]);
  assert.deepEqual(news.take(), []);
  news.note({ ...concerned, inFlight: 0, account: grant(concerned.account, { bytes: 4097, events: 1 }) });
  news.changed([]);
  assert.deepEqual(news.take(), [7], "who holds credit beyond its floor");
  news.note(concerned);
  news.forget(7);
  news.changed([]);
  assert.deepEqual(news.take(), []);
});

test("BP-19 R-15 a longer linger is told to whoever sends; who was told is told of its end, and the silent of nothing", async () => {
  const world = new ModelWorld(2);
  const [loud, silent] = [await joined(world), await joined(world)];
  for (let second = 0; second < 6; second += 1) {
    world.say(loud, loud.frame(1));
    await world.answerAll();
    pass(world, 1000, true);
  }
  const grown = world.gate.figures().lingerMs;
  assert.ok(grown >= 640, `the linger is ${grown} ms`);
  const told = lingers(loud);
  assert.ok(told.length > 1 && told.every((ms, i) => ms > (told[i - 1] ?? 0)), `told ${told.join(" ")}`);
  // The longest of a second ago is what the last frame was answered with.
  assert.ok((told.at(-1) ?? 0) >= grown / 4);
  pass(world, 60_000);
  assert.equal(world.gate.figures().lingerMs, 20);
  assert.deepEqual(lingers(loud).slice(told.length), [20], "once, when it is over");
  assert.deepEqual(lingers(silent), []);
});
