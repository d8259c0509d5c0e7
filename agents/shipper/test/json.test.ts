// Why: numbers and fields that go astray here are gone from the event; the raw record would be the only witness.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addValue, Fields, type Json, keepExactNumbers, toInteger, withoutNuls } from "../src/mapping/json.ts";

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

test("a text without end is one text, so that a damaged record costs one look at each of its bytes", () => {
  const damaged = '{"a":1e5,"b":"\\" 12345678901234567 \\" 12345678901234567';
  assert.equal(keepExactNumbers(damaged), damaged);
  assert.equal(keepExactNumbers(`${damaged}\\`), `${damaged}\\`);
  // With a new beginning at each quote this would take a quarter of an hour.
  const quotes = `{"a":1e5,"b":"${'\\"'.repeat(512 * 1024)}`;
  assert.equal(keepExactNumbers(quotes), quotes);
});

test("of a name that is repeated all values are kept, in one list that grows; any name is a name", () => {
  const object: Json = {};
  addValue(object, "a", 0);
  addValue(object, "a", 1);
  const list = object["a"];
  for (let i = 2; i < 200_000; i += 1) addValue(object, "a", i);
  assert.equal(object["a"], list, "the list is not copied");
  assert.equal((list as number[]).length, 200_000);
  addValue(object, "__proto__", "x");
  assert.deepEqual(Object.keys(object), ["a", "__proto__"]);
});

test("NULs are taken from the end, and a run of them that ends nothing costs one look", () => {
  assert.deepEqual(["", "\0\0", "a\0b\0", "a"].map(withoutNuls), ["", "", "a\0b", "a"]);
  assert.equal(withoutNuls(`${"\0".repeat(1024 * 1024)}a`).length, 1024 * 1024 + 1);
});
