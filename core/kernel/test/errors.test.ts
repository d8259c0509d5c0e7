/** Errors carry their table's row and nothing else decides about them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CodeTable, DefectError, type ErrorOptions, hasCode, invariant, RansomeyeError } from "ransomeye-kernel";

type Code = "TEST_A" | "TEST_B";
const table: CodeTable<Code> = {
  TEST_A: { stage: "parse", disposition: "retry", meaning: "a", next: "wait" },
  TEST_B: { stage: "write", disposition: "fatal", meaning: "b", next: "look" },
};
class TestError extends RansomeyeError<Code> {
  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(table, code, message, options);
  }
}

test("an error carries stage, disposition, next step, fields and cause", () => {
  const cause = new Error("disk");
  const error = new TestError("TEST_B", "broken", { cause, fields: { path: "/x" } });
  assert.equal(error.name, "TestError");
  assert.equal(error.stage, "write");
  assert.equal(error.disposition, "fatal");
  assert.equal(error.next, "look");
  assert.deepEqual(error.fields, { path: "/x" });
  assert.equal(error.cause, cause);
  assert.ok(Object.isFrozen(error.fields));
});

test("hasCode matches the code alone: not a look-alike, not a cause", () => {
  const inner = new TestError("TEST_A", "inner");
  assert.ok(hasCode(inner, "TEST_A"));
  assert.ok(!hasCode(inner, "TEST_B"));
  assert.ok(!hasCode(new TestError("TEST_B", "outer", { cause: inner }), "TEST_A"));
  assert.ok(!hasCode({ code: "TEST_A" }, "TEST_A"));
});

test("an invariant that does not hold is a defect", () => {
  invariant(true, "fine");
  assert.throws(() => invariant(0, "zero"), DefectError);
});
