// Why: numbers and fields that go astray here are gone from the event; the raw record would be the only witness.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { depthOf, Fields, keepExactNumbers, toInteger } from "../src/mapping/json.ts";

test("numbers beyond 2^53 and beyond a double's range become texts, everything else stays", () => {
  const parse = (text: string): unknown => JSON.parse(keepExactNumbers(text));
  assert.deepEqual(
    parse(
      '{"a":-9223372036854775808,"b":[18446744073709551615, 9007199254740991],"c":1e999,"d":"1234567890123456789","e":1588205198.89971}',
    ),
    {
      a: "-9223372036854775808",
      b: ["18446744073709551615", 9_007_199_254_740_991],
      c: "1e999",
      d: "1234567890123456789",
      e: 1588205198.89971,
    },
  );
  assert.deepEqual(parse('{"a:12345678901234567890":": 12345678901234567890 \\" ,1e999","b":12345678901234567890}'), {
    "a:12345678901234567890": ': 12345678901234567890 " ,1e999',
    b: "12345678901234567890",
  });
});

test("keepExactNumbers changes no JSON value but those numbers", () => {
  const unsafe = (value: unknown): boolean => typeof value === "number" && /^-?\d+$/.test(String(value)) && !Number.isSafeInteger(value);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value, null, 1);
      assert.deepEqual(
        JSON.parse(keepExactNumbers(text)),
        JSON.parse(text, (_, item: unknown) => (unsafe(item) ? String(item) : item)),
      );
    }),
  );
});

test("integers are read from numbers, decimal and hexadecimal text, exactly or not at all", () => {
  assert.deepEqual(["12", "-3", "0x1F", 7, "0", "1.5", "", "x", "9007199254740993", "0x", " 1", 1.5, null].map(toInteger), [
    12,
    -3,
    31,
    7,
    0,
    ...Array(8).fill(undefined),
  ]);
});

test("fields are taken once, only in the type asked for; the rest is what nobody took", () => {
  const record = { a: "x", b: 5, c: "-", d: "", e: "no", f: { g: 1, h: "y" }, i: { j: "z" }, k: ["a", "b"], l: ["one"], __proto__x: 1 };
  const fields = new Fields(structuredClone(record));
  assert.deepEqual(
    [fields.text("a"), fields.text("a"), fields.text("c"), fields.text("d"), fields.integer("b"), fields.integer("e")],
    ["x", undefined, undefined, undefined, 5, undefined],
  );
  assert.deepEqual(
    [fields.nested("f").integer("g"), fields.nested("i").text("j"), fields.nested("nothing").text("x")],
    [1, "z", undefined],
  );
  assert.deepEqual([fields.onlyText("k"), fields.onlyText("l"), fields.texts("k")], [undefined, "one", ["a", "b"]]);
  assert.deepEqual(JSON.parse(JSON.stringify(fields.rest())), { c: "-", d: "", e: "no", f: { h: "y" }, __proto__x: 1 });
  assert.equal(new Fields({}).rest(), undefined);
});

test("depth is counted no further than asked", () => {
  assert.deepEqual(
    [depthOf(1, 5), depthOf({}, 5), depthOf({ a: [{}] }, 5), depthOf(JSON.parse("[".repeat(90_000) + "]".repeat(90_000)), 60)],
    [0, 1, 3, 61],
  );
});
