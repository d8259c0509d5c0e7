// Why: Zeek's rows and Zeek's JSON are two spellings of one log; nobody should see from an event which one it was.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { validateLine } from "ransomeye-ingestion/protocol";
import { type Event, readAll, refused, sorted } from "./helpers.ts";

const header = (fields: string, types: string, path = "test"): string =>
  [
    `#separator \\x09`,
    `#set_separator\t,`,
    `#empty_field\t(empty)`,
    `#unset_field\t-`,
    `#path\t${path}`,
    `#open\t2024-01-01-00-00-00`,
    `#fields\t${fields}`,
    `#types\t${types}`,
    "",
  ].join("\n");

const small = header("ts\ts\tn", "time\tstring\tcount");

/** One row's event of a log that has no class: all of it is in `unmapped`. */
async function unmappedOf(text: string): Promise<Event> {
  const { events, invalid } = await sorted(text);
  assert.deepEqual(invalid, []);
  return events[0]?.["unmapped"] as Event;
}

/** A value as Zeek's ASCII writer escapes it: what would break the row, and what would be read as unset or empty. */
function written(text: string): string {
  const escaped = [...Buffer.from(text)]
    .map((byte) =>
      byte === 0x5c
        ? "\\\\"
        : byte < 0x20 || byte === 0x2c || byte === 0x7f
          ? `\\x${byte.toString(16).padStart(2, "0")}`
          : String.fromCharCode(byte),
    )
    .join("");
  const safe = escaped === "-" ? "\\x2d" : escaped === "(empty)" ? "\\x28empty)" : escaped === "" ? "(empty)" : escaped;
  return Buffer.from(safe.startsWith("#") ? `\\x23${safe.slice(1)}` : safe, "latin1").toString("latin1");
}

/** A value of a type, as a row and as JSON write it; JSON leaves unset fields out. */
interface Value {
  readonly row: string;
  readonly json: string | undefined;
}

const texts = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.constantFrom("-", "(empty)", "", "a,b", "a\tb", "\\x2d", "#x", "C:\\x", "\u0000", "é€💡"),
);
const text = texts.map((value): Value => ({ row: written(value), json: JSON.stringify(value) }));
const plain = (...values: string[]): fc.Arbitrary<Value> =>
  fc.constantFrom(...values).map((value) => ({ row: value, json: JSON.stringify(value) }));
const number = (numbers: fc.Arbitrary<string>): fc.Arbitrary<Value> => numbers.map((value) => ({ row: value, json: value }));
const micros = fc
  .integer({ min: -4_000_000_000, max: 4_000_000_000 })
  .chain((s) => fc.integer({ min: 0, max: 999_999 }).map((us) => `${s}.${String(us).padStart(6, "0")}`));
const listOf = (members: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc.array(fc.option(members), { maxLength: 4 }).map((items) => {
    // A list of one empty text is written like an empty list, one of one unset member like an unset list: then the row cannot be told from that.
    const kept = items.length === 1 && (items[0]?.row ?? "(empty)") === "(empty)" ? [] : items;
    return {
      row: kept.length === 0 ? "(empty)" : kept.map((item) => item?.row ?? "-").join(","),
      json: `[${kept.map((item) => item?.json ?? "null").join(",")}]`,
    };
  });

const byType: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  time: number(micros),
  interval: number(micros),
  // Zeek writes doubles so that nobody takes them for integers.
  double: number(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Number.isInteger(value) ? value.toFixed(1) : String(value))),
  ),
  count: number(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)),
  int: number(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  port: number(fc.integer({ min: 0, max: 65_535 }).map(String)),
  bool: fc.boolean().map((value) => ({ row: value ? "T" : "F", json: String(value) })),
  addr: plain("192.0.2.1", "2001:db8::1", "FE80::1"),
  subnet: plain("192.0.2.0/24", "2001:db8::/32"),
  enum: plain("tcp", "udp", "Notice::ACTION_LOG"),
  string: text,
  "set[string]": listOf(text),
  "vector[count]": listOf(number(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String))),
  "vector[interval]": listOf(number(micros)),
  "set[addr]": listOf(plain("192.0.2.1", "2001:db8::1")),
};

/** Fields of real logs, so that every one of their readers is passed through, and one that nobody knows. */
const logs: Readonly<Record<string, string>> = {
  conn: "uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port proto:enum service:string duration:interval orig_bytes:count resp_bytes:count conn_state:string missed_bytes:count history:string orig_pkts:count tunnel_parents:set[string]",
  dns: "uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port proto:enum trans_id:count query:string qtype_name:string rcode:count rcode_name:string AA:bool RD:bool answers:set[string] TTLs:vector[interval] rejected:bool",
  files:
    "fuid:string tx_hosts:set[addr] rx_hosts:set[addr] source:string filename:string seen_bytes:count total_bytes:count md5:string sha256:string",
  kerberos: "uid:string id.orig_h:addr id.resp_h:addr request_type:string client:string service:string success:bool error_msg:string",
  ours: "s:string b:bool d:double i:int n:subnet v:vector[count] t:time",
};

function withoutSpelling(event: Event): Event {
  const { raw_data: _, raw_data_size: __, metadata, ...rest } = event;
  const { log_format: ___, transformation_info_list: ____, labels: _____, ...same } = metadata as Event;
  return { ...rest, metadata: same };
}

for (const [log, columns] of Object.entries(logs)) {
  test(`FMT-3 a row and a JSON record of the same values give the same event: ${log}`, async () => {
    const fields = columns.split(" ").map((column) => column.split(":") as [string, string]);
    const values = fc.tuple(...fields.map(([, type]) => fc.option(byType[type] as fc.Arbitrary<Value>)));
    await fc.assert(
      fc.asyncProperty(micros, values, async (ts, row) => {
        const cells = [ts, ...row.map((value) => value?.row ?? "-")];
        const rows = header(`ts\t${fields.map(([name]) => name).join("\t")}`, `time\t${fields.map(([, type]) => type).join("\t")}`, log);
        const pairs = fields.flatMap(([name], i) => (row[i] == null ? [] : [`${JSON.stringify(name)}:${row[i].json}`]));
        const json = `{"_path":${JSON.stringify(log)},"ts":${[ts, ...pairs].join(",")}}`;
        const [fromRow, fromJson] = await Promise.all([
          sorted(Buffer.from(`${rows}${cells.join("\t")}\n`, "latin1")),
          sorted(`${json}\n`, { format: "zeek_json" }),
        ]);
        assert.equal(fromRow.invalid[0]?.message, fromJson.invalid[0]?.message);
        assert.deepEqual(fromRow.events.map(withoutSpelling), fromJson.events.map(withoutSpelling));
      }),
      { numRuns: 150 },
    );
  });
}

test("escapes, unset and empty, and a literal of either", async () => {
  assert.deepEqual(await unmappedOf(`${small}1.5\t\\x2d\t-\n`), { s: "-" });
  assert.deepEqual(await unmappedOf(`${small}1.5\t(empty)\t0\n`), { s: "", n: 0 });
  assert.deepEqual(await unmappedOf(`${small}1.5\t\\x28empty)\t0\n`), { s: "(empty)", n: 0 });
  assert.deepEqual(await unmappedOf(`${small}1.5\ta\\x09b\\\\x07\\xc3\\xab\t0\n`), { s: "a\tb\\x07ë", n: 0 });
  assert.deepEqual(await unmappedOf(`${small}1.5\t \t18446744073709551615\n`), { s: " ", n: "18446744073709551615" });
});

test("bytes that are no UTF-8 stay visible, and the row comes back byte for byte", async () => {
  const row = Buffer.from("1.5\tA\\xffB\xe9C\\xe2\\x82\\xac\t1", "latin1");
  const items = await readAll(Buffer.concat([Buffer.from(small), row, Buffer.from("\r\n")]));
  assert.ok(items[0]?.kind === "event");
  const event = JSON.parse(items[0].line.toString()) as Event;
  assert.equal(event["unmapped"].s, "A\\xffB\\xe9C€");
  assert.deepEqual(Buffer.from(event["raw_data"] as string, "base64"), row);
});

test("sets and vectors: separators inside, unset members, none", async () => {
  const lists = header("ts\tss\tv", "time\tset[string]\tvector[count]");
  assert.deepEqual(await unmappedOf(`${lists}1.5\t\\x2c,CC,\\x2c\\x2c,(empty)\t1,-,3\n`), { ss: [",", "CC", ",,", ""], v: [1, null, 3] });
  assert.deepEqual(await unmappedOf(`${lists}1.5\t(empty)\t-\n`), { ss: [] });
});

test("other separators, of several bytes too, other words and another prefix", async () => {
  const bars =
    "#separator ||\n#set_separator||;\n#empty_field||EMPTY\n#unset_field||NOT-SET\n#fields||ts||s||t||u\n#types||time||string||set[string]||string\n";
  assert.deepEqual(await unmappedOf(`${bars}1.5||a\\x7c\\x7cb||x;y||NOT-SET\n`), { s: "a||b", t: ["x", "y"] });
  const prefixed =
    "PREFIX<>separator |\nPREFIX<>empty_field|EMPTY\nPREFIX<>unset_field|-\nPREFIX<>fields|ts|s\nPREFIX<>types|time|string\n";
  assert.deepEqual(await unmappedOf(`### remark\n${prefixed}1.5|#not a header\n`), { s: "#not a header" });
});

test("a later header holds from its line on: another log, other fields, the separator's defaults anew", async () => {
  const second = header("ts\tx", "time\tbool", "other");
  const { events, invalid } = await sorted(
    `${small}1.5\ta\t1\n#close\t2024\n${second}2.5\tT\n#fields\ty\tts\n#types\tint\ttime\n-7\t3.5\n`,
  );
  assert.deepEqual(invalid, []);
  assert.deepEqual(
    events.map((event) => [event["metadata"].log_name, event["time"], event["unmapped"]]),
    [
      ["test", 1500, { s: "a", n: 1 }],
      ["other", 2500, { x: true }],
      ["other", 3500, { y: -7 }],
    ],
  );
});

test("FMT-4 a row with another number of fields is invalid with its line; the others are read", async () => {
  const { events, invalid } = await sorted(`${small}1.5\ta\t1\n1.5\ta\n1.5\ta\t1\tmore\n\n2.5\tb\t2\n`);
  assert.equal(events.length, 2);
  assert.deepEqual(
    invalid.map(({ code, message, place }) => [code, message, place.line]),
    [
      ["SHIP_RECORD_MALFORMED", "the row has 2 fields, its header names 3", 10],
      ["SHIP_RECORD_MALFORMED", "the row has 4 fields, its header names 3", 11],
    ],
  );
  const uneven = await sorted(`${header("ts\ts", "time")}1.5\ta\n`);
  assert.equal(uneven.invalid[0]?.message, "the header names 2 fields and 1 types");
});

test("FMT-4 rows without their header are refused with the next step; what came before is kept", async () => {
  await refused(readAll("1588205198.899710\tC1\t192.0.2.1\n"), "SHIP_HEADER_MISSING", "#fields");
  await refused(readAll("a\tb\n", { format: "zeek_tsv" }), "SHIP_HEADER_MISSING", "line ");
  await refused(readAll(`${small}1.5\ta\t1\n#separator \\x09\n1.5\ta\t1\n`), "SHIP_HEADER_MISSING", "line 11");
});

test("a value that is not what its type says stays the text that it is; a row without time is invalid", async () => {
  assert.deepEqual(await unmappedOf(`${small}1.5\ta\tmany\n`), { s: "a", n: "many" });
  const { invalid } = await sorted(`${small}XXXXXXXXXX.XXXXXX\ta\t1\n-\ta\t1\n`);
  assert.deepEqual(
    invalid.map(({ code }) => code),
    ["SHIP_TIME_MISSING", "SHIP_TIME_MISSING"],
  );
});

test("whatever bytes stand below a header, each line is an event that the gateway takes, or has a reason", async () => {
  const cell = fc.oneof(
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.constantFrom("1588205198.899710", "-", "(empty)", "\\x", "\\xzz", "\\", "192.0.2.1", "80", "a,,b", "1e400", "T"),
  );
  const line = fc.array(cell, { minLength: 1, maxLength: 8 }).map((cells) => cells.join("\t").replaceAll(/[\r\n]/g, ""));
  const below = header("ts\tuid\tid.orig_h\tid.orig_p\tproto\tb\tv", "time\tstring\taddr\tport\tenum\tbool\tvector[count]", "conn");
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 5 }), async (lines) => {
      const rows = lines.filter((row) => row !== "" && !row.startsWith("#"));
      const items = await readAll(Buffer.from(`${below}${rows.join("\n")}\n`, "latin1"));
      assert.equal(items.length, rows.length);
      for (const [i, item] of items.entries()) {
        if (item.kind === "invalid") assert.deepEqual(item.original, Buffer.from(rows[i] as string, "latin1"));
        else assert.equal(validateLine(item.line), null);
      }
    }),
    { numRuns: 500 },
  );
});
