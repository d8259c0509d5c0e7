/** Which lines have one value and one canonical form (RFC 7493, RFC 8785). */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalOf } from "../src/ocsf_attestation.ts";
import { parseStrictJson } from "../src/strict_json.ts";

const refusal = (text: string | Buffer): string => {
  const parsed = parseStrictJson(Buffer.from(text as string));
  return parsed.kind === "refused" ? parsed.why : `taken: ${JSON.stringify(parsed.value)}`;
};

test("DP-70 a line that two parsers may read in two ways, or that a double does not hold, has no canonical form", () => {
  for (const [text, why] of [
    ['{"a":1,"a":1}', /the name "a" twice/],
    ['{"a":1,"\\u0061":2}', /the name "a" twice/],
    ['{"x":[{"b":{"c":1, "c" :2}}]}', /the name "c" twice/],
    ['{"__proto__":1,"__proto__":2}', /twice/],
    ['{"n":12345678901234567890}', /12345678901234567890/],
    ['{"n":0.10000000000000000555}', /double/],
    ['{"n":9007199254740993}', /double/],
    ['{"n":1e400}', /1e400/],
    ['{"n":-1e-400}', /double/],
    [`{"n":1${"0".repeat(400)}}`, /double/],
    ['{"s":"\\ud800"}', /surrogate/],
    ['{"\\udc00":1}', /surrogate/],
    ['{"s":"\\udc00\\ud800"}', /surrogate/],
    ['{"a":1', /not JSON/],
    ["", /not JSON/],
    [Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
    [`${"[".repeat(65)}${"]".repeat(65)}`, /nested deeper/],
  ] as const)
    assert.match(refusal(text), why, String(text).slice(0, 80));
});

test("DP-70 everything else has one, however its source wrote it", () => {
  for (const [text, canonical] of [
    ['{"b":1.0,"a":[1e2,-0,0.10,100,1E+2]}', '{"a":[100,0,0.1,100,100],"b":1}'],
    ['{"a":{"a":1},"b":{"a":1},"c":[{"a":1},{"a":2}]}', '{"a":{"a":1},"b":{"a":1},"c":[{"a":1},{"a":2}]}'],
    [
      '{"s":"\\ud83d\\ude00 \\u0041 \\/ \\u2028 \\b","t":"[{\\"x\\":1,\\"x\\":2}]"}',
      '{"s":"😀 A / \u2028 \\b","t":"[{\\"x\\":1,\\"x\\":2}]"}',
    ],
    // The order of UTF-16 code units, which is not that of code points.
    ['{"\uFB33":1,"\u{1F600}":2,"a":3,"__proto__":4,"1":5}', '{"1":5,"__proto__":4,"a":3,"\u{1F600}":2,"\uFB33":1}'],
    [
      '{"n":[1.7976931348623157e308,5e-324,9007199254740992,0.1,1e21,123456789012345680000]}',
      '{"n":[1.7976931348623157e+308,5e-324,9007199254740992,0.1,1e+21,123456789012345680000]}',
    ],
    [" \t[true ,false,null]\r", "[true,false,null]"],
  ] as const) {
    const parsed = parseStrictJson(Buffer.from(text));
    assert.equal(parsed.kind === "value" ? canonicalOf(parsed.value) : parsed.why, canonical);
  }
});

test("DP-70 whatever JSON.stringify writes is taken, and its canonical form is its own", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      const parsed = parseStrictJson(Buffer.from(text));
      // fast-check gives halves of pairs as well: JSON.stringify escapes them.
      if (parsed.kind === "refused") assert.match(parsed.why, /surrogate/);
      else {
        const canonical = canonicalOf(parsed.value);
        const again = parseStrictJson(Buffer.from(canonical));
        assert.equal(again.kind === "value" ? canonicalOf(again.value) : again.why, canonical);
        assert.deepEqual(JSON.parse(canonical), JSON.parse(text.replaceAll(/(?<=[[:,]|^)-0(?=[\],}]|$)/g, "0")));
      }
    }),
    { numRuns: 500 },
  );
});
