/** Lifetime and signals: order, bounds, escalation, collected errors (R-22, style rule 14). */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { type Clock, endOnSignals, hasCode, Lifetime, onSignal, sameSignalMsMax, systemClock } from "ransomeye-kernel";

/** A clock that the test moves by hand. */
function manualClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  const timers = new Map<() => void, number>();
  return {
    nowUs: () => now * 1000,
    monotonicMs: () => now,
    setTimer(ms, fire) {
      timers.set(fire, now + ms);
      return { cancel: () => void timers.delete(fire) };
    },
    advance(ms) {
      now += ms;
      for (const [fire, at] of [...timers]) {
        if (at > now) continue;
        timers.delete(fire);
        fire();
      }
    },
  };
}

/** Lets all promise callbacks that are due run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("closers run last-in first-out, one after the other", async () => {
  const lifetime = new Lifetime();
  const order: string[] = [];
  for (const name of ["pool", "bus", "server"]) {
    lifetime.defer(name, async (mode) => {
      order.push(`${name} ${mode}`);
      await settle();
      order.push(`${name} closed`);
    });
  }
  assert.ok(!lifetime.draining.aborted);
  await lifetime.drain();
  assert.ok(lifetime.draining.aborted);
  assert.ok(!lifetime.destroyed.aborted);
  assert.deepEqual(order, ["server drain", "server closed", "bus drain", "bus closed", "pool drain", "pool closed"]);
});

test("a closer that fails does not keep the others from running; the errors come out together", async () => {
  const lifetime = new Lifetime();
  const ran: string[] = [];
  lifetime.defer("first", () => void ran.push("first"));
  lifetime.defer("second", () => Promise.reject(new Error("no disk")));
  lifetime.defer("third", () => {
    throw new Error("no net");
  });
  await assert.rejects(lifetime.drain(), (error: Error) => {
    assert.ok(hasCode(error, "KERNEL_CLOSE_FAILED"));
    assert.match(error.message, /third.*no net.*second.*no disk/s);
    return true;
  });
  assert.deepEqual(ran, ["first"]);
});

test("a closer that hangs is left behind at its bound", async () => {
  const clock = manualClock();
  const lifetime = new Lifetime(clock);
  let closed = false;
  lifetime.defer("pool", () => void (closed = true));
  lifetime.defer("hung", () => new Promise(() => undefined), 50);
  const drained = lifetime.drain();
  await settle();
  assert.ok(!closed);
  clock.advance(50);
  await assert.rejects(drained, /hung did not drain within 50 ms/);
  assert.ok(closed);
});

test("R-22 destroy in the middle of a drain interrupts it: the running closer and all below are destroyed", async () => {
  const lifetime = new Lifetime();
  const modes: string[] = [];
  lifetime.defer("below", (mode) => void modes.push(`below ${mode}`));
  lifetime.defer("slow", (mode) => {
    modes.push(`slow ${mode}`);
    return mode === "drain" ? new Promise(() => undefined) : undefined;
  });
  const drained = lifetime.drain();
  await settle();
  await lifetime.destroy();
  await drained;
  assert.ok(lifetime.destroyed.aborted);
  assert.deepEqual(modes, ["slow drain", "slow destroy", "below destroy"]);
});

test("what is opened while closing is closed too, and after closing at once", async () => {
  const lifetime = new Lifetime();
  const closed: string[] = [];
  lifetime.defer("bottom", () => void closed.push("bottom"));
  lifetime.defer("opener", () => {
    lifetime.defer("opened", () => void closed.push("opened"));
    closed.push("opener");
  });
  await lifetime.drain();
  lifetime.defer("late", () => void closed.push("late"));
  await lifetime.drain();
  assert.deepEqual(closed, ["opener", "opened", "bottom", "late"]);
});

test("a part that ended by itself takes its closer out", async () => {
  const lifetime = new Lifetime();
  const forget = lifetime.defer("gone", () => assert.fail("closed twice"));
  forget();
  forget();
  await lifetime.drain();
});

test("await using drains", async () => {
  const modes: string[] = [];
  {
    await using lifetime = new Lifetime();
    lifetime.defer("part", (mode) => void modes.push(mode));
  }
  assert.deepEqual(modes, ["drain"]);
});

test("R-22 a second signal within a second is the same signal, a later one destroys", () => {
  const first = onSignal({ firstMs: undefined }, 5000);
  assert.equal(first.wish, "drain");
  assert.equal(onSignal(first.state, 5000 + sameSignalMsMax).wish, "same");
  assert.equal(onSignal(first.state, 5001 + sameSignalMsMax).wish, "destroy");
});

test("R-22 signals drain and destroy the lifetime, whichever of the two signals comes", async () => {
  const clock = manualClock();
  const source = new EventEmitter();
  const lifetime = new Lifetime(systemClock);
  const modes: string[] = [];
  const wishes: string[] = [];
  lifetime.defer("slow", (mode) => {
    modes.push(mode);
    return mode === "drain" ? new Promise(() => undefined) : undefined;
  });
  const stop = endOnSignals({ lifetime, clock, source, onWish: (wish, signal) => void wishes.push(`${signal} ${wish}`) });
  source.emit("SIGINT");
  clock.advance(3);
  source.emit("SIGTERM");
  await settle();
  assert.deepEqual(modes, ["drain"]);
  clock.advance(5000);
  source.emit("SIGINT");
  await lifetime.destroy();
  assert.deepEqual(modes, ["drain", "destroy"]);
  assert.deepEqual(wishes, ["SIGINT drain", "SIGTERM same", "SIGINT destroy"]);
  stop();
  assert.equal(source.listenerCount("SIGINT") + source.listenerCount("SIGTERM"), 0);
});

test("a failed close is reported to the signal's owner", async () => {
  const source = new EventEmitter();
  const lifetime = new Lifetime();
  lifetime.defer("bad", () => Promise.reject(new Error("no")));
  const reported = new Promise<unknown>((resolve) => endOnSignals({ lifetime, source, onError: resolve }));
  source.emit("SIGTERM");
  assert.ok(hasCode(await reported, "KERNEL_CLOSE_FAILED"));
});
