/**
 * Why it exists: revocation, pauses, counters and closing, for every adapter.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { kinds, shared } from "./contract_tools.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { ask, how, keyId, openChain, type OpenSubject } from "./subject.ts";

export function registryContract(open: OpenSubject): void {
  describe("registry and pressure", () => {
    const subject = shared(open);

    test("R-13 a revoked producer cannot append or open, a stale gate nobody's frames; versions only grow", async () => {
      const { bus, control } = subject();
      const chain = new Chain(producerId(50));
      const part = await openChain(bus, chain);
      const frame = chain.next(1);
      assert.equal(await control.setRegistry({ versionMin: 7, revoked: [chain.producer] }), true);
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["revoked"]);
      assert.equal((await bus.openEpoch({ producer: chain.producer, expectedEpoch: 1, keyId, registryVersion: 7 })).kind, "revoked");
      assert.equal(await control.setRegistry({ versionMin: 6, revoked: [] }), false);
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["revoked"]);
      assert.equal(await control.setRegistry({ versionMin: 8, revoked: [] }), true);
      assert.deepEqual(kinds(await bus.append(part, [frame], how)), ["stale_registry"]);
      assert.equal((await bus.openEpoch({ producer: chain.producer, expectedEpoch: 1, keyId, registryVersion: 7 })).kind, "stale_registry");
      assert.deepEqual(kinds(await bus.append(part, [frame], { ...how, registryVersion: 8 })), ["accepted"]);
      assert.deepEqual((await bus.tails())[part]?.off, 1);
    });

    test("R-16 a paused bus says so and refuses no frame", async () => {
      const { bus, control } = subject();
      const chain = new Chain(producerId(51));
      const request = { producer: chain.producer, expectedEpoch: 0, keyId, registryVersion: 8 };
      const opening = await bus.openEpoch(request);
      assert.ok(opening.kind === "opened");
      chain.opened(opening.epoch, opening.prev);
      const frame = chain.next(1);
      await control.pause("disk_floor");
      const [outcome] = await bus.append(opening.part, [frame], { ...how, registryVersion: 8 });
      assert.ok(outcome?.kind === "paused" && outcome.reason === "disk_floor" && outcome.retryAfterMs > 0);
      assert.equal((await bus.pressure(ask(1))).paused, "disk_floor");
      await control.pause(null);
      assert.equal((await bus.pressure(ask(1))).paused, null);
      assert.deepEqual(kinds(await bus.append(opening.part, [frame], { ...how, registryVersion: 8 })), ["accepted"]);
    });

    test("R-19 a gate's report can be given again and again", async () => {
      const { bus } = subject();
      const put = {
        gateway: "gate-1",
        incarnation: producerId(60),
        startedUs: 1,
        counters: { frames_accepted: 3, "refused.INGEST_X": 1 },
        state: "paused",
        reason: "bus_lag",
        sessions: 2,
        quarantined: [{ producer: producerId(61), code: "INGEST_X", sinceUs: 1, untilUs: 2 }],
        ended: false,
      } as const;
      await bus.report(put);
      await bus.report({ ...put, counters: { frames_accepted: 5 }, quarantined: [], ended: true });
    });

    test("BP-12 R-14 leases of all gates together stay within the budget, and each gets its fair share by its next renewal", async () => {
      const { bus } = subject();
      const mib = 1024 * 1024;
      const budget = 256 * mib;
      const lease = async (gate: number, mibs: number): Promise<number> =>
        (await bus.pressure(ask(gate, mibs * mib))).inFlightBytesMax / mib;
      assert.equal(await lease(2, 200), 200);
      assert.equal(await lease(3, 200), 56, "what another gate still holds is not given twice");
      assert.equal(await lease(2, 200), 128);
      assert.equal(await lease(3, 200), 128);
      assert.equal(await lease(4, 10), 0);
      assert.equal(await lease(2, 200), 123);
      assert.equal(await lease(3, 200), 123);
      assert.equal(await lease(4, 10), 10, "a small want is met whole");
      assert.equal((123 + 123 + 10) * mib, budget);
    });
  });

  describe("closing", () => {
    const subject = shared(open);

    test("a closed bus takes nothing", async () => {
      const { bus } = subject();
      const chain = new Chain(producerId(52));
      const part = await openChain(bus, chain);
      await bus.close();
      await assert.rejects(bus.append(part, [chain.next(1)], how), (error) => hasCode(error, "BUS_CLOSED"));
    });
  });
}
