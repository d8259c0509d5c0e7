/**
 * Why: a session that waits for the wrong half of its credit waits for ever; nobody else notices.
 * Enforces: R-14, what a session lacks for its next frame is what decides, bytes and events each by themselves.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { GatewaySettings } from "../config/validation.ts";
import { CreditDesk } from "../src/credit_desk.ts";
import type { Cost } from "../src/rate_limit.ts";
import type { Session } from "../src/session_state.ts";
import { frameBytes, frameEvents, Peer, rate, ratesOf, session, settings } from "./credit_peers.ts";

/** A desk at which these wait, and the grants of its next round. */
function deskOf(sessions: readonly Session[], some: Partial<GatewaySettings> = {}) {
  const desk = new CreditDesk({ ...settings, ...some });
  for (const one of sessions) desk.note(one, 0);
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
  assert.equal(desk.note(one, 0), false, "it waits already");
  assert.deepEqual(round(), { grants: [], overRate: [] }, "no second look before the next tick");
  assert.ok(!desk.isIdle);
  desk.refresh();
  assert.equal(round().grants.length, 1);
  assert.ok(desk.isIdle);
});

test("BP-6 step 4: one round gives no kind, and not all together, more events than their buckets cover", () => {
  const scarce = { ...rate, burstEventsMax: 250 };
  const events = ({ grants }: { readonly grants: readonly { readonly cost: Cost }[] }): number =>
    grants.reduce((sum, { cost }) => sum + cost.events, 0);
  const some = { bytes: 5000, events: 60 };
  const sessions = crowd(10, some);
  assert.equal(events(deskOf(sessions).round({ rates: ratesOf(scarce) })), 250, "the gate's");
  assert.equal(events(deskOf(sessions).round({ rates: ratesOf(rate, scarce) })), 250, "the kind's");
  assert.equal(events(deskOf(crowd(10, some, "dpi")).round({ rates: ratesOf(rate, scarce) })), 600, "another kind's");
});

test("BP-21 R-14 who holds room and was beyond a rate is neither locked nor forgotten when time has passed", () => {
  const [lacksEvents, lacksBytes] = [
    session({ bytes: 800, events: 0 }, { bytes: 1000, events: 30 }, { id: 1 }),
    session({ bytes: 900, events: 40 }, { bytes: 5000, events: 0 }, { id: 2 }),
  ];
  for (const [one, poolBytes, cost] of [
    [lacksEvents, 0, { bytes: 0, events: 30 }],
    [lacksBytes, 150, { bytes: 100, events: 0 }],
  ] as const) {
    // Behind so many others that only what it holds can bring it forward.
    const { desk, round } = deskOf([...crowd(300, { bytes: 1000, events: 0 }).map((other) => ({ ...other, id: other.id + 100 })), one]);
    for (let rounds = 0; rounds < 3; rounds += 1) round({ rates: ratesOf(broke), poolBytes });
    const rich = { ...rate, burstBytesMax: 10_000_000, burstEventsMax: 1_000_000 };
    const grants = [1, 2, 3].flatMap(() => {
      desk.refresh();
      return round({ rates: ratesOf(rich, rich), poolBytes }).grants;
    });
    assert.deepEqual(grants, [{ session: one.id, cost }]);
    desk.forget(one.id);
    for (let id = 101; id <= 400; id += 1) desk.forget(id);
    assert.ok(desk.isIdle);
  }
});

test("R-14 whoever has left is forgotten, also where he held room", () => {
  const { desk } = deskOf([session({ bytes: 800, events: 0 }, { bytes: 1000, events: 30 })]);
  desk.forget(1);
  assert.ok(desk.isIdle);
});

test("BP-22 whoever lacks a few events of many that it would like gets those few of what is kept", () => {
  const scarce = { ...rate, burstEventsMax: 200 };
  const wants = session({ bytes: 0, events: frameEvents - 5 }, { bytes: frameBytes, events: 5000 });
  const { grants } = deskOf([wants]).round({ rates: ratesOf(scarce) });
  assert.deepEqual(grants, [{ session: 1, cost: { bytes: frameBytes, events: 5 } }]);
});

test("BP-22 of a rate that all share a large claim leaves what comes in a quarter of a second to those who ask for a few events", () => {
  const greedy = session(poor, { bytes: 5000, events: 10_000 }, { id: 99 });
  const [first] = deskOf([greedy], { frameEventsMax: 500 }).round({ rates: ratesOf() }).grants;
  assert.equal(first?.cost.events, 750, "of a thousand a second");
  const rates = ratesOf();
  rates.move("linux", undefined, { unused: { bytes: 0, events: 750 }, spentTotal: { bytes: 0, events: 0 } });
  const { round } = deskOf([session(poor, { bytes: 5000, events: 10_000 }, { id: 99 }), ...crowd(5, { bytes: 1000, events: 40 })], {
    frameEventsMax: 500,
  });
  const { grants, overRate } = round({ rates });
  assert.deepEqual(overRate, [{ session: 99, reason: "kind_rate", retryAfterMs: 500 }]);
  assert.deepEqual(
    grants.map(({ cost }) => cost.events),
    [40, 40, 40, 40, 40],
  );
});

test("BP-22 who asks for many events in small frames asks for many: he leaves what is kept for others", () => {
  const rates = ratesOf();
  rates.move("linux", undefined, { unused: { bytes: 0, events: 750 }, spentTotal: { bytes: 0, events: 0 } });
  const greedy = session(poor, { bytes: 5000, events: 10_000 }, { id: 99, nextFrameBytes: 100 });
  const { grants, overRate } = deskOf([greedy], { frameEventsMax: 500 }).round({ rates });
  assert.deepEqual(grants, []);
  assert.deepEqual(overRate, [{ session: 99, reason: "kind_rate", retryAfterMs: 500 }]);
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
  assert.ok(desk.isIdle);
});

test("R-14 a round that ends for want of room is not tried again before a frame's room has come back, or a tick", () => {
  const { desk, round } = deskOf(crowd(3, { bytes: 1000, events: 40 }));
  assert.equal(round({ poolBytes: 1500 }).grants.length, 1);
  assert.equal(round({ poolBytes: 1200 }).grants.length, 0, "room for one, but less than came back since");
  assert.equal(round({ poolBytes: 1600 }).grants.length, 1, "a whole frame's room more");
  desk.refresh();
  assert.equal(round({ poolBytes: 1100 }).grants.length, 1, "after a tick");
});

test("BP-25 room is short from the round that leaves somebody waiting to the one that does not, or until he leaves", () => {
  const { desk, round } = deskOf(crowd(3, { bytes: 1000, events: 40 }));
  assert.equal(desk.isShort, false);
  round({ poolBytes: 1500 });
  assert.equal(desk.isShort, true);
  desk.refresh();
  round({ poolBytes: 5000 });
  assert.equal(desk.isShort, false);
  const { desk: left, round: once } = deskOf(crowd(2, { bytes: 1000, events: 40 }));
  once({ poolBytes: 1500 });
  left.forget(2);
  assert.equal(left.isShort, false);
});

test("BP-25 who waits for a rate in bytes does not wait for room", () => {
  const slow = { ...rate, burstBytesMax: 1500 };
  const { desk, round } = deskOf(crowd(3, { bytes: 1000, events: 40 }));
  assert.equal(round({ rates: ratesOf(slow) }).grants.length, 1);
  assert.equal(desk.isShort, false);
});

test("BP-21 R-14 who holds room and lacks the events to use it is given them, though the buffer has no room left and a thousand wait before him", () => {
  const locked = Array.from({ length: 600 }, (_, i) => session({ bytes: 800, events: 0 }, { bytes: 1000, events: 30 }, { id: 10_000 + i }));
  const sessions = [...crowd(1000, { bytes: 1000, events: 40 }), ...locked];
  const { desk, round } = deskOf(sessions);
  const rich = { ...rate, burstBytesMax: 10_000_000, burstEventsMax: 1_000_000 };
  const given = new Map<number, Cost>();
  for (let rounds = 1; rounds <= 3; rounds += 1) {
    desk.refresh();
    for (const { session: id, cost } of round({ poolBytes: 0, rates: ratesOf(rich, rich) }).grants) given.set(id, cost);
  }
  assert.deepEqual(new Set([...given.values()].map(({ bytes, events }) => `${bytes} ${events}`)), new Set(["0 30"]));
  assert.deepEqual(new Set(given.keys()), new Set(locked.map(({ id }) => id)));
  assert.ok(!desk.isIdle, "for room they wait as before");
});

test("BP-21 R-14 nobody is given room without the events to use it: whoever comes after the last event waits", () => {
  const { round } = deskOf(crowd(10, { bytes: 1000, events: 40 }));
  const scarce = { ...rate, burstEventsMax: 100 };
  const { grants } = round({ rates: ratesOf(scarce) });
  assert.deepEqual(
    grants.map(({ cost }) => `${cost.bytes} ${cost.events}`),
    ["1000 40", "1000 40", "1000 20"],
  );
});

test("BP-21 R-14 room that nobody's claim fits into goes to one who holds room already, wherever he stands, and gives back more than he takes", () => {
  const holders = Array.from({ length: 600 }, (_, i) =>
    session({ bytes: i === 599 ? 900 : 300, events: 40 }, { bytes: 5000, events: 0 }, { id: 10_000 + i }),
  );
  const { desk, round } = deskOf([...crowd(1000, { bytes: 1000, events: 40 }), ...holders]);
  const rich = { ...rate, burstBytesMax: 10_000_000, burstEventsMax: 1_000_000 };
  const supply = { poolBytes: 150, rates: ratesOf(rich, rich) };
  const grants = [1, 2, 3].flatMap(() => {
    desk.refresh();
    return round(supply).grants;
  });
  assert.deepEqual(grants, [{ session: 10_599, cost: { bytes: 100, events: 0 } }]);
  desk.refresh();
  assert.deepEqual(
    round({ ...supply, poolBytes: 750 }).grants[0]?.cost,
    { bytes: 700, events: 0 },
    "those whom it did not help are not forgotten",
  );
  assert.equal(round({ ...supply, poolBytes: 749 }).grants.length, 0, "until its bytes have come back nobody else gets them");
  assert.equal(round({ ...supply, poolBytes: 750 }).grants.length, 1, "and then at once");
});

test("BP-21 R-14 whatever frames wait, and however little room there is, all of them get through", () => {
  const frame = fc.record({
    bytes: fc.oneof(fc.integer({ min: 10, max: frameBytes }), fc.integer({ min: 500, max: 700 })),
    events: fc.integer({ min: 1, max: frameEvents }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(frame, { minLength: 1, maxLength: 30 }), { minLength: 2, maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      (queues, room, tells) => {
        const poolMax = room * frameBytes;
        const peers = queues.map((frames, i) => new Peer(i + 1, frames, { tells }));
        const desk = new CreditDesk(settings);
        const rates = ratesOf(
          { ...rate, burstBytesMax: 1_000_000, burstEventsMax: 100_000 },
          { ...rate, burstBytesMax: 1_000_000, burstEventsMax: 100_000 },
        );
        for (let step = 0; peers.some(({ done }) => !done); step += 1) {
          assert.ok(step < 2000, `stuck: ${JSON.stringify(peers.map(({ left, credit }) => ({ left: left[0], credit })))}`);
          for (const peer of peers) {
            peer.speak();
            desk.note(peer.session(), 0);
          }
          desk.refresh();
          const used = peers.reduce((sum, { credit }) => sum + Math.max(0, credit.bytes - settings.sessionFloorBytes), 0);
          const supply = { poolBytes: poolMax - used, throttled: false, rates };
          for (const { session: id, cost } of desk.round((one) => peers[one - 1]?.session(), supply, 0).grants)
            peers[id - 1]?.granted(cost);
          assert.ok(peers.reduce((sum, { credit }) => sum + Math.max(0, credit.bytes - settings.sessionFloorBytes), 0) <= poolMax);
        }
      },
    ),
    {
      examples: [
        // Two rests that together leave one byte too little for either.
        [[[500], [500], [334, 509, 500], [173, 867], [500]].map((queue) => queue.map((bytes) => ({ bytes, events: 1 }))), 1, true],
      ],
    },
  );
});
