/** The enrolment listener's limits: rates per source, wrong tokens, audit rows, memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SourceLimits, sourceName } from "../src/enrolment/source_limits.ts";

const minuteMs = 60_000;

test("TB-11 one address opens connections at its rate and no faster, whatever others do", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 400 }), fc.integer({ min: 1, max: 60 }), (gapsMs, perMinute) => {
      const limits = new SourceLimits(perMinute);
      let nowMs = 0;
      let admitted = 0;
      for (const [i, gap] of gapsMs.entries()) {
        nowMs += gap;
        limits.admit(`10.1.${i % 250}.1`, nowMs);
        if (limits.admit("10.0.0.1", nowMs)) admitted += 1;
      }
      assert.ok(admitted <= perMinute + (nowMs / minuteMs) * perMinute + 1);
    }),
  );
  const limits = new SourceLimits(2);
  assert.deepEqual(
    [0, 0, 0, minuteMs / 2, minuteMs / 2].map((nowMs) => limits.admit("10.0.0.1", nowMs)),
    [true, true, false, true, false],
  );
});

test("TB-11 wrong tokens lock their address out for a while, and nobody else", () => {
  const limits = new SourceLimits(1000);
  const locked = Array.from({ length: 10 }, () => limits.wrongToken("10.0.0.1", 0).locked);
  assert.deepEqual(locked, [...Array<boolean>(9).fill(false), true]);
  assert.ok(limits.lockedMs("10.0.0.1", 1) > 9 * minuteMs);
  assert.equal(limits.lockedMs("10.0.0.2", 1), 0);
  assert.equal(limits.lockedMs("10.0.0.1", 11 * minuteMs), 0);
});

test("TB-11 guesses from any number of addresses fill no audit trail, and no memory", () => {
  const limits = new SourceLimits(1000);
  let audits = 0;
  for (let i = 0; i < 60_000; i += 1) if (limits.wrongToken(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, i).audit) audits += 1;
  assert.ok(audits <= 100, `${audits} rows`);
});

test("TB-11 an IPv6 host is one source however many addresses it takes", () => {
  assert.equal(sourceName("2001:db8:1:2:3:4:5:6"), sourceName("2001:db8:1:2::9"));
  assert.notEqual(sourceName("2001:db8:1:2::9"), sourceName("2001:db8:1:3::9"));
  assert.equal(sourceName("::ffff:10.0.0.1"), "10.0.0.1");
  assert.equal(sourceName("::1"), "0:0:0:0::/64");
});
