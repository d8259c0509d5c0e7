// Why: lines of one record come apart, and whoever joins them must lose none, double none, and always know from where to go on.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FramingPoint, inputStart, type RawRecord } from "../src/input/framing.ts";
import { JoinedFraming } from "../src/input/joined_framing.ts";
import type { LineKey } from "../src/input/joined_framing.ts";
import type { RawLine } from "../src/input/line_cutter.ts";

/** `KEY SECONDS text`, ended by a line whose text is `end`; anything else has no key. */
function keyOf({ bytes }: RawLine): LineKey | undefined {
  const match = /^([a-z]\d*) (\d+) (.*)/.exec(bytes.toString());
  return match === null ? undefined : { key: match[1] as string, timeUs: Number(match[2]) * 1e6, ends: match[3] === "end" };
}

interface Joining {
  readonly framing: JoinedFraming;
  readonly out: RawRecord[];
}

function joining(start: FramingPoint = inputStart, recordBytesMax = 1 << 20): Joining {
  const out: RawRecord[] = [];
  return { framing: new JoinedFraming({ recordBytesMax, start, take: (record) => out.push(record) }, keyOf), out };
}

function joined(text: string, chunkBytes = 1 << 20, recordBytesMax?: number): RawRecord[] {
  const { framing, out } = joining(inputStart, recordBytesMax);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunkBytes) framing.push(bytes.subarray(at, at + chunkBytes));
  framing.end();
  return out;
}

const texts = (records: readonly RawRecord[]): string[] => records.map(({ bytes }) => bytes.toString());

test("R-28 lines of one key are one record with all of them in order, whatever comes between", () => {
  const records = joined("a 1 x\r\nb 1 x\nno key\na 1 y\n\nb 1 end\na 1 end\n");
  assert.deepEqual(texts(records), ["a 1 x\na 1 y\na 1 end", "b 1 x\nb 1 end", "no key"]);
  assert.deepEqual(
    records.map(({ record, line, byteOffset }) => [record, line, byteOffset]),
    [
      [1, 1, 0],
      [2, 2, 7],
      [3, 3, 13],
    ],
  );
  assert.deepEqual(records[0]?.pieces, [
    { line: 1, byteOffset: 0, length: 5 },
    { line: 4, byteOffset: 20, length: 5 },
    { line: 7, byteOffset: 35, length: 7 },
  ]);
});

test("a record without an end is handed out once lines are two seconds newer than its last", () => {
  const { framing, out } = joining();
  framing.push(Buffer.from(`a 1 x\nb 2 x\nb 2 end\na 1 y\nc 3 x\n${"d 3 x\n".repeat(40)}`));
  assert.deepEqual(texts(out), [], "its own time does not count, but what was newest when it grew");
  framing.push(Buffer.from("d 4 x\n"));
  assert.deepEqual(texts(out), ["a 1 x\na 1 y", "b 2 x\nb 2 end"]);
  assert.equal(framing.resumePoint.byteOffset, "a 1 x\nb 2 x\nb 2 end\na 1 y\n".length);
});

test("a record that is older than its neighbours, as of a call that took long, is joined all the same", () => {
  const records = joined("z 1000 x\na 1 x\nz 1000 y\na 1 y\nz 1000 end\na 1 end\n");
  assert.deepEqual(texts(records), ["z 1000 x\nz 1000 y\nz 1000 end", "a 1 x\na 1 y\na 1 end"]);
});

test("told time hands out what waits: two seconds after it was seen to have stopped growing", () => {
  const { framing, out } = joining();
  framing.push(Buffer.from("a 1 x\n"));
  framing.flushPending(10_000);
  framing.push(Buffer.from("a 1 y\n"));
  framing.flushPending(11_999);
  framing.flushPending(13_998);
  assert.equal(out.length, 0);
  framing.flushPending(13_999);
  assert.deepEqual(texts(out), ["a 1 x\na 1 y"]);
  framing.push(Buffer.from("b 1 unfinished"));
  framing.flushPending(99_999);
  assert.equal(out.length, 1, "a line that has no end yet is not touched");
});

test("P-5 FMT-6 what waits is bounded by number and by bytes", () => {
  const { framing, out } = joining();
  for (let i = 0; i < 3000; i++) framing.push(Buffer.from(`a${i} 1 x\n`));
  assert.equal(out.length, 3000 - 1024);
  const big = joining();
  for (let i = 0; i < 20; i++) big.framing.push(Buffer.from(`b${i} 1 ${"y".repeat(1 << 19)}\n`));
  assert.ok(big.out.length >= 16 && big.out.length <= 18, `${big.out.length}`);
});

test("a record beyond the bound is passed over, its neighbours are not", () => {
  const long = Array.from({ length: 100 }, () => `a 1 ${"y".repeat(96)}`);
  const records = joined(`b 1 x\n${long.join("\nc 1 end\n")}\n${"z".repeat(6000)}\nb 1 end\na 1 end\n`, 1000, 5000);
  assert.deepEqual(
    records.filter(({ bytes }) => !bytes.toString().startsWith("c")).map(({ oversize, length }) => [oversize, length]),
    [
      [false, 13],
      [true, 100 * 101 + 7],
      [true, 6000],
    ],
  );
  for (const { bytes } of records) assert.ok(bytes.length <= 4096);
});

/** Events of up to five lines, with or without an end, in any interleaving that keeps each event's own order. */
const interleaved = fc
  .array(fc.record({ lines: fc.integer({ min: 1, max: 5 }), ends: fc.boolean() }), { minLength: 1, maxLength: 8 })
  .chain((events) => {
    const turns = events.flatMap(({ lines, ends }, i) => Array.from({ length: lines + Number(ends) }, () => i));
    return fc.record({ events: fc.constant(events), turns: fc.shuffledSubarray(turns, { minLength: turns.length }) });
  })
  .map(({ events, turns }) => {
    const said = events.map(() => 0);
    return turns.map((i) => {
      const n = (said[i] as number)++;
      return `a${i} 1 ${n === events[i]?.lines ? "end" : `line${n}`}`;
    });
  });

test("FMT-6 any interleaving of the lines of several events gives the same records, whatever the chunks", () => {
  fc.assert(
    fc.property(interleaved, fc.integer({ min: 1, max: 40 }), (lines, chunkBytes) => {
      const records = joined(`${lines.join("\n")}\n`, chunkBytes);
      const keys = [...new Set(lines.map((line) => line.split(" ")[0] as string))];
      assert.deepEqual(
        texts(records),
        keys.map((key) => lines.filter((line) => line.startsWith(`${key} `)).join("\n")),
      );
      assert.deepEqual(
        records.map(({ record }) => record),
        keys.map((_, i) => i + 1),
      );
    }),
  );
});

test("FMT-7 from the resume point of any moment the rest comes, and nothing twice", () => {
  const noisy = fc
    .tuple(interleaved, fc.array(fc.constantFrom("junk", "", "a0 9 late", "b 5 x", Array(40).fill("c 4 x").join("\n")), { maxLength: 4 }))
    .chain(([lines, noise]) => fc.shuffledSubarray([...lines, ...noise], { minLength: lines.length + noise.length }));
  fc.assert(
    fc.property(noisy, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 700 }), (lines, chunkBytes, stopAt) => {
      const bytes = Buffer.from(`${lines.join("\n")}\n`);
      const whole = joined(bytes.toString());
      const first = joining();
      for (let at = 0; at < Math.min(stopAt, bytes.length); at += chunkBytes)
        first.framing.push(bytes.subarray(at, Math.min(at + chunkBytes, stopAt)));
      const point = first.framing.resumePoint;
      const rest = joining(point);
      rest.framing.push(bytes.subarray(point.byteOffset));
      rest.framing.end();
      assert.deepEqual([...first.out, ...rest.out], whole);
    }),
    { numRuns: 1000 },
  );
});
