// Why: rows are derived, so the same event must give the same row however it is spelt, and no event may stop the engine.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "ransomeye-kernel";
import { deriveRow, newRowColumns, ROW_FLAGS, skewMsMax, type RowColumns } from "../protocol/lib.ts";
import { baseEvent, sampleEvents, type Json } from "./event_samples.ts";

const receivedUs = 1_700_000_000_000_000;

function row(event: unknown, received = receivedUs): RowColumns {
  const out = newRowColumns();
  deriveRow(event, received, out);
  return out;
}

test("columns come from where the page says", () => {
  const process = row(sampleEvents[4]);
  assert.deepEqual(
    [process.host, process.userName, process.processName, process.processPid, process.message, process.flags],
    ["ws-7", "bob", "ping.exe", 77, "ping -n 3 192.0.2.1", 0],
  );
  const file = row(sampleEvents[1]);
  assert.deepEqual(
    [file.filePath, file.fileSha256?.toString("hex"), file.processName, file.userName, file.flags],
    ["C:\\a.doc", "ab".repeat(32), "System", "ann", ROW_FLAGS.nonCanonical],
  );
  const finding = row(sampleEvents[7]);
  assert.deepEqual(
    [finding.message, finding.srcIp, finding.srcPort, finding.dstIp, finding.dstPort, finding.flags],
    ["Potential scan", "2001:db8::1", 4904, "192.0.2.9", 22, ROW_FLAGS.nonCanonical],
  );
  assert.equal(row(sampleEvents[8]).srcIp, "192.0.2.4");
  assert.equal(row(sampleEvents[10]).domain, "example.org");
  assert.equal(row(sampleEvents[11]).domain, "example.com");
  assert.equal(row(sampleEvents[2]).filePath, "C:\\x.dll");
  assert.equal(row(sampleEvents[6]).message, "HKLM\\Software\\X\\Run");
});

test("R-17 canonical and non-canonical spelling give the same row but for the flag that says so", () => {
  const with_ = (time_dt: string, ip: string, value: string, hostname: string): RowColumns =>
    row(
      baseEvent(4002, 4, {
        time_dt,
        src_endpoint: { ip },
        tls: { version: "x", sni: hostname },
        file: { name: "f", type_id: 1, hashes: [{ algorithm_id: 3, value }] },
      }),
    );
  const canonical = with_("2023-11-14T22:13:20.000123Z", "2001:db8::1", "0a".repeat(32), "example.org");
  const other = with_("2023-11-15 00:13:20.000123+02:00", "2001:DB8:0::0001%3", "0A".repeat(32), "EXAMPLE.org.");
  assert.equal(canonical.flags, 0);
  assert.equal(other.flags, ROW_FLAGS.nonCanonical);
  assert.deepEqual({ ...other, flags: 0 }, canonical);
  assert.equal(canonical.eventTimeUs, receivedUs + 123);
});

test("time_dt counts only if it names the same millisecond as time", () => {
  for (const time_dt of ["2023-11-14T22:13:20.001Z", "2023-11-14T22:13:20", "yesterday"]) {
    const { eventTimeUs, flags } = row(baseEvent(0, 0, { time_dt }));
    assert.deepEqual([eventTimeUs, flags], [receivedUs, ROW_FLAGS.valueDropped]);
  }
});

test("a clock further off than skew_ms_max is flagged either way, never refused", () => {
  const bound = skewMsMax * 1000;
  for (const [offset, flagged] of [
    [0, 0],
    [bound, 0],
    [-bound, 0],
    [bound + 1, 1],
    [-bound - 1, 1],
  ] as const)
    assert.equal(row(baseEvent(0, 0), receivedUs + offset).flags, flagged);
});

test("texts are cut to the column's bytes between characters, NUL and lone surrogates are replaced, both flagged", () => {
  const max = limits.columnTextBytesMax;
  const cut = (hostname: string): [string | null, number] => {
    const { host, flags } = row(baseEvent(0, 0, { device: { hostname, type_id: 0 } }));
    return [host, flags];
  };
  assert.deepEqual(cut("x".repeat(max)), ["x".repeat(max), 0]);
  assert.deepEqual(cut("x".repeat(max + 1)), ["x".repeat(max), ROW_FLAGS.textCut]);
  assert.deepEqual(cut("\u{1f600}".repeat(max)), ["\u{1f600}".repeat(max / 4), ROW_FLAGS.textCut]);
  assert.deepEqual(cut(`x${"\u{1f600}".repeat(max)}`), [`x${"\u{1f600}".repeat(max / 4 - 1)}`, ROW_FLAGS.textCut]);
  assert.deepEqual(cut(`xx${"é".repeat(max / 2)}`), [`xx${"é".repeat(max / 2 - 1)}`, ROW_FLAGS.textCut]);
  assert.deepEqual(cut("a\0b\ud800c"), ["a\ufffdb\ufffdc", ROW_FLAGS.textReplaced]);
  assert.deepEqual(cut("\ud83d\ude00"), ["\u{1f600}", 0]);
});

test("values outside their column's type are left out and flagged", () => {
  const event = baseEvent(4001, 4, {
    src_endpoint: { ip: "999.1.1.1", port: 70_000 },
    dst_endpoint: { ip: "192.0.2.1", port: -1 },
    actor: { process: { pid: 2 ** 60 } },
    file: { name: "x", type_id: 0, hashes: [{ algorithm_id: 3, value: "nope" }] },
  });
  const out = row(event);
  assert.deepEqual(
    [out.srcIp, out.srcPort, out.dstIp, out.dstPort, out.processPid, out.fileSha256, out.flags],
    [null, null, "192.0.2.1", null, null, null, ROW_FLAGS.valueDropped],
  );
});

test("the message column is the first line of a rendered message", () => {
  assert.equal(row(baseEvent(0, 0, { message: "Process Create:\r\nRuleName: -\r\n" })).message, "Process Create:");
});

test("one set of columns is reused without leftovers", () => {
  const out = newRowColumns();
  deriveRow(sampleEvents[1], receivedUs, out);
  deriveRow({}, receivedUs, out);
  assert.deepEqual(out, { ...newRowColumns(), eventTimeUs: receivedUs, flags: ROW_FLAGS.valueDropped });
});

test("deriveRow never throws for any JSON value, and every column fits its type", () => {
  const names = [
    "time",
    "time_dt",
    "class_uid",
    "severity_id",
    "device",
    "actor",
    "user",
    "process",
    "file",
    "evidences",
    "src_endpoint",
    "ip",
    "port",
    "hashes",
    "value",
    "algorithm_id",
    "hostname",
    "name",
    "pid",
    "query",
    "tls",
    "sni",
    "message",
    "finding_info",
    "title",
    "cmd_line",
  ];
  const node = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: "medium" },
      fc.jsonValue(),
      fc.string({ unit: "binary", maxLength: 3000 }),
      fc.ipV6(),
      fc.constant(3),
      fc.double(),
      fc.dictionary(fc.constantFrom(...names), tie("node"), { maxKeys: 8 }),
      fc.array(tie("node"), { maxLength: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(node, fc.constantFrom<Json>(...sampleEvents), (value, sample) => {
      for (const event of [value, typeof value !== "object" || Array.isArray(value) ? sample : { ...sample, ...value }]) {
        const out = row(event);
        for (const text of [out.host, out.userName, out.processName, out.filePath, out.domain, out.message]) {
          if (text === null) continue;
          assert.ok(Buffer.byteLength(text) <= limits.columnTextBytesMax && !text.includes("\0"));
          assert.equal(Buffer.from(text).toString(), text);
        }
        assert.ok(Number.isSafeInteger(out.eventTimeUs) && (out.fileSha256 === null || out.fileSha256.length === 32));
        for (const port of [out.srcPort, out.dstPort]) assert.ok(port === null || (port >= 0 && port <= 65_535));
      }
    }),
    { numRuns: 500 },
  );
});
