/** Style rule 2: how limits relate is asserted, and the assertion can fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLimits, DefectError, limits } from "ransomeye-kernel";

test("the limits in force hold and are frozen", () => {
  assertLimits(limits);
  assert.ok(Object.isFrozen(limits));
});

for (const [name, broken] of [
  ["a line longer than a frame", { ...limits, lineBytesMax: limits.frameBytesMax }],
  ["a frame that no message holds", { ...limits, messageBytesMax: limits.frameBytesMax }],
  ["more events than bytes", { ...limits, frameEventsMax: limits.frameBytesMax }],
  ["a floor above a frame", { ...limits, sessionFloorBytes: limits.frameBytesMax + 1 }],
  ["a column longer than its string", { ...limits, columnTextBytesMax: limits.jsonStringBytesMax + 1 }],
  ["a string that only the line bounds", { ...limits, jsonStringBytesMax: limits.lineBytesMax }],
  ["keys that only the line bounds", { ...limits, jsonKeysMax: limits.lineBytesMax / 4 }],
  ["a receipt that names more than a frame holds", { ...limits, invalidPerReceiptMax: limits.frameEventsMax + 1 }],
  ["a spool too small for a few frames", { ...limits, spoolBytesMax: limits.messageBytesMax }],
  ["a limit that is no number", { ...limits, jsonDepthMax: Number.NaN }],
] as const) {
  test(`limits refuse ${name}`, () => assert.throws(() => assertLimits(broken), DefectError));
}
