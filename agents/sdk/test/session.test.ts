/** Why: a ping is the only proof of life, and fifty thousand quiet producers' pings are a load. Enforces: when one is sent, and that it must be answered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "ransomeye-kernel";
import { Session } from "../src/session.ts";
import { GatewayDouble, testIdentity, trustDomain } from "./gateway_double.ts";

const pingMs = 15_000;

/** Timers fire when the test says so. */
class ManualTimers implements Clock {
  readonly #due = new Set<{ readonly ms: number; readonly fire: () => void }>();
  /** Timers between pings, and for their answers, so far. */
  begun = 0;

  nowUs(): number {
    return 0;
  }

  monotonicMs(): number {
    return 0;
  }

  setTimer(ms: number, fire: () => void): { cancel(): void } {
    const timer = { ms, fire };
    this.#due.add(timer);
    if (ms === pingMs) this.begun += 1;
    return { cancel: () => this.#due.delete(timer) };
  }

  /** The time between pings is over. */
  pass(): void {
    for (const timer of [...this.#due].filter(({ ms }) => ms === pingMs)) {
      this.#due.delete(timer);
      timer.fire();
    }
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test("a quiet session pings once in three times, one that has spoken at once, and silence ends it", { timeout: 60_000 }, async (t) => {
  const identity = testIdentity();
  const double = new GatewayDouble(identity);
  const port = await double.listen();
  t.after(() => double.close());
  const clock = new ManualTimers();
  const { tlsKeyPem, tlsCertPem, caPem } = identity;
  const ends: string[] = [];
  let connected = false;
  const options = {
    host: "127.0.0.1",
    port,
    tlsKeyPem,
    tlsCertPem,
    caPem,
    trustDomain,
    offsetUs: undefined,
    connectMs: 60_000,
    pingMs,
    clock,
  };
  const session = new Session(options, {
    connected: () => {
      connected = true;
    },
    message: () => undefined,
    writable: () => undefined,
    closed: (code) => ends.push(code),
  });
  t.after(() => session.close(false));
  await until(() => connected);
  for (const pings of [1, 2]) {
    const before = clock.begun;
    clock.pass();
    clock.pass();
    clock.pass();
    // Two that were left out, the wait for an answer, and the time after it.
    await until(() => clock.begun === before + 4);
    assert.equal(double.pings, pings);
  }
  const before = clock.begun;
  session.send({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 });
  clock.pass();
  await until(() => clock.begun === before + 2);
  assert.equal(double.pings, 3);
  session.send({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 });
  clock.pass();
  clock.pass();
  assert.deepEqual(ends, ["SDK_PEER_SILENT"], "the answer had no time to come");
});
