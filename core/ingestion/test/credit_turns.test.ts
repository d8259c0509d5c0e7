/**
 * Why: in an overload everybody waits; what must not be is that somebody waits for ever, and is ended for it.
 * Enforces: BP-23, turns are taken in order whatever somebody was left with, and who holds room has his before it counts as unused;
 *   BP-24, who told what his next frame costs is given whole frames.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { CreditDesk } from "../src/credit_desk.ts";
import { quantumBytes } from "../src/credit_wish.ts";
import type { Session } from "../src/session_state.ts";
import { frameBytes, frameEvents, Peer, rate, ratesOf, session, settings } from "./credit_peers.ts";

const rich = { ...rate, burstBytesMax: 1e9, burstEventsMax: 1e8 };
const rates = ratesOf(rich, rich);
const beyondFloor = (bytes: number): number => Math.max(0, bytes - settings.sessionFloorBytes);

/** Producers that do not run out of frames while room is scarce, each of one size. */
const busy = (sizes: readonly number[], rounds: number, tells: boolean): Peer[] =>
  sizes.map(
    (bytes, i) =>
      new Peer(
        i + 1,
        Array.from({ length: 8 * rounds }, () => ({ bytes, events: 1 })),
        { tells, known: 40 },
      ),
  );

/** Lets peers send and ask, and gives them what room there is, for some rounds. */
function overload(peers: readonly Peer[], roomBytes: number, rounds: number, each: (granted: Peer) => void = () => undefined): void {
  const desk = new CreditDesk(settings);
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of peers) {
      peer.speak();
      desk.note(peer.session(), 0);
    }
    desk.refresh();
    const usedBytes = peers.reduce((sum, { credit }) => sum + beyondFloor(credit.bytes), 0);
    const supply = { poolBytes: roomBytes - usedBytes, throttled: false, rates };
    for (const { session: id, cost } of desk.round((one) => peers[one - 1]?.session(), supply, 0).grants) {
      const peer = peers[id - 1];
      assert.ok(peer !== undefined);
      peer.granted(cost);
      each(peer);
    }
  }
}

const sizes = fc.array(fc.integer({ min: frameBytes / 4, max: frameBytes }), { minLength: 20, maxLength: 40 });
/** Room for a third of them to have a largest frame at once. */
const scarceBytes = (peers: readonly unknown[]): number => (peers.length * frameBytes) / 3;

test("BP-23 R-14 however long an overload, and whatever somebody was left with, everybody's turn comes", () => {
  fc.assert(
    fc.property(sizes, fc.boolean(), (list, tells) => {
      const rounds = 10 * list.length;
      const peers = busy(list, rounds, tells);
      overload(peers, scarceBytes(peers), rounds);
      const sent = peers.map((peer, i) => peer.sent * (list[i] ?? 0));
      assert.ok(Math.min(...sent) > Math.max(...sent) / 8, `bytes that each has sent: ${sent.join(" ")}`);
    }),
    { numRuns: 20 },
  );
});

test("BP-24 R-14 who tells what his next frame costs is left with nothing that he cannot use, and the same room carries more", () => {
  fc.assert(
    fc.property(sizes, (list) => {
      const rounds = 4 * list.length;
      const [told, untold] = [busy(list, rounds, true), busy(list, rounds, false)];
      overload(told, scarceBytes(told), rounds, (peer) => {
        const size = peer.left[0]?.bytes ?? 1;
        assert.equal(peer.credit.bytes % size, 0, `${peer.credit.bytes} bytes for frames of ${size}`);
      });
      overload(untold, scarceBytes(untold), rounds);
      const all = (peers: readonly Peer[]): number => peers.reduce((sum, { sent }, i) => sum + sent * (list[i] ?? 0), 0);
      assert.ok(all(told) > all(untold), `${all(told)} and ${all(untold)} bytes`);
    }),
    { numRuns: 20 },
  );
});

test("BP-24 whatever a producer says that its next frame costs, a turn is worth a largest frame or at least half of one", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: frameBytes }), (bytes) => {
      const quantum = quantumBytes(bytes, settings);
      assert.ok(quantum <= frameBytes && quantum > frameBytes / 2 && quantum % bytes === 0, String(quantum));
    }),
  );
  for (const bytes of [frameBytes + 1, Number.MAX_SAFE_INTEGER]) {
    const lies = session({ bytes: 0, events: 0 }, { bytes, events: 10 }, { nextFrameBytes: bytes });
    const desk = new CreditDesk(settings);
    desk.note(lies, 0);
    const { grants } = desk.round(() => lies, { poolBytes: beyondFloor(frameBytes), throttled: false, rates }, 0);
    assert.deepEqual(grants, [{ session: 1, cost: { bytes: frameBytes, events: 10 } }], "a frame beyond the largest is none");
  }
});

/** Rounds without room until `waitedMs` have passed, with all waiting; then one with room for a frame in which `holders` have moved. */
function firstAfter(waitedMs: number, waiting: readonly Session[], holders: readonly Session[]): number | undefined {
  const desk = new CreditDesk(settings);
  const all = new Map([...waiting, ...holders].map((one) => [one.id, one]));
  const round = (poolBytes: number, nowMs: number) => desk.round((id) => all.get(id), { poolBytes, throttled: false, rates }, nowMs).grants;
  for (const one of all.values()) desk.note(one, 0);
  // Shortages less than ten seconds apart are one.
  for (let nowMs = 0; nowMs < waitedMs; nowMs += 5000) {
    desk.refresh();
    assert.deepEqual(round(1, nowMs), []);
  }
  for (const holder of holders) desk.note(holder, waitedMs);
  desk.refresh();
  return round(frameBytes, waitedMs)[0]?.session;
}

const wants = { bytes: 5 * frameBytes, events: 0 };
const dueBytes = 300;
const holding = (id: number, bytes: number): Session => ({
  ...session({ bytes, events: frameEvents }, wants, { id }),
  creditDue: { spentBytesTotal: dueBytes, sinceMs: 0 },
});
const halfMs = settings.creditUnusedMsMax / 2;

test("BP-23 who holds room and lacks the rest of a frame comes first before what he holds counts as unused, whoever waits before him", () => {
  const others = Array.from({ length: 600 }, (_, i) => session({ bytes: 0, events: frameEvents }, wants, { id: i + 1 }));
  const holder = holding(1000, frameBytes - 2 * dueBytes);
  assert.equal(firstAfter(halfMs + 1, others, [holder]), 1000);
  assert.equal(firstAfter(halfMs - 1, others, [holder]), 1, "not earlier: others have waited as well");
});

test("BP-23 however many hold a whole frame's room and do not use it, they are not looked at before others", () => {
  const hoarders = Array.from({ length: 600 }, (_, i) => holding(i + 1000, frameBytes));
  const honest = session({ bytes: 0, events: frameEvents }, wants, { id: 1 });
  assert.equal(firstAfter(halfMs + 1, [honest], hoarders), 1);
});
