/**
 * Why: an incomplete call at a spool's end is dropped whole, which is safe only if frames respect calls. Enforces: bounds and boundaries of frames.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Batcher, type Sealed } from "../src/batcher.ts";
import { Call } from "../src/calls.ts";

const bounds = { frameBytesMax: 100, frameEventsMax: 8, schemaVersion: 1, mappingVersion: 0 };
const calls = fc.array(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 25 }), { maxLength: 20 });

test("frames keep their bounds and the order of lines; a call begins a new frame unless it fits the open one whole", () => {
  fc.assert(
    fc.property(calls, (sizes) => {
      const frames: Sealed[] = [];
      const batcher = new Batcher(bounds, (sealed) => frames.push(sealed));
      let next = 0;
      const handed = sizes.map((lengths, at) => {
        const lines = lengths.map((length) => Buffer.from(String((next += 1)).padStart(length, " ")));
        const call = new Call("p", lines.length);
        batcher.add(
          call,
          lines,
          lines.reduce((sum, line) => sum + line.length + 1, 0),
          { cursor: `c${at}` },
        );
        return { call, lines };
      });
      batcher.flush();

      const seen = frames.flatMap(({ payload }) =>
        payload
          .toString()
          .split("\n")
          .slice(0, -1)
          .map((line) => line.trim()),
      );
      assert.deepEqual(
        seen,
        handed.flatMap(({ lines }) => lines.map((line) => line.toString().trim())),
      );
      for (const [at, { batch, payload, parts, more }] of frames.entries()) {
        assert.ok(batch.count <= bounds.frameEventsMax && payload.length <= bounds.frameBytesMax);
        assert.equal(
          parts.reduce((sum, part) => sum + part.count, 0),
          batch.count,
        );
        const previous = frames[at - 1];
        assert.equal(previous?.more ?? false, previous?.parts.at(-1)?.call === parts[0]?.call, "`more` says that the call goes on");
        // What is dropped with an incomplete call holds nothing of another that is complete.
        if (more) assert.equal(parts.length, 1, "a frame whose call goes on holds nothing of another");
      }
    }),
  );
});

test("a cursor stands with the last line of its call, never before", () => {
  const frames: Sealed[] = [];
  const batcher = new Batcher(bounds, (sealed) => frames.push(sealed));
  const lines = Array.from({ length: 20 }, () => Buffer.from("x"));
  batcher.add(new Call("p", 1), [Buffer.from("y")], 2, { cursor: "first" });
  batcher.add(new Call("p", 20), lines, 40, { cursor: "second" });
  batcher.flush();
  assert.deepEqual(
    frames.map(({ cursor, more }) => [cursor, more]),
    [
      ["first", false],
      [undefined, true],
      [undefined, true],
      ["second", false],
    ],
  );
});

test("R-17 lines of two mapping versions do not share a frame", () => {
  const frames: Sealed[] = [];
  const batcher = new Batcher(bounds, (sealed) => frames.push(sealed));
  for (const mappingVersion of [3, 3, 4, undefined])
    batcher.add(new Call("p", 1), [Buffer.from("y")], 2, mappingVersion === undefined ? {} : { mappingVersion });
  batcher.flush();
  assert.deepEqual(
    frames.map(({ batch }) => [batch.mappingVersion, batch.count]),
    [
      [3, 2],
      [4, 1],
      [bounds.mappingVersion, 1],
    ],
  );
});
