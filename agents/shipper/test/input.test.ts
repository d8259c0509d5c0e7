// Why: inputs come damaged, packed and in the wrong encoding; each must end with a clear word and keep what was whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { limits, recordingTelemetry } from "ransomeye-kernel";
import { detectKind, fitsKind, formatNames, originalOf, readRecords, SHIP_CODES } from "../src/lib.ts";
import { chunks, readAll, refused, sorted } from "./helpers.ts";

const eve = (i: number): string => JSON.stringify({ timestamp: "2024-04-25T03:06:32.258446+0530", event_type: "stats", n: i });
const eveLines = (count: number): string => Array.from({ length: count }, (_, i) => `${eve(i)}\n`).join("");

test("gzip is known by its first bytes, in one member or several, whatever the chunks", async () => {
  const packed = Buffer.concat([gzipSync(eveLines(500)), gzipSync(eveLines(500))]);
  for (const chunkBytes of [1, 7, 1000, 1 << 20]) {
    assert.equal((await readAll(chunkBytes === 1 ? gzipSync(eveLines(3)) : packed, { chunkBytes })).length, chunkBytes === 1 ? 3 : 1000);
  }
});

test("a truncated gzip keeps the whole records before the place that the error names", async () => {
  const whole = gzipSync(Buffer.from(Array.from({ length: 20_000 }, (_, i) => `${eve(i * 7919)}\n`).join("")));
  for (const [bytes, code] of [
    [whole.subarray(0, whole.length / 2), "SHIP_GZIP_TRUNCATED"],
    [Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8, 7)]), "SHIP_GZIP_CORRUPT"],
  ] as const) {
    let read = 0;
    const work = (async () => {
      for await (const batch of readRecords(chunks(bytes), { name: "big.json.gz" })) read += batch.items.length;
    })();
    await refused(work, code, "big.json.gz", "at byte ", "line ");
    assert.ok(read > 5000, `${read} records were kept`);
  }
});

test("an input that fails to be read is told with its place; what came before is kept", async () => {
  let read = 0;
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from(eveLines(10));
    throw Object.assign(new Error("EIO: \u001b[31mbad\u001b[0m disk"), { code: "EIO" });
  }
  const work = (async () => {
    for await (const batch of readRecords(broken(), { name: "disk" })) read += batch.items.length;
  })();
  await refused(work, "SHIP_INPUT_UNREADABLE", "line 11", "\\x1b");
  assert.equal(read, 10);
});

test("a byte order mark is left out, UTF-16 and UTF-32 are refused", async () => {
  assert.equal((await readAll(`\ufeff${eveLines(2)}`)).length, 2);
  const utf16 = Buffer.from(`\ufeff${eveLines(2)}`, "utf16le");
  await refused(readAll(utf16), "SHIP_ENCODING", "UTF-16");
  await refused(readAll(utf16.subarray(2)), "SHIP_ENCODING", "UTF-16");
  await refused(readAll(Buffer.from(utf16).swap16()), "SHIP_ENCODING", "UTF-16");
  await refused(readAll(Buffer.from([0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0])), "SHIP_ENCODING", "UTF-32");
});

test("an unknown input is refused with what is supported; a known one without reader is named", async () => {
  await refused(readAll("hello\nworld\n"), "SHIP_FORMAT_UNKNOWN", "suricata_eve", "hello");
  await refused(readAll('{"foo":1}\n{"bar":2}\n'), "SHIP_FORMAT_UNKNOWN");
  await refused(readAll(Buffer.from("\u0089PNG\r\n\u001a\n\0\0\0\rIHDR", "latin1")), "SHIP_FORMAT_UNKNOWN", "PNG");
  await refused(readAll("<Events><Event/></Events>"), "SHIP_FORMAT_UNSUPPORTED", "XML");
  await refused(readAll(Buffer.from("28b52ffd00000000000000000000000000", "hex")), "SHIP_FORMAT_UNSUPPORTED", "zstd");
  await refused(readAll("ElfFile\0\0\0\0\0\0\0\0\0\0"), "SHIP_FORMAT_UNSUPPORTED", "EVTX");
});

test("text is known by its first telling line, however small the chunks", async () => {
  const audit = "type=SYSCALL msg=audit(1490137971.011:1): arch=c000003e";
  const cases: [string, string][] = [
    [`${audit}\n`, "auditd"],
    [`---\ntests:\n    ${audit}\n`, "auditd"],
    [`node=web1 ${audit}`, "auditd"],
    ["<34>1 2024-01-01T00:00:00Z host app - - - text\n", "syslog"],
    ["46 <34>1 2024-01-01T00:00:00Z host app - - - text", "syslog"],
    ["<34>Oct 11 22:14:15 host su: text\n", "syslog"],
    ["Oct 11 22:14:15 host su: text\n", "syslog"],
    ["2024-01-01T00:00:00.123456+01:00 host app[1]: text\n", "syslog"],
    ['<Event><System><Provider Name="Linux-Sysmon"/></System></Event>\n', "sysmon_linux_xml"],
    [`### remark\n${eve(1)}\n`, "suricata_eve"],
  ];
  for (const [text, format] of cases) {
    for (const chunkBytes of [1, 1000]) {
      for await (const batch of readRecords(chunks(text, chunkBytes), { name: "input" })) assert.equal(batch.format, format, text);
    }
  }
});

test("nothing is read from nothing", async () => {
  assert.deepEqual(await readAll(""), []);
  assert.deepEqual(await readAll("\n \r\n"), []);
});

test("formats are found by content, past junk, and by what damaged records still show", async () => {
  const { events, invalid } = await sorted(`### remark\n{"broken":1\n${eveLines(2)}`);
  assert.deepEqual(
    [events.length, invalid.map(({ code, place }) => [code, place.line])],
    [
      2,
      [
        ["SHIP_RECORD_NOT_JSON", 1],
        ["SHIP_RECORD_NOT_JSON", 2],
      ],
    ],
  );
  const damaged = await sorted('{"ts":XX,"id.orig_h":"192.0.2.1"}\n'.repeat(3));
  assert.deepEqual(
    damaged.invalid.map(({ code }) => code),
    Array(3).fill("SHIP_RECORD_NOT_JSON"),
  );
  const timeless = await sorted('{"t":1}\n{"t":2}\n', { name: "logs/ssh.log" });
  assert.deepEqual(
    timeless.invalid.map(({ code }) => code),
    ["SHIP_TIME_MISSING", "SHIP_TIME_MISSING"],
  );
});

test("--format overrides detection", async () => {
  assert.deepEqual(
    (await sorted("hello\n", { format: "zeek_json" })).invalid.map(({ code }) => code),
    ["SHIP_RECORD_NOT_JSON"],
  );
  assert.equal((await sorted('{"ts":1.5,"x":1}\n', { format: "zeek_json" })).events.length, 1);
});

test("P-8 garbage costs only itself: each bad record is named by place, code and reason", async () => {
  const good = eve(1);
  const deep = `{"timestamp":"2024-01-01T00:00:00Z","event_type":"stats","x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  const lines = [
    good,
    "not json",
    "[1,2]",
    "null",
    '{"event_type":"stats"}',
    deep,
    `{"x":"${"y".repeat(2_000_000)}"}`,
    "\0\u0001\u001b[2J",
    good,
  ];
  const { events, invalid } = await sorted(`${lines.join("\n")}\n`);
  assert.equal(events.length, 2);
  assert.deepEqual(
    invalid.map(({ code, place }) => `${place.line} ${code}`),
    [
      "2 SHIP_RECORD_NOT_JSON",
      "3 SHIP_RECORD_NOT_OBJECT",
      "4 SHIP_RECORD_NOT_OBJECT",
      "5 SHIP_TIME_MISSING",
      "6 SHIP_RECORD_TOO_DEEP",
      "7 SHIP_RECORD_TOO_LARGE",
      "8 SHIP_RECORD_NOT_JSON",
    ],
  );
  for (const { message, original } of invalid) assert.ok(/^[\x20-\x7e]+$/.test(message) && original.length <= 1 << 20);
  const offsets = lines.map((_, i) => Buffer.byteLength(lines.slice(0, i).join("\n")) + (i > 0 ? 1 : 0));
  for (const { place } of invalid) assert.equal(place.byteOffset, offsets[place.line - 1]);
});

test("R-28 the original comes back byte for byte, base64 where it is not UTF-8", async () => {
  const record = Buffer.from(
    `{ "timestamp" : "2024-01-01T00:00:00Z",\t"event_type":"stats", "name":"Zo\u00eb \\u0000 \\ud800", "dup":1, "dup":2, "big": 12345678901234567890 }`,
  );
  const latin = Buffer.from(record);
  latin[latin.indexOf(0xc3)] = 0xe9;
  for (const bytes of [record, latin]) {
    const { events } = await sorted(Buffer.concat([bytes, Buffer.from("\r\n")]));
    assert.deepEqual(originalOf(events[0] ?? {}), bytes);
    assert.equal(events[0]?.["unmapped"]["big"], "12345678901234567890");
    assert.deepEqual(events[0]?.["metadata"]["transformation_info_list"], [{ name: "ransomeye.suricata_eve", uid: "1" }]);
  }
});

test("without raw_data nothing is lost but the bytes", async () => {
  const { events } = await sorted(eveLines(1), { raw: false });
  assert.equal(events[0]?.["raw_data"], undefined);
  assert.equal(originalOf(events[0] ?? {}), undefined);
  assert.deepEqual(events[0]?.["unmapped"], { n: 0 });
});

test("FMT-12 an event too long with its unmapped fields leaves them to raw_data; longer still it is invalid", async () => {
  const record = (size: number): string => `{"timestamp":"2024-01-01T00:00:00Z","event_type":"stats","x":"${"y".repeat(size)}"}\n`;
  const { events } = await sorted(record(80_000));
  assert.deepEqual([events[0]?.["unmapped"], events[0]?.["metadata"]["labels"]], [undefined, ["unmapped:raw_data"]]);
  assert.deepEqual(
    (await sorted(record(200_000))).invalid.map(({ code }) => code),
    ["SHIP_EVENT_TOO_LARGE"],
  );
});

test("FMT-12 an event with too many keys leaves its unmapped fields to raw_data; without raw_data, and with a string that is too long, it is invalid", async () => {
  const keys = (count: number): string => Array.from({ length: count }, (_, n) => `"k${n}":${n}`).join();
  const record = `{"timestamp":"2024-01-01T00:00:00Z","event_type":"stats","stats":{${keys(limits.jsonKeysMax)}}}\n`;
  const { events } = await sorted(record);
  assert.deepEqual([events[0]?.["unmapped"], events[0]?.["metadata"]["labels"]], [undefined, ["unmapped:raw_data"]]);
  assert.equal(originalOf(events[0] ?? {})?.toString(), record.trimEnd());
  const text = `{"timestamp":"2024-01-01T00:00:00Z","event_type":"stats","x":"${"y".repeat(limits.jsonStringBytesMax + 1)}"}\n`;
  const reasons = [
    ...(await sorted(record, { raw: false })).invalid,
    ...(await sorted(text)).invalid,
    ...(await sorted(text, { raw: false })).invalid,
  ].map(({ code, message }) => `${code} ${message.split(":")[0]}`);
  assert.deepEqual(reasons, [
    "SHIP_EVENT_TOO_LARGE EVENT_TOO_MANY_KEYS",
    "SHIP_EVENT_TOO_LARGE EVENT_STRING_TOO_LONG",
    "SHIP_EVENT_TOO_LARGE EVENT_STRING_TOO_LONG",
  ]);
});

test("FMT-12 a record that is too deep is not parsed", async (t) => {
  const of = (levels: number): string =>
    `{"timestamp":"2024-01-01T00:00:00Z","event_type":"stats","x":${"[".repeat(levels)}${"]".repeat(levels)}}\n`;
  const parse = t.mock.method(JSON, "parse");
  const deep = await readAll(of(60), { format: "suricata_eve" });
  assert.deepEqual([deep[0]?.kind === "invalid" && deep[0].code, parse.mock.callCount()], ["SHIP_RECORD_TOO_DEEP", 0]);
  // What is not too deep for a record is not too deep for its event.
  assert.equal((await readAll(of(59), { format: "suricata_eve" }))[0]?.kind, "event");
});

test("native events go through byte for byte; invalid ones are named with the schema's reason", async () => {
  const line =
    '{"class_uid":0, "category_uid":0,"activity_id":0,"type_uid":0,"severity_id":0,"time":1700000000000,"metadata":{"version":"1.9.0","product":{}},"big":12345678901234567890}';
  const items = await readAll(`${line}\n${line.replace("1700000000000", '"x"')}\n`);
  assert.equal(items[0]?.kind === "event" && items[0].line.toString(), line);
  assert.ok(
    items[1]?.kind === "invalid" &&
      items[1].code === "SHIP_EVENT_INVALID" &&
      items[1].message === "EVENT_FIELD_TYPE: time is not an integer",
  );
  const spread = await readAll(JSON.stringify([JSON.parse(line)], null, 1));
  assert.ok(spread[0]?.kind === "event" && !spread[0].line.includes(10));
});

test("a run that was broken off goes on behind the records that it had", async () => {
  const all = await readAll(eveLines(10));
  const rest = await readAll(eveLines(10), { skipRecords: 4 });
  assert.deepEqual(rest, all.slice(4));
});

test("R-35 formats belong to kinds of producers", () => {
  assert.deepEqual(
    formatNames.map((format) => [format, detectKind(format)]),
    [
      ["suricata_eve", "dpi"],
      ["zeek_json", "dpi"],
      ["zeek_tsv", "dpi"],
      ["windows_event_json", "windows"],
      ["windows_event_xml", "windows"],
      ["windows_etw_json", "windows"],
      ["auditd", "linux"],
      ["osquery", "linux"],
      ["falco", "linux"],
      ["tetragon", "linux"],
      ["syslog", "linux"],
      ["sysmon_linux_xml", "linux"],
      ["azure_monitor_json", "linux"],
      ["ocsf_ndjson", "linux"],
    ],
  );
  assert.ok(fitsKind("ocsf_ndjson", "honeypot") && fitsKind("osquery", "windows") && !fitsKind("suricata_eve", "windows"));
});

test("what became of an input is told in events; codes are documented", async () => {
  const telemetry = recordingTelemetry();
  await readAll(`${eveLines(2)}bad\n`, { telemetry });
  await refused(readAll("bad\n", { telemetry }), "SHIP_FORMAT_UNKNOWN");
  assert.deepEqual(
    telemetry.events.map(({ name, fields }) => [name, fields["events"], fields["code"]]),
    [
      ["ship_record_invalid", undefined, "SHIP_RECORD_NOT_JSON"],
      ["ship_input_finished", 2, undefined],
      ["ship_input_failed", 0, "SHIP_FORMAT_UNKNOWN"],
    ],
  );
  for (const spec of Object.values(SHIP_CODES)) assert.ok(spec.meaning !== "" && spec.next !== "");
});
