/** Keys of values, of batches, and sorted postings: what goes into the index comes out of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Observable, observablesOf } from "ransomeye-ingestion/protocol";
import { FrameKeys } from "../src/observables/frame_keys.ts";
import { halfSipHash, keysUnder } from "../src/observables/observable_key.ts";
import { type FrameSummary, makeSegment, ordinalsIn, placeAt } from "../src/observables/segment.ts";
import { eventLine } from "../src/testing.ts";

const salt = Buffer.from([0, 1, 2, 3, 4, 5, 6, 7]);

test("DP-40 R-31 keys are HalfSipHash-2-4 as published, and depend on the installation's own key", () => {
  // The first of the 32-bit vectors of its authors: bytes 0 … n-1 under the key 00 … 07.
  const vectors = ["a9359f5b", "27475ab8", "fa62a603", "8afee704"];
  for (const [length, hex] of vectors.entries()) {
    const out = Buffer.alloc(4);
    out.writeUInt32LE(
      halfSipHash(
        Uint8Array.from({ length }, (_, n) => n),
        salt,
      ),
    );
    assert.equal(out.toString("hex"), hex, `${length} bytes`);
  }
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), fc.constantFrom(0, 1, 2, 3), (text, space) => {
      const bytes = Buffer.from(String.fromCharCode(space) + text, "utf16le");
      assert.equal(keysUnder(salt)({ space, kinds: 0, text }), halfSipHash(bytes, salt));
    }),
  );
  const one: Observable = { space: 2, kinds: 4, text: "evil.example" };
  assert.notEqual(keysUnder(salt)(one), keysUnder(Buffer.alloc(8))(one));
});

const aLine = fc
  .tuple(fc.nat({ max: 30 }), fc.nat({ max: 300 }), fc.boolean())
  .map(([host, ip, wild]) =>
    wild
      ? "no JSON"
      : eventLine(`ws-${host}`, { src_endpoint: { ip: `10.0.${ip % 3}.${ip % 250}` }, query: { hostname: `\\u0061${ip}.example` } }),
  );

test("DP-40 R-31 a batch's keys are those of all its values, each once, ascending", () => {
  const keyOf = keysUnder(salt);
  const keys = new FrameKeys(keyOf);
  fc.assert(
    fc.property(fc.array(aLine, { maxLength: 40 }), (lines) => {
      const payload = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const wanted = [...new Set(lines.flatMap((line) => observablesOf(Buffer.from(`${line}\n`), 0).map(keyOf)))].toSorted((a, b) => a - b);
      const got = keys.of(payload);
      assert.deepEqual(
        Array.from({ length: got.length / 4 }, (_, n) => got.readUInt32BE(n * 4)),
        wanted,
      );
    }),
  );
});

test("DP-40 R-31 a batch of as many values as fit keeps all of them", () => {
  const list = Array.from({ length: 21_000 }, (_, n) => `"::${n.toString(16)}"`).join(",");
  const payload = Buffer.from(`{"x_forwarded_for":[${list}]}\n`);
  assert.ok(payload.length <= 256 * 1024);
  // Some share their 32 bits: the birthday of that many is one pair in twenty runs.
  assert.ok(new FrameKeys(keysUnder(salt)).of(payload).length >= 20_990 * 4);
});

const summary = (part: number, off: number, receivedUs: number, keys: readonly number[]): FrameSummary => {
  const bytes = Buffer.alloc(keys.length * 4);
  for (const [index, key] of [...keys].toSorted((a, b) => a - b).entries()) bytes.writeUInt32BE(key, index * 4);
  return { part, off, receivedUs, keys: bytes };
};

/** As a reader asks: the blocks that begin with the key, and the last one that begins before it. */
function framesWith(segment: ReturnType<typeof makeSegment>, key: number): string[] {
  const before = segment.blocks.findLast(({ firstKey }) => firstKey < key);
  const blocks = [...(before === undefined ? [] : [before]), ...segment.blocks.filter(({ firstKey }) => firstKey === key)];
  return blocks
    .flatMap((block) => ordinalsIn(block, key))
    .map((ordinal) => placeAt(segment.places, ordinal))
    .map(({ part, off, receivedUs }) => `${part} ${off} ${receivedUs}`)
    .toSorted();
}

test("DP-40 R-31 a segment gives each key's batches back, no more and no less, also where a key goes on in the next block", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uniqueArray(fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 0xffff_ffff }), fc.constantFrom(0, 0xffff_ffff))), {
        maxLength: 400,
      }),
      fc.nat({ max: 2000 }),
      (frames, common) => {
        const keysOf = frames.map((keys) => new Set(keys));
        // One key that more batches have than a block holds.
        for (let n = 0; n < common; n++) keysOf.push(new Set([7, 9 + (n % 3)]));
        const summaries = keysOf.map((keys, n) => summary(n % 5, n + 1, 1_000_000 - n, [...keys]));
        const segment = makeSegment(summaries);
        assert.equal(
          segment.postings,
          keysOf.reduce((sum, keys) => sum + keys.size, 0),
        );
        assert.ok(segment.blocks.every(({ bytes }) => bytes.length <= 1900));
        for (const key of new Set([...keysOf.flatMap((keys) => [...keys]).slice(0, 300), 7, 9, 10, 12_345]))
          assert.deepEqual(
            framesWith(segment, key),
            summaries.flatMap(({ part, off, receivedUs }, n) => (keysOf[n]?.has(key) ? [`${part} ${off} ${receivedUs}`] : [])).toSorted(),
          );
      },
    ),
    { numRuns: 60 },
  );
});
