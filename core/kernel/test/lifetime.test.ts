/** Lifetime: order, bounds, escalation, collected errors (style rule 14). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, hasCode, Lifetime } from "ransomeye-kernel";

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
