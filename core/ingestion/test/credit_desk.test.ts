/**
 * Why: a session that waits for the wrong half of its credit waits for ever; nobody else notices.
 * Enforces: R-14, what a session lacks for its next frame is what decides, bytes and events each by themselves.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
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
  kinds: { linux: { weight: 1, rate } },
} as GatewaySettings;

/** A streaming session that holds unused credit and wants more. */
function session(held: { bytes: number; events: number }, want: { bytes: number; events: number }): Session {
  const account = grant(openAccount(settings.sessionFloorBytes), held);
  return { id: 1, phase: "streaming", identity: { kind: "linux" }, account, want, bucket: fullBucket(rate, 0) } as unknown as Session;
}

function granted(one: Session, throttled = false): { bytes: number; events: number } | undefined {
  const desk = new CreditDesk(settings);
  desk.note(one);
  const rates = new SharedRates(rate, { dpi: { rate }, linux: { rate }, windows: { rate }, honeypot: { rate } }, 0);
  return desk.round(() => one, { poolBytes: 1_000_000, throttled, rates }, 0).grants[0]?.cost;
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
