/** Why: what PostgreSQL may answer and how fast the engine works are tables; these tests are their second copy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ENGINE_CODES } from "../src/codes.ts";
import { groupIsFull, nextPollMs, pollMsMax, pollMsMin, pollMsUnanswered, workDeadlineMs } from "../src/pace.ts";
import { type SqlAction, disposition, sqlState } from "../src/sqlstate.ts";

test("DP-50 R-11 every kind of SQLSTATE has a disposition, and only data errors may cost a row", () => {
  const expected: readonly (readonly [object, SqlAction])[] = [
    [{ code: "40001" }, "retry"],
    [{ code: "40P01" }, "retry"],
    [{ code: "55P03" }, "retry"],
    [{ code: "57014" }, "retry"],
    [{ code: "23505" }, "retry"],
    [{ code: "57P01" }, "reconnect"],
    [{ code: "57P03" }, "reconnect"],
    [{ code: "08006" }, "reconnect"],
    [{ code: "53100" }, "reconnect"],
    [{ code: "25006" }, "reconnect"],
    [{ code: "22003" }, "data"],
    [{ code: "22P03" }, "data"],
    [{ code: "22021" }, "data"],
    [{ code: "23514", constraint: "some_check" }, "data"],
    [{ code: "23514" }, "partition"],
    [{ code: "42501" }, "stop"],
    [{ code: "42P01" }, "stop"],
    [{ code: "XX001" }, "stop"],
    [{ code: "P0001" }, "stop"],
    [{ code: "ECONNRESET" }, "reconnect"],
    [{ code: "EPIPE" }, "reconnect"],
    [new Error("Connection terminated unexpectedly"), "reconnect"],
  ];
  for (const [error, action] of expected) assert.equal(disposition(error).action, action, JSON.stringify(error));
  for (const [error] of expected) assert.ok(disposition(error).code in ENGINE_CODES);
});

test("system call errors of Node are no SQLSTATEs", () => {
  assert.equal(sqlState({ code: "EPIPE" }), null);
  assert.equal(sqlState({ code: "57P01" }), "57P01");
  assert.equal(sqlState(null), null);
});

test("DP-51 R-9 polling stays between 2 and 20 ms: quick after news, slower in silence, slow under a backlog", () => {
  let pauseMs = pollMsMin;
  for (let i = 0; i < 10; i++) {
    const next = nextPollMs(pauseMs, { seen: "silence", backlog: false });
    assert.ok(next >= pauseMs && next <= pollMsMax);
    pauseMs = next;
  }
  assert.equal(pauseMs, pollMsMax);
  assert.equal(nextPollMs(pauseMs, { seen: "news", backlog: false }), pollMsMin);
  assert.equal(nextPollMs(pollMsMin, { seen: "news", backlog: true }), pollMsMax);
  assert.equal(nextPollMs(pollMsMin, { seen: "no answer", backlog: false }), pollMsUnanswered);
});

test("DP-51 R-9 a group is full at its rows, its bytes or its milliseconds", () => {
  const limits = { commitRowsMax: 100, commitMsMax: 25, gatherBytesMax: 1000 };
  assert.ok(!groupIsFull({ rows: 99, bytes: 999, elapsedMs: 24 }, limits));
  assert.ok(groupIsFull({ rows: 100, bytes: 0, elapsedMs: 0 }, limits));
  assert.ok(groupIsFull({ rows: 0, bytes: 1000, elapsedMs: 0 }, limits));
  assert.ok(groupIsFull({ rows: 0, bytes: 0, elapsedMs: 25 }, limits));
});

test("R-3 work on a lease stops well before its end", () => {
  assert.ok(workDeadlineMs(1000, 9000) < 1000 + 9000);
  assert.ok(workDeadlineMs(1000, 9000) > 1000 + 9000 / 3, "and well after the next renewal is due");
});
