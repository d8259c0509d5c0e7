// Why: the pivot finds an observable only if every spelling of it has one canonical form.
import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalDomain, canonicalHash, canonicalIp, formatInstantUs, parseInstantUs } from "../protocol/lib.ts";

test("IPv6 addresses come out as RFC 5952 says, mapped ones as IPv4, zones are left out", () => {
  const cases: [string, string | null][] = [
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["fe80::", "fe80::"],
    ["1::8", "1::8"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["fe80::1%eth0", "fe80::1"],
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["192.0.2.01", null],
    ["256.0.0.1", null],
    ["1.2.3", null],
    ["1.2.3.4.5", null],
    ["1.2.3.", null],
    [".1.2.3", null],
    ["", null],
    ["-", null],
    ["1:2:3:4:5:6:7", null],
    ["1:2:3:4:5:6:7:8:9", null],
    ["1::2::3", null],
    [":1", null],
    ["1:", null],
    ["12345::", null],
    ["::g", null],
    ["1:2:3:4:5:6:7::8", null],
    ["::1.2.3", null],
    ["1:2:3:4:5:6:7:1.2.3.4", null],
    ["192.0.2.1/24", null],
    ["192.0.2.1 ", null],
    ["LOCAL", null],
  ];
  for (const [text, expected] of cases) assert.equal(canonicalIp(text), expected, text);
});

test("canonical addresses: what the platform accepts is accepted, the form is stable, and nothing else passes", () => {
  const group = fc.oneof(
    fc.constant("0"),
    fc.constant(""),
    fc.nat(0xffff).map((n) => n.toString(16)),
    fc.constant("1.2.3.4"),
    fc.constant("00f"),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV6(),
        fc.ipV4(),
        fc.array(group, { minLength: 1, maxLength: 9 }).map((g) => g.join(":")),
      ),
      (text) => {
        const canonical = canonicalIp(text);
        assert.equal(canonical !== null, isIPv4(text) || isIPv6(text), text);
        if (canonical === null) return;
        assert.equal(canonicalIp(canonical), canonical);
        assert.equal(new URL(isIPv4(text) ? `http://${text}/` : `http://[${text}]/`).hostname.includes(":") || isIPv4(canonical), true);
        if (isIPv6(text) && isIPv6(canonical)) assert.equal(new URL(`http://[${text}]/`).hostname, `[${canonical}]`);
      },
    ),
    { numRuns: 2000 },
  );
});

test("hashes and domains come out in lower case; what is none gives null", () => {
  assert.equal(canonicalHash("AB".repeat(32), 32), "ab".repeat(32));
  const lower = "0f".repeat(32);
  assert.equal(canonicalHash(lower, 32), lower);
  assert.equal(canonicalHash("ab", 32), null);
  assert.equal(canonicalHash("zz".repeat(32), 32), null);
  assert.equal(canonicalDomain("WWW.Example.ORG."), "www.example.org");
  assert.equal(canonicalDomain("."), null);
  assert.equal(canonicalDomain(""), null);
});

test("instants: offsets with and without colon, none, spaces, fractions, leap days, times before 1970", () => {
  const at = (text: string, assumed = false): number => parseInstantUs(text, assumed);
  const expected = Date.UTC(2024, 3, 24, 21, 36, 32) * 1000 + 258_446;
  for (const text of [
    "2024-04-25T03:06:32.258446+0530",
    "2024-04-25T03:06:32.258446+05:30",
    "2024-04-24T21:36:32.258446Z",
    "2024-04-24 21:36:32.258446999z",
    "2024-04-24T16:36:32,258446-05",
  ]) {
    assert.equal(at(text), expected, text);
  }
  assert.ok(Number.isNaN(at("2024-04-24T21:36:32.258446")));
  assert.equal(at("2024-04-24T21:36:32.258446", true), expected);
  assert.equal(at("1969-12-31T23:59:59.600000Z"), -400_000);
  assert.equal(at("2024-02-29T00:00:00Z"), Date.UTC(2024, 1, 29) * 1000);
  for (const text of [
    "2023-02-29T00:00:00Z",
    "2024-13-01T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T00:60:00Z",
    "2024-01-01T00:00:00.Z",
    "2024-01-01T00:00:00+5",
    "2024-01-01T00:00:00+05:3",
    "2024-01-01T00:00:00 UTC",
    "2024/01/01T00:00:00Z",
    "",
    "x".repeat(30),
  ]) {
    assert.ok(Number.isNaN(at(text, true)), text);
  }
});

test("instants: any microsecond of the years 1 to 9999 survives the way to text and back, and agrees with Date", () => {
  const first = Date.UTC(2000, 0, 1) - 1999 * 365.2425 * 86_400_000;
  fc.assert(
    fc.property(
      fc.integer({ min: Math.ceil(first) + 86_400_000, max: Date.UTC(9999, 11, 31) }),
      fc.integer({ min: 0, max: 999 }),
      (ms, us) => {
        const instant = ms * 1000 + us;
        fc.pre(Number.isSafeInteger(instant));
        assert.equal(parseInstantUs(formatInstantUs(instant), false), instant);
      },
    ),
  );
});
