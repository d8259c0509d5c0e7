/**
 * Why: news for thousands of sessions, sent when the gate has least time, was what kept a gate of 18,000 sessions from its work.
 * Enforces: whom a change of state or linger is told (BP-19), that the silent hear nothing, and the bound of what is told at once.
 * Forbids: sockets and real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { grant, openAccount } from "../src/buffer.ts";
import { gatewaySettings } from "../config/validation.ts";
import type { Session } from "../src/session_state.ts";
import { ThrottleNews, toldPerTickMax } from "../src/throttle_news.ts";
import { modelConfig, type ModelProducer, ModelWorld } from "./gate_model.ts";

/** Lets time pass in ticks; `peersWait` is a gate that is too slow for its peers. */
function pass(world: ModelWorld, ms: number, peersWait = false): void {
  for (let i = 0; i < ms; i += 100) {
    world.nowMs += 100;
    world.step({ kind: "tick", registryAgeMs: 0, peersWait });
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
  world.say(waits, { kind: "demand", bytes: 1_000_000, events: 10, oldestUs: 0, frameBytes: 0 });
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

test("BP-19 news is told to a bounded number at once, to all in the end, and what has passed meanwhile is none", async () => {
  const sessions = 2 * toldPerTickMax + 10;
  const world = new ModelWorld(3, { sessionsMax: sessions, bufferBytesMax: 16 * 1024 * 1024 });
  const all: ModelProducer[] = [];
  for (let nth = 0; nth < sessions; nth += 1) all.push(await joined(world));
  world.busPressure = { ...world.busPressure, paused: "disk_floor" };
  pass(world, 1200);
  const told = (state: string): number => all.filter((one) => throttles(one).at(-1) === state).length;
  for (const producer of all) world.say(producer, { kind: "demand", bytes: 1_000_000, events: 10, oldestUs: 0, frameBytes: 0 });
  assert.equal(told("paused disk_floor"), toldPerTickMax);
  pass(world, 100);
  assert.equal(told("paused disk_floor"), 2 * toldPerTickMax);
  // It is over before the last of them had heard of it.
  world.busPressure = { ...world.busPressure, paused: null };
  pass(world, 2000);
  assert.equal(all.filter((one) => throttles(one).length === 0).length + told("open "), sessions);
});

test("BP-19 concerned is who waits for credit or a receipt, holds credit, or has heard of trouble", () => {
  const settings = gatewaySettings("model", modelConfig);
  const open = { state: "open", reason: "", retryAfterMs: 0 } as const;
  const account = grant(openAccount(4096), { bytes: 4096, events: settings.sessionFloorEvents });
  const silent = { id: 1, phase: "streaming", account, inFlight: 0, want: { bytes: 0, events: 0 }, told: open } as Session;
  const concerned: readonly (readonly [string, Partial<Session>])[] = [
    ["demand", { want: { bytes: 1, events: 0 } }],
    ["frames on their way", { inFlight: 1 }],
    ["credit beyond the floor", { account: grant(account, { bytes: 1, events: 0 }) }],
    ["has heard of trouble", { told: { ...open, state: "paused" } }],
  ];
  const news = new ThrottleNews(settings);
  news.changed([{ session: silent }]);
  assert.deepEqual(news.take(), []);
  for (const [why, change] of concerned) {
    news.changed([{ session: { ...silent, ...change } }]);
    assert.deepEqual(news.take(), [1], why);
  }
});

test("BP-19 R-15 a longer linger is told to whoever sends; who was told is told of its end, and the silent of nothing", async () => {
  const world = new ModelWorld(2);
  const [loud, silent, flood] = [await joined(world), await joined(world), await joined(world)];
  for (let second = 0; second < 6; second += 1) {
    world.say(loud, loud.frame(1));
    for (let frame = 0; frame < 300; frame += 1) {
      world.say(flood, flood.frame(1));
      await world.answerAll();
    }
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
