/**
 * Why it exists: what is cut goes into tables, messages and terminals.
 * Enforces: src/text.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cutText } from "../src/text.ts";

test("text is cut at its bound, and never into the middle of a character", () => {
  assert.deepEqual(
    [cutText("abc", 2), cutText("abc", 3), cutText("abc", 0), cutText("a😀", 2), cutText("a😀", 3)],
    ["ab", "abc", "", "a", "a😀"],
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(12), (text, charsMax) => {
      const cut = cutText(text, charsMax);
      assert.ok(text.startsWith(cut) && cut.length <= charsMax && (cut.length >= charsMax - 1 || cut === text));
      assert.equal(Buffer.from(cut, "utf8").toString("utf8"), cut);
    }),
  );
});
