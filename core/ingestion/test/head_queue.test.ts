/**
 * Why: a resuming fleet waits for its heads, and every spool waits to be told what it may forget.
 * Enforces: R-5, who is asked about and when, one bounded question at a time.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { seededRandom } from "ransomeye-kernel";
import { gatewaySettings } from "../config/validation.ts";
import { HeadQueue } from "../src/head_queue.ts";
import { openSession } from "../src/session.ts";
import { become, type Phase } from "../src/session_state.ts";
import { ModelProducer, modelConfig } from "./gate_model.ts";

const settings = gatewaySettings("model", modelConfig);

/** Notes one session for each of these: its phase, and how far its frames are durable and in rows. */
function noteAll(
  heads: HeadQueue,
  ...sessions: readonly { readonly phase: Phase; readonly durable: number; readonly stored: number }[]
): readonly string[] {
  return sessions.map(({ phase, durable, stored }, i) => {
    const { identity } = new ModelProducer(seededRandom(i));
    const opened = openSession(i + 1, identity, Buffer.alloc(32), undefined, { nowMs: 0, settings });
    heads.note(become(opened, { phase, durable: { epoch: 1, seq: durable }, stored: { epoch: 1, seq: stored } }).session);
    return identity.producer;
  });
}

/** All that is asked, question by question. */
function questions(heads: HeadQueue): readonly (readonly string[])[] {
  const asked: (readonly string[])[] = [];
  for (let next = heads.take(); next !== undefined; next = heads.take()) {
    asked.push(next);
    heads.answered();
    assert.ok(asked.length < 100, "no end of questions");
  }
  return asked;
}

test("who was asked about is not asked about again, in bounded questions one after the other", () => {
  const heads = new HeadQueue({ headsPerReadMax: 2, storedPollMs: 250 });
  for (const producer of ["a", "b", "c", "a"]) heads.want(producer);
  const first = heads.take();
  assert.equal(heads.take(), undefined, "the first question has not been answered");
  heads.answered();
  assert.deepEqual([first, ...questions(heads)], [["a", "b"], ["c"]]);
});

test("R-5 whose durable frames are not in rows yet is asked about, whoever has all in rows or no open stream is not", () => {
  const heads = new HeadQueue({ headsPerReadMax: 100, storedPollMs: 250 });
  const names = noteAll(
    heads,
    { phase: "streaming", durable: 5, stored: 3 },
    { phase: "streaming", durable: 5, stored: 5 },
    { phase: "draining", durable: 2, stored: 0 },
    { phase: "greeting", durable: 2, stored: 0 },
    { phase: "resuming", durable: 2, stored: 0 },
  );
  heads.poll(1000);
  assert.deepEqual(questions(heads), [[names[0], names[2]]]);
  for (const name of names) heads.forget(name);
  heads.poll(2000);
  assert.deepEqual(questions(heads), [], "who has left waits for nothing");
});

test("R-5 rows are asked for now and then, not at every tick", () => {
  const heads = new HeadQueue({ headsPerReadMax: 100, storedPollMs: 250 });
  noteAll(heads, { phase: "streaming", durable: 5, stored: 3 });
  let asked = 0;
  for (let nowMs = 1000; nowMs < 2000; nowMs += 10) {
    heads.poll(nowMs);
    asked += questions(heads).length;
  }
  assert.equal(asked, 4);
});
