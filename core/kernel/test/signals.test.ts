/** Signals: the first drains, its echo is none, a later one destroys (R-22, style rule 14). */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { noSignal, onSignal, sameSignalMsMax, SignalWatch, systemClock } from "ransomeye-kernel";

test("R-22 the first signal drains, its echo within a second is ignored, a later one destroys", () => {
  const first = onSignal(noSignal, 5000);
  assert.equal(first.wish, "drain");
  const echo = onSignal(first.state, 5000 + sameSignalMsMax);
  assert.equal(echo.wish, "ignore");
  const second = onSignal(echo.state, 5001 + sameSignalMsMax);
  assert.equal(second.wish, "destroy");
  assert.equal(onSignal(second.state, 20_000).wish, "ignore");
});

test("R-22 a watch tells of wishes, whichever signal brings them, and stops listening", () => {
  let nowMs = 0;
  const source = new EventEmitter();
  const wishes: string[] = [];
  const watch = new SignalWatch({
    signals: ["SIGINT", "SIGTERM"],
    onWish: (wish) => void wishes.push(wish),
    clock: { ...systemClock, monotonicMs: () => nowMs },
    source,
  });
  assert.ok(!watch.stopping);
  assert.equal(watch.echoMs, 0);
  source.emit("SIGINT");
  assert.ok(watch.stopping);
  nowMs = 3;
  assert.equal(watch.echoMs, sameSignalMsMax - 3);
  source.emit("SIGTERM");
  assert.deepEqual(wishes, ["drain"]);
  nowMs = 5000;
  source.emit("SIGINT");
  assert.deepEqual(wishes, ["drain", "destroy"]);
  watch.release();
  assert.equal(source.listenerCount("SIGINT") + source.listenerCount("SIGTERM"), 0);
});
