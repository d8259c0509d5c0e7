/**
 * Why: what a connection may cost before it is known decides whether a flood is a nuisance or an outage.
 * Enforces: the pure bounds of handshakes, source networks and of bytes that carry no message.
 * Forbids: sockets and real time.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { hasCode } from "ransomeye-kernel";
import { transportSettings } from "../config/transport.ts";
import { type CellRate, nextDueMs } from "../src/cell_rate.ts";
import { type HandshakeAnswer, Handshakes } from "../src/handshakes.ts";
import { parseRangeRates, plainAddress, rangeOf, sourceNetwork } from "../src/source_networks.ts";
import { TransportAllowance } from "../src/transport_allowance.ts";

const salt = Buffer.alloc(32, 7);
const perSource: CellRate = { perSecondMax: 10, burstMax: 20 };

function handshakes(openMax = 1000, ranges = ""): Handshakes {
  return new Handshakes({ perSource, openMax, ranges: parseRangeRates(ranges) }, salt);
}

/** Begins and, where it may, ends at once. */
function attempt(subject: Handshakes, address: string, nowMs: number): HandshakeAnswer["kind"] {
  const answer = subject.begin(address, nowMs);
  if (answer.kind === "taken") subject.end(answer.ticket);
  return answer.kind;
}

test("a cell rate lets through its burst and its rate, never more, whatever the times", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 300 }), (waits) => {
      let nowMs = 0;
      let dueMs = 0;
      let taken = 0;
      for (const wait of waits) {
        nowMs += wait;
        const next = nextDueMs(dueMs, nowMs, perSource);
        if (next === undefined) continue;
        dueMs = next;
        taken += 1;
      }
      assert.ok(taken <= perSource.burstMax + (nowMs / 1000) * perSource.perSecondMax + 1e-6, `${taken} in ${nowMs} ms`);
    }),
  );
});

test("TL-4 one address gets its burst and its rate; what is refused costs it nothing, and others do not notice", () => {
  const subject = handshakes();
  let taken = 0;
  for (let i = 0; i < 1000; i += 1) if (attempt(subject, "192.0.2.1", 0) === "taken") taken += 1;
  assert.equal(taken, perSource.burstMax);
  assert.equal(attempt(subject, "198.51.100.7", 0), "taken");
  assert.equal(attempt(subject, "192.0.2.1", 100), "taken");
  assert.equal(attempt(subject, "192.0.2.1", 100), "refused");
});

test("TL-4 no number of other addresses gives a flooder its account back: nothing is evicted", () => {
  const subject = handshakes();
  for (let i = 0; i < 1000; i += 1) attempt(subject, "192.0.2.1", 0);
  for (let i = 0; i < 100_000; i += 1) attempt(subject, `2001:db8:${(i >>> 16).toString(16)}:${(i & 0xffff).toString(16)}::1`, 0);
  assert.equal(attempt(subject, "192.0.2.1", 0), "refused");
});

test("TL-5 handshakes that are open are bounded for each source and in all, and come back when they end", () => {
  const one = handshakes();
  const open = Array.from({ length: perSource.burstMax }, () => one.begin("192.0.2.1", 0));
  assert.deepEqual(one.begin("192.0.2.1", 60_000), { kind: "refused", code: "INGEST_HANDSHAKES_MAX" });
  const [first] = open;
  assert.ok(first?.kind === "taken");
  one.end(first.ticket);
  assert.equal(one.begin("192.0.2.1", 60_000).kind, "taken");

  const all = handshakes(5);
  const answers = Array.from({ length: 8 }, (_, i) => all.begin(`192.0.2.${i}`, 0));
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    [...Array<string>(5).fill("taken"), ...Array<string>(3).fill("refused")],
  );
  assert.equal(all.open, 5);
});

test("TL-4 a range has its own rate with the same proportion of burst, or none", () => {
  const subject = handshakes(10, "10.0.0.0/8=100, 127.0.0.1=unlimited,2001:db8::/32=1");
  const count = (address: string): number =>
    Array.from({ length: 300 }, () => attempt(subject, address, 0)).filter((a) => a === "taken").length;
  assert.equal(count("10.1.2.3"), 200);
  assert.equal(count("127.0.0.1"), 300);
  assert.equal(count("::ffff:127.0.0.1"), 300, "the same address, mapped");
  assert.equal(count("2001:db8::1"), 2);
  const vouchedFor = Array.from({ length: 50 }, () => subject.begin("127.0.0.1", 0).kind);
  assert.ok(!vouchedFor.includes("refused"));
  assert.equal(subject.open, 0, "an unlimited range takes no room from others");
});

test("networks: IPv4 one by one, IPv6 by its /64 however it is written", () => {
  const network = (address: string): string => sourceNetwork(plainAddress(address));
  assert.equal(network("192.0.2.1"), "192.0.2.1");
  assert.equal(network("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(network("2001:db8:0:1::1"), network("2001:0DB8:0000:0001:ffff:ffff:ffff:ffff"));
  assert.notEqual(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
  assert.equal(network("fe80::1%eth0"), network("fe80::2%eth1"));
  assert.equal(network("::1"), network("::2"));
});

test("overrides that cannot be read are refused at the start, with an example", () => {
  for (const text of ["10.0.0.0/33=5", "10.0.0.0/8", "host=5", "10.0.0.0/8=0", "10.0.0.0/8=-1", "2001:db8::/129=1", "10.0.0.0/8=many"]) {
    assert.throws(
      () => transportSettings(1, { handshakesPerSecondMax: 1, handshakeBurstMax: 1, handshakeOverrides: text }),
      (error: unknown) => hasCode(error, "INGEST_CONFIG_INVALID"),
      text,
    );
  }
  assert.equal(rangeOf(parseRangeRates("10.0.0.0/8=7,10.1.0.0/16=9"), "10.1.1.1")?.perSecondMax, 7, "the first one that fits");
});

test("TL-8 the allowance covers honest framing for ever and a flood for its burst and rate only", () => {
  const bounds = { bytesPerSecondMax: 1000, burstBytesMax: 10_000, perMessageByte: 0.25 };
  const honest = new TransportAllowance(bounds, 0);
  let wire = 0;
  let messages = 0;
  for (let ms = 100; ms < 600_000; ms += 100) {
    wire += 1_000_000 + 3000 + 90;
    messages += 1_000_000;
    assert.ok(honest.covers(wire, messages, ms));
  }
  // An honest hour is no credit for a flood.
  assert.ok(honest.covers(wire + 10_000, messages, 600_000));
  assert.ok(!honest.covers(wire + 20_000, messages, 600_000));

  const flood = new TransportAllowance(bounds, 0);
  let ms = 0;
  while (flood.covers(ms * 9, 0, ms)) ms += 100;
  assert.ok(ms * 9 <= 10_000 + ms + 900, `${ms * 9} bytes in ${ms} ms`);
});
