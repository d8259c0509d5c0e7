/** Clones: what counts as a sign, what does not, and that the watch stays small and quiet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CloneWatch } from "../src/clone_watch.ts";

const minuteMs = 60_000;

test("TB-8 R-6 sessions that alternate between two addresses are told, a machine that moves is not", () => {
  const watch = new CloneWatch();
  for (let i = 0; i < 200; i += 1) assert.equal(watch.opened("mover", `10.0.0.${i}`, i * 1000), undefined);
  for (let i = 0; i < 200; i += 1) assert.equal(watch.opened("steady", "10.0.0.1", i * 1000), undefined);
  const told = Array.from({ length: 8 }, (_, i) => watch.opened("twin", i % 2 === 0 ? "10.0.0.1" : "10.0.0.2", i * 1000));
  assert.equal(told.filter((one) => one !== undefined).length, 1);
  assert.deepEqual(
    told.find((one) => one !== undefined),
    { producer: "twin", evidence: "address_flapping", detail: "sessions alternate between 10.0.0.1 and 10.0.0.2" },
  );
});

test("TB-8 slow changes of address are ordinary life: home and office, once a day", () => {
  const watch = new CloneWatch();
  for (let i = 0; i < 50; i += 1) assert.equal(watch.opened("commuter", i % 2 === 0 ? "home" : "office", i * 720 * minuteMs), undefined);
});

test("TB-8 one sign is told once a minute", () => {
  const watch = new CloneWatch();
  const sign = { producer: "p", evidence: "epoch_fenced", detail: "" } as const;
  assert.equal(watch.found(sign, 0), sign);
  assert.equal(watch.found(sign, minuteMs - 1), undefined);
  assert.notEqual(watch.found({ ...sign, evidence: "sequence_conflict" }, 1), undefined);
  assert.equal(watch.found(sign, minuteMs), sign);
});
