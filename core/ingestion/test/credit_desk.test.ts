/**
 * Why: a session that waits for the wrong half of its credit waits for ever; nobody else notices.
 * Enforces: R-14, what a session lacks for its next frame is what decides, bytes and events each by themselves.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import type { ProducerKind } from "ransomeye-pipeline";
import type { GatewaySettings } from "../config/validation.ts";
import { grant, openAccount } from "../src/buffer.ts";
import { CreditDesk } from "../src/credit_desk.ts";
import { fullBucket, SharedRates } from "../src/rate_limit.ts";
import type { Session } from "../src/session_state.ts";

const frameBytes = 1000;
const frameEvents = 40;
const rate = { bytesPerSecondMax: 100_000, eventsPerSecondMax: 1000, burstBytesMax: 100_000, burstEventsMax: 1000 };
const settings = {
  frameCostBytesMax: frameBytes,
  frameEventsMax: frameEvents,
  sessionFloorBytes: 100,
  sessionFloorEvents: 4,
  sessionCreditBytesMax: 10 * frameBytes,
  sessionCreditEventsMax: 10_000,
  rate,
  kinds: { linux: { weight: 1, rate }, dpi: { weight: 1, rate } },
} as GatewaySettings;

interface Cost {
  readonly bytes: number;
  readonly events: number;
}

/** A streaming session that holds unused credit and wants more. */
function session(held: Cost, want: Cost, more: { readonly id?: number; readonly phase?: string; readonly kind?: string } = {}): Session {
  const { id = 1, phase = "streaming", kind = "linux" } = more;
  const account = grant(openAccount(settings.sessionFloorBytes), held);
  return { id, phase, identity: { kind }, account, want, bucket: fullBucket(rate, 0) } as unknown as Session;
}

const ratesOf = (total = rate, linux = rate): SharedRates<ProducerKind> =>
  new SharedRates(total, { dpi: { rate }, linux: { rate: linux }, windows: { rate }, honeypot: { rate } }, 0);

/** A desk at which these wait, and the grants of its next round. */
function deskOf(sessions: readonly Session[], some: Partial<GatewaySettings> = {}) {
  const desk = new CreditDesk({ ...settings, ...some });
  for (const one of sessions) desk.note(one);
  const supply = { poolBytes: 1_000_000, throttled: false, rates: ratesOf() };
  return {
    desk,
    round: (given: Partial<typeof supply> = {}, nowMs = 0) =>
      desk.round((id) => sessions.find((one) => one.id === id), { ...supply, ...given }, nowMs),
  };
}

function granted(one: Session, throttled = false): { bytes: number; events: number } | undefined {
  return deskOf([one]).round({ throttled }).grants[0]?.cost;
}

test("R-14 a session that holds its whole rate in events is still granted the bytes to use them", () => {
  const cost = granted(session({ bytes: frameBytes - 1, events: rate.burstEventsMax - 1 }, { bytes: 50 * frameBytes, events: 500 }));
  assert.ok(cost !== undefined && cost.bytes >= frameBytes, JSON.stringify(cost));
});

test("R-14 a session that holds bytes up to its cap is still granted the events to use them", () => {
  const cost = granted(session({ bytes: 2 * frameBytes, events: 1 }, { bytes: 50 * frameBytes, events: 500 }), true);
  assert.ok(cost !== undefined && cost.events >= frameEvents, JSON.stringify(cost));
});

test("R-14 a session that can send its next frame and is at its cap gets nothing more", () => {
  assert.equal(granted(session({ bytes: 2 * frameBytes, events: frameEvents }, { bytes: 50 * frameBytes, events: 500 }), true), undefined);
});

const broke = { ...rate, burstBytesMax: 0, burstEventsMax: 0 };
const poor = { bytes: 0, events: 0 };
const much = { bytes: 5000, events: 100 };
const crowd = (count: number, want: Cost, kind = "linux"): Session[] =>
  Array.from({ length: count }, (_, i) => session(poor, want, { id: i + 1, kind }));

test("BP-6 step 4: who is beyond a rate waits aside until time has passed, whatever it says meanwhile, and is not forgotten", () => {
  const one = session(poor, much);
  const { desk, round } = deskOf([one]);
  assert.deepEqual(round({ rates: ratesOf(broke) }), { grants: [], overRate: [{ session: 1, reason: "total_rate", retryAfterMs: 40 }] });
  assert.equal(desk.note(one), false, "it waits already");
  assert.deepEqual(round(), { grants: [], overRate: [] }, "no second look before the next tick");
  assert.equal(desk.waiting, 1);
  desk.refresh();
  assert.equal(round().grants.length, 1);
  assert.equal(desk.waiting, 0);
});

test("BP-6 step 4: one round gives no kind, and not all together, more events than their buckets cover", () => {
  const scarce = { ...rate, burstEventsMax: 250 };
  const events = ({ grants }: { readonly grants: readonly { readonly cost: Cost }[] }): number =>
    grants.reduce((sum, { cost }) => sum + cost.events, 0);
  const sessions = crowd(10, much);
  assert.equal(events(deskOf(sessions).round({ rates: ratesOf(scarce) })), 250, "the gate's");
  assert.equal(events(deskOf(sessions).round({ rates: ratesOf(rate, scarce) })), 250, "the kind's");
  assert.equal(events(deskOf(crowd(10, much, "dpi")).round({ rates: ratesOf(rate, scarce) })), 1000, "another kind's");
});

test("R-14 no session holds more events than its cap, however many it wants", () => {
  const hungry = session({ bytes: 0, events: 50 }, { bytes: 5000, events: 100_000 });
  const { grants } = deskOf([hungry], { sessionCreditEventsMax: 300 }).round();
  assert.equal(grants[0]?.cost.events, 250);
});

test("R-14 credit is for open streams: who greets, seals or drains gets none", () => {
  for (const phase of ["greeting", "resuming", "sealing", "draining", "ended"])
    assert.deepEqual(deskOf([session(poor, much, { phase })]).round().grants, [], phase);
});

test("R-14 a round looks at a bounded number of sessions, and whoever it has not looked at is next", () => {
  const sessions = crowd(600, { bytes: 100, events: 4 });
  const { desk, round } = deskOf(sessions);
  const rich = { ...rate, burstBytesMax: 10_000_000, burstEventsMax: 1_000_000 };
  const supply = { poolBytes: 10_000_000, rates: ratesOf(rich, rich) };
  const granted = new Set<number>();
  for (let rounds = 1; rounds <= 3; rounds += 1) {
    const { grants } = round(supply);
    assert.ok(grants.length <= 256, `${grants.length} in one round`);
    for (const { session: id } of grants) granted.add(id);
  }
  assert.equal(granted.size, 600);
  assert.equal(desk.waiting, 0);
});

test("R-14 a round that ends for want of room is not tried again before a frame's room has come back, or a tick", () => {
  const { desk, round } = deskOf(crowd(3, { bytes: 1000, events: 40 }));
  assert.equal(round({ poolBytes: 1500 }).grants.length, 1);
  assert.equal(round({ poolBytes: 1200 }).grants.length, 0, "room for one, but less than came back since");
  assert.equal(round({ poolBytes: 1600 }).grants.length, 1, "a whole frame's room more");
  desk.refresh();
  assert.equal(round({ poolBytes: 1100 }).grants.length, 1, "after a tick");
});
