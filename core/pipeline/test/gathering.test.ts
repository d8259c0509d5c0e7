/**
 * Why it exists: an acknowledgement that leaves with a call of another kind must be answered whatever becomes of that call.
 * Enforces: src/messages/gathering.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Gathering } from "../src/messages/gathering.ts";

test("what is asked for in one turn leaves in one call, and what comes meanwhile in the next", async () => {
  const calls: (readonly number[])[] = [];
  const doubled = new Gathering<number, number>(async (_key, items) => {
    calls.push(items);
    await setImmediate();
    return items.map((item) => 2 * item);
  });
  const first = [1, 2, 3].map((item) => doubled.add("a", item));
  await setImmediate();
  const second = [4, 5].map((item) => doubled.add("a", item));
  assert.deepEqual(await Promise.all([...first, ...second]), [2, 4, 6, 8, 10]);
  assert.deepEqual(calls, [
    [1, 2, 3],
    [4, 5],
  ]);
});

test("what waits leaves with a call of another kind, and what comes during it leaves by itself when nobody makes another", async () => {
  const calls: (readonly number[])[] = [];
  const alone = new Gathering<number, string>(async (_key, items) => {
    calls.push(items);
    return items.map(() => "alone");
  });
  const early = alone.add("a", 1);
  let late: Promise<string> | undefined;
  const told = await alone.accompany("a", async (passengers) => {
    late = alone.add("a", 2);
    await setImmediate();
    passengers?.answer(passengers.items.map(() => "along"));
    return "told";
  });
  assert.deepEqual([told, await early, await late], ["told", "along", "alone"]);
  assert.deepEqual(calls, [[2]]);
});

test("a call that fails, for whatever reason, has failed for those that it took along", async () => {
  const never = new Gathering<number, string>(async () => []);
  const ending = never.add("a", 1);
  const failed = never.accompany("a", async () => {
    throw new Error("the answer made no sense");
  });
  await assert.rejects(failed, /no sense/);
  await assert.rejects(ending, /no sense/);
});
