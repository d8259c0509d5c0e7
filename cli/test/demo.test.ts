/** The demo fleet's events and script. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkEvent, holdFinding, ROW_FLAGS, deriveRow, newRowColumns } from "ransomeye-ingestion/protocol";
import { seededRandom } from "ransomeye-kernel";
import { callsOf } from "../src/demo/calls.ts";
import { ordinaryEvent } from "../src/demo/noise.ts";
import { DemoScript } from "../src/demo/script.ts";
import { type Chapter, ransomwareStory } from "../src/demo/story.ts";
import type { DemoEvent } from "../src/demo/world.ts";

const timeUs = 1_700_000_000_123_000;

function assertCanonical(event: DemoEvent): void {
  const value: unknown = JSON.parse(event.line.toString());
  assert.equal(checkEvent(value), null, event.line.toString());
  const columns = newRowColumns();
  deriveRow(value, timeUs, columns);
  assert.equal(columns.flags & ~ROW_FLAGS.clockSkewed, 0, `not canonical: ${event.line.toString()}`);
}

test("every event of noise and story is valid and canonical OCSF", () => {
  const random = seededRandom("noise");
  for (let i = 0; i < 2000; i += 1) assertCanonical(ordinaryEvent(random, timeUs));
  for (const seed of [1, 2, 3]) for (const chapter of ransomwareStory(seededRandom(seed))) chapter.events(timeUs).forEach(assertCanonical);
});

test("the same seed tells the same story, and all four kinds of producer have a part", () => {
  const tell = (seed: string): { lines: string; kinds: Set<string> } => {
    const script = new DemoScript(seed, 50);
    const events: DemoEvent[] = [];
    for (let ms = 200; ms <= 60_000; ms += 200) events.push(...script.step(ms, timeUs + ms * 1000).events);
    return { lines: events.map((event) => event.line.toString()).join("\n"), kinds: new Set(events.map((event) => event.kind)) };
  };
  const a = tell("a");
  assert.equal(a.lines, tell("a").lines);
  assert.notEqual(a.lines, tell("b").lines);
  assert.deepEqual([...a.kinds].sort(), ["dpi", "honeypot", "linux", "windows"]);
  assert.ok(a.lines.includes("vssadmin.exe delete shadows") && a.lines.includes(".locked"));
});

test("R-33 the rate holds on average, and a pause is not made up for by a burst", () => {
  const script = new DemoScript("rate", 100);
  let count = 0;
  for (let ms = 200; ms <= 120_000; ms += 200) count += script.step(ms, timeUs).events.length;
  assert.ok(Math.abs(count - 12_000) <= 1, `${count} events in two minutes`);
  assert.ok(script.step(3_600_000, timeUs).events.length <= 200);
});

test("R-15 each producer hands over what is its own in one call, urgent where it holds a detection", () => {
  const random = seededRandom(2);
  const noise = Array.from({ length: 200 }, () => ordinaryEvent(random, timeUs));
  const story = ransomwareStory(seededRandom(1)).flatMap((chapter) => chapter.events(timeUs));
  for (const events of [noise, [...noise, ...story], []]) {
    const calls = callsOf(events);
    assert.equal(new Set(calls.map(({ kind }) => kind)).size, calls.length);
    for (const { kind, lines, urgent } of calls) {
      assert.deepEqual(
        lines,
        events.filter((event) => event.kind === kind).map(({ line }) => line),
      );
      assert.equal(urgent, holdFinding(lines));
    }
    assert.equal(
      calls.reduce((sum, { lines }) => sum + lines.length, 0),
      events.length,
    );
    assert.equal(
      calls.some(({ urgent }) => urgent),
      events.length > noise.length,
      "the story's, and nothing else",
    );
  }
});

test("R-15 the story has a detection, and nothing of its noise is one", () => {
  const lines = (chapter: Chapter): Buffer[] => chapter.events(timeUs).map(({ line }) => line);
  const detected = ransomwareStory(seededRandom(1)).filter((chapter) => holdFinding(lines(chapter)));
  assert.deepEqual(
    detected.map(({ name }) => name),
    ["shadow copies deleted"],
  );
  const random = seededRandom("noise");
  assert.equal(holdFinding(Array.from({ length: 2000 }, () => ordinaryEvent(random, timeUs).line)), false);
});
