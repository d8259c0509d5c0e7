/** Why: every signed sequence number must come out of the encoder as a row, a dead letter or a gap, whatever a bus entry holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gapReasons } from "ransomeye-ingestion/protocol";
import fc from "fast-check";
import { decodeBinaryCopy } from "ransomeye-db";
import { limits } from "ransomeye-kernel";
import type { AttackPayload, BusEntry, FrameAppend, ProducerKind } from "ransomeye-pipeline";
import { splitRows } from "../src/copy_rows.ts";
import { type PreparedFrame, RowBatch } from "../src/row_batch.ts";
import { addsUp } from "../src/sink_machine.ts";
import { type EventTable, byteLengthColumn, byteOffsetColumn, eventColumns, eventTables, lineColumn, seqColumn } from "../src/tables.ts";
import { Chain, eventLine, producerId } from "../src/testing.ts";

const receivedUs = 1_700_000_000_000_000;

function entryOf(frame: FrameAppend, off = 1): BusEntry {
  return {
    ...frame,
    position: { generation: producerId(0), part: 3, off, receivedUs, hash: frame.link.hash },
    receivedUs,
    gateway: "gate",
    incarnation: null,
  };
}

function chainOf(n: number, kind: ProducerKind = "linux"): Chain {
  const chain = new Chain(producerId(n), kind);
  chain.open(1, { epoch: 0, seq: 0, hash: Buffer.alloc(32) });
  return chain;
}

async function rowsOf(batch: RowBatch, table: EventTable, frames: readonly PreparedFrame[]): Promise<(Buffer | null)[][]> {
  const rows: (Buffer | null)[][] = [];
  const stream = batch.stream(table, frames);
  if (stream.length === 0) return rows;
  for await (const row of decodeBinaryCopy(stream, { fields: eventColumns.length })) rows.push([...row]);
  return rows;
}

const int4 = (field: Buffer | null | undefined): number | undefined => field?.readInt32BE(0);
const int8 = (field: Buffer | null | undefined): number | undefined => (field == null ? undefined : Number(field.readBigInt64BE(0)));

test("a row names its event: seq, line, and where its bytes lie in the frame (R-18)", async () => {
  const lines = [eventLine("a"), eventLine("bé"), eventLine("c")];
  const frame = chainOf(1).frame({ lines });
  const batch = new RowBatch();
  const prepared = batch.add(entryOf(frame));
  batch.seal();
  const rows = await rowsOf(batch, "events_agent", [prepared]);
  assert.deepEqual(
    rows.map((row) => int8(row[seqColumn])),
    [1, 2, 3],
  );
  assert.deepEqual(
    rows.map((row) => int4(row[lineColumn])),
    [0, 1, 2],
  );
  for (const [i, row] of rows.entries()) {
    assert.equal(row.length, eventColumns.length);
    const from = int4(row[byteOffsetColumn]) as number;
    assert.equal(frame.payload.toString("utf8", from, from + (int4(row[byteLengthColumn]) as number)), lines[i]);
  }
  assert.equal(rows[1]?.[eventColumns.indexOf("host")]?.toString(), "bé");
});

test("R-29 the table follows the certificate's kind, and frames share one stream a table in their order", async () => {
  const batch = new RowBatch();
  const kinds: ProducerKind[] = ["dpi", "linux", "windows", "honeypot"];
  const frames = kinds.map((kind, i) => batch.add(entryOf(chainOf(i + 1, kind).frame({ lines: [eventLine(kind)] }), i + 1)));
  batch.seal();
  const hosts = async (table: EventTable, some: readonly PreparedFrame[]): Promise<(string | undefined)[]> =>
    (await rowsOf(batch, table, some)).map((row) => row[eventColumns.indexOf("host")]?.toString());
  assert.deepEqual(await hosts("events_dpi", frames), ["dpi"]);
  assert.deepEqual(await hosts("events_agent", frames), ["linux", "windows"]);
  assert.deepEqual(await hosts("events_honeypot", frames), ["honeypot"]);
  assert.deepEqual(await hosts("events_agent", frames.slice(2)), ["windows"], "a frame that is skipped leaves no row");
  assert.equal(batch.rows("events_agent", frames).length, 1, "neighbours go out as one piece");
});

test("R-27 an attack's text is cut at whole characters", () => {
  const text = `${"x".repeat(255)}😀 and more`;
  const { messages } = new RowBatch().add(
    entryOf(chainOf(1, "honeypot").frame({ lines: [JSON.stringify({ ...(JSON.parse(eventLine("a")) as object), message: text })] })),
  );
  assert.deepEqual(
    messages.map(({ payload }) => (payload as AttackPayload).details?.message),
    ["x".repeat(255)],
  );
});

test("R-17 lines that the gate found invalid become dead letters in their place, with the gate's code", async () => {
  const batch = new RowBatch();
  const prepared = batch.add(entryOf(chainOf(1).frame({ lines: [eventLine("a"), "not json", eventLine("b"), '{"class_uid":-1}'] })));
  batch.seal();
  assert.deepEqual([prepared.rows, prepared.deadLettered], [2, 2]);
  assert.deepEqual(
    prepared.deadLetters.map(({ firstSeq, count, line, code }) => ({ firstSeq, count, line, code })),
    [
      { firstSeq: 2, count: 1, line: 1, code: "EVENT_NOT_JSON" },
      { firstSeq: 4, count: 1, line: 3, code: "EVENT_CLASS_UNKNOWN" },
    ],
  );
  assert.ok(
    prepared.deadLetters.every((dead) => dead.detail !== ""),
    "each says why",
  );
  assert.deepEqual(
    (await rowsOf(batch, "events_agent", [prepared])).map((row) => int8(row[seqColumn])),
    [1, 3],
  );
});

test("a line that the gate called valid and the engine cannot read is a dead letter, never a crash", () => {
  const chain = chainOf(1);
  const good = chain.frame({ lines: [eventLine("a"), eventLine("b")] });
  const payload = Buffer.from(good.payload);
  payload[payload.length - 3] = 0x21;
  const batch = new RowBatch();
  const prepared = batch.add(entryOf({ ...good, payload }));
  assert.deepEqual(
    [prepared.rows, prepared.deadLettered, prepared.deadLetters[0]?.code, prepared.deadLetters[0]?.firstSeq],
    [1, 1, "ENGINE_LINE_UNREADABLE", 2],
  );
});

test("a value that no column can hold costs its row and leaves no half row behind", async () => {
  const batch = new RowBatch();
  const chain = chainOf(1);
  const wide = batch.add(entryOf(chain.frame({ lines: [eventLine("a")], mappingVersion: 40_000 })));
  const next = batch.add(entryOf(chain.frame({ lines: [eventLine("b")] }), 2));
  batch.seal();
  assert.deepEqual([wide.rows, wide.deadLettered, wide.deadLetters[0]?.code], [0, 1, "ENGINE_ROW_REFUSED"]);
  assert.equal((await rowsOf(batch, "events_agent", [wide, next])).length, 1);
});

test("R-8 a frame that does not decode is one dead letter that counts all its sequence numbers", () => {
  const chain = chainOf(1);
  const cases = [
    chain.frame({ payload: Buffer.from('{"a":1}\n'), count: 3 }),
    chain.frame({ payload: Buffer.from("no line feed"), count: 1 }),
    chain.frame({ verdicts: Buffer.from([9]) }),
    chain.frame({ lines: [eventLine("a"), eventLine("b")], verdicts: Buffer.alloc(0) }),
    chain.frame({ link: { codec: 7 } }),
  ];
  const batch = new RowBatch();
  for (const [i, frame] of cases.entries()) {
    const prepared = batch.add(entryOf(frame, i + 1));
    assert.deepEqual([prepared.rows, prepared.deadLettered, prepared.deadLetters.length], [0, frame.link.count, 1]);
    assert.equal(prepared.deadLetters[0]?.line, null);
    assert.ok(addsUp(prepared));
  }
});

test("X-2 a gap frame declares its count, whatever its payload says", () => {
  const batch = new RowBatch();
  const chain = chainOf(1);
  const told = batch.add(entryOf(chain.frame({ gap: { count: 7, reason: "spool\0lost" } })));
  assert.deepEqual([told.gapDeclared, told.gap?.count, told.gap?.reason], [7, 7, "foreign reason: spool\ufffdlost"]);
  for (const [i, reason] of gapReasons.entries())
    assert.equal(batch.add(entryOf(chain.frame({ gap: { count: 1, reason } }), i + 10)).gap?.reason, reason);
  const silent = batch.add(entryOf({ ...chain.frame({ gap: { count: 2, reason: "x" } }), payload: Buffer.from("\xff") }, 2));
  assert.deepEqual([silent.gapDeclared, silent.gap?.reason], [2, "the gap's reason cannot be read"]);
  assert.ok(addsUp(told) && addsUp(silent));
});

test("IF-13 a gap's payload beyond the bounds of an event is not parsed, and declares its count", (t) => {
  const parse = t.mock.method(JSON, "parse");
  const payloads = [
    `{"reason":"spool_full"${',"x":0'.repeat(limits.jsonKeysMax)}}`,
    "[".repeat(limits.jsonDepthMax + 1),
    " ".repeat(limits.lineBytesMax + 1),
  ];
  for (const payload of payloads) {
    const gap = new RowBatch().add(entryOf({ ...chainOf(1).frame({ gap: { count: 3, reason: "x" } }), payload: Buffer.from(payload) }));
    assert.deepEqual([gap.gapDeclared, gap.gap?.reason], [3, "the gap's reason is beyond the bounds of an event"]);
  }
  assert.equal(parse.mock.callCount(), 0);
});

test("R-8 any bytes in payload and verdicts add up to the signed count and throw nothing", () => {
  const line = fc.oneof(
    fc.constant(eventLine("h")),
    fc.json(),
    fc.string(),
    fc.constant('{"class_uid":0,"device":{"hostname":"\\u0000\\ud800"}}'),
  );
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 6 }),
      fc.option(fc.uint8Array({ maxLength: 30 })),
      fc.integer({ min: 0, max: 3 }),
      (lines, noise, more) => {
        const clean = lines.map((text) => text.replaceAll("\n", " "));
        const frame = chainOf(1).frame({
          lines: clean,
          count: clean.length + more,
          ...(noise === null ? {} : { verdicts: Buffer.from(noise) }),
        });
        const batch = new RowBatch();
        const prepared = batch.add(entryOf(frame));
        batch.seal();
        assert.ok(addsUp(prepared));
        assert.equal(
          prepared.deadLetters.reduce((sum, dead) => sum + dead.count, 0),
          prepared.deadLettered,
        );
        assert.equal(splitRows(Buffer.concat(batch.rows("events_agent", [prepared]))).length, prepared.rows);
      },
    ),
    { numRuns: 300 },
  );
});

test("a batch is used again without a trace of what it held", async () => {
  const batch = new RowBatch();
  batch.add(entryOf(chainOf(1).frame()));
  batch.seal();
  batch.reset();
  const prepared = batch.add(entryOf(chainOf(2).frame({ lines: [eventLine("second")] })));
  batch.seal();
  for (const table of eventTables) {
    assert.deepEqual(
      (await rowsOf(batch, table, [prepared])).map((row) => row[eventColumns.indexOf("host")]?.toString()),
      table === "events_agent" ? ["second"] : [],
    );
  }
});
