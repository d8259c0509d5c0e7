/**
 * Why it exists: revocation, pauses, counters and closing, for every adapter.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { kinds, shared } from "./contract_tools.ts";
import { Chain, producerId } from "./frames.ts";
import { how, keyId, openChain, type OpenSubject } from "./subject.ts";

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
      assert.equal((await bus.pressure()).paused, "disk_floor");
      await control.pause(null);
      assert.equal((await bus.pressure()).paused, null);
      assert.deepEqual(kinds(await bus.append(opening.part, [frame], { ...how, registryVersion: 8 })), ["accepted"]);
    });

    test("R-19 counters of a gate can be put again and again", async () => {
      const { bus } = subject();
      const put = {
        gateway: "gate-1",
        incarnation: producerId(60),
        startedUs: 1,
        counters: { frames_accepted: 3, "refused.INGEST_X": 1 },
        ended: false,
      };
      await bus.putCounters(put);
      await bus.putCounters({ ...put, counters: { frames_accepted: 5 }, ended: true });
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
