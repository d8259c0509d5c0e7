// Why: what the gate calls valid decides what becomes a row. Each stated rule of validation.ts has its test here.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  checkEvent,
  classes,
  INVALID_CODES,
  invalidName,
  newestSchema,
  splitLines,
  validateLine,
  validatePayload,
} from "../protocol/lib.ts";
import { baseEvent, payloadOf, sampleEvents, type Json } from "./event_samples.ts";

const limits = { lineBytesMax: 4096, jsonDepthMax: 64, jsonKeysMax: 200, jsonStringBytesMax: 2048 };

function verdicts(lines: readonly (string | Json)[]): string[] {
  const check = validatePayload(payloadOf(lines), lines.length, newestSchema, limits);
  assert.equal(check.kind, "lines");
  return check.kind === "lines" ? check.invalid.map(({ line, code, reason }) => `${line} ${invalidName(code)} ${reason}`) : [];
}

test("every class of the subset has a valid sample, and only those classes are known", () => {
  assert.deepEqual(verdicts(sampleEvents), []);
  assert.deepEqual(new Set(sampleEvents.map((event) => event["class_uid"])), new Set(Object.keys(classes).map(Number)));
  assert.match(verdicts([baseEvent(1009, 1)])[0] ?? "", /EVENT_CLASS_UNKNOWN class_uid 1009/);
});

test("R-8 each faulty line has its own code and reason, its neighbours are untouched", () => {
  const good = sampleEvents[4] as Json;
  const lines = [good, "{", good, "[1]", "null", "", good];
  assert.deepEqual(
    verdicts(lines).map((verdict) => verdict.split(" ").slice(0, 2).join(" ")),
    ["1 EVENT_NOT_JSON", "3 EVENT_NOT_OBJECT", "4 EVENT_NOT_OBJECT", "5 EVENT_NOT_JSON"],
  );
});

test("a missing or mistyped field is named by its path", () => {
  const cases: [Json, string][] = [
    [{ time: undefined }, "EVENT_FIELD_MISSING time is required"],
    [{ time: null }, "EVENT_FIELD_MISSING time is required"],
    [{ time: "2024-01-01" }, "EVENT_FIELD_TYPE time is not an integer"],
    [{ time: 1.5 }, "EVENT_FIELD_TYPE time is not an integer"],
    [{ metadata: { version: "1.9.0" } }, "EVENT_FIELD_MISSING metadata.product is required"],
    [{ metadata: [] }, "EVENT_FIELD_TYPE metadata is not an object"],
    [{ metadata: { version: "2.0.0", product: {} } }, "EVENT_SCHEMA_VERSION metadata.version does not begin with 1."],
    [{ process: { pid: "77" } }, "EVENT_FIELD_TYPE process.pid is not an integer"],
    [{ process: { parent_process: { file: { name: "x" } } } }, "EVENT_FIELD_MISSING process.parent_process.file.type_id is required"],
    [{ process: {} }, "EVENT_FIELD_MISSING process needs one of cmd_line, cpid, name, path, pid, uid"],
    [
      { process: { pid: 1, file: { name: "x", type_id: 1, hashes: [{ algorithm_id: 3, value: "a" }, { algorithm_id: "3" }] } } },
      "EVENT_FIELD_TYPE process.file.hashes[1].algorithm_id is not an integer",
    ],
    [{ process: undefined }, "EVENT_FIELD_MISSING process is required"],
    [{ device: "ws-7" }, "EVENT_FIELD_TYPE device is not an object"],
    [{ activity_id: 70_000, type_uid: 170_700 }, "EVENT_FIELD_RANGE activity_id is outside 0 to 99"],
    [{ type_uid: 100_702 }, "EVENT_UID_MISMATCH type_uid is not class_uid * 100 + activity_id"],
    [{ category_uid: 4 }, "EVENT_UID_MISMATCH category_uid is not the category of class_uid"],
  ];
  for (const [change, expected] of cases) assert.deepEqual(verdicts([{ ...(sampleEvents[4] as Json), ...change }]), [`0 ${expected}`]);
});

test("time must lie within the years 1900 to 2200; a time in seconds is valid and old", () => {
  const at = (time: number): string[] => verdicts([baseEvent(0, 0, { time })]);
  assert.deepEqual(at(1_618_524_549), []);
  assert.deepEqual(at(Date.UTC(1969, 11, 31)), []);
  for (const time of [Date.UTC(1899, 11, 31), Date.UTC(2200, 0, 2), 2 ** 53, 1e300])
    assert.match(at(time)[0] ?? "", /EVENT_FIELD_RANGE time/);
});

test("unknown fields are kept, whatever they hold within the bounds; null counts as absent", () => {
  assert.deepEqual(verdicts([baseEvent(0, 0, { brand_new: { a: [1] }, message: null, device: null })]), []);
});

/** The same event twice, open at its end: one that the scan is sure of, one that only the parser is. */
function openEvents(): readonly string[] {
  const plain = JSON.stringify(baseEvent(0, 0)).slice(0, -1);
  const odd = plain.replace('"severity_id":1', '"severity_id":1.0');
  assert.notEqual(odd, plain);
  return [plain, odd];
}

test("IF-13 depth beyond json_depth_max is refused in known, unknown and unmapped places, and 100,000 levels cost no stack", () => {
  const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
  const base = JSON.stringify(baseEvent(0, 0)).slice(0, -1);
  const of = (text: string): string => verdicts([`${base},${text}}`])[0] ?? "valid";
  assert.equal(of(`"x":${nested(63)}`), "valid");
  assert.match(of(`"x":${nested(64)}`), /EVENT_TOO_DEEP/);
  assert.equal(of(`"unmapped":{"x":${nested(62)}}`), "valid");
  assert.match(of(`"unmapped":{"x":${nested(63)}}`), /EVENT_TOO_DEEP/);
  assert.match(of(`"observables":${nested(64)}`), /EVENT_TOO_DEEP/);
  let parent = '{"pid":1}';
  for (let i = 0; i < 70; i++) parent = `{"pid":1,"parent_process":${parent}}`;
  const deep = JSON.stringify(sampleEvents[4]).slice(0, -1);
  assert.match(verdicts([`${deep},"process":${parent}}`])[0] ?? "", /EVENT_TOO_DEEP/);
  const far = Buffer.from(`{"class_uid":0,"x":${nested(100_000)}}\n`);
  const check = validatePayload(far, 1, newestSchema, { ...limits, lineBytesMax: 1 << 20 });
  assert.equal(check.kind === "lines" && check.invalid[0]?.code, INVALID_CODES.EVENT_TOO_DEEP.number);
});

test("IF-13 keys beyond json_keys_max are refused: in one object, in many, where nothing is known, and the same one again and again", () => {
  const valuesOf: readonly ((keys: number) => string)[] = [
    (keys) => `{${Array.from({ length: keys }, (_, n) => `"k${n}":${n}`).join(",")}}`,
    (keys) => `{${Array(keys).fill('"k":0').join()}}`,
    (keys) => `[${Array(keys).fill('{"k":0}').join()}]`,
    (keys) => `[${Array(keys).fill('{"k:\\":,{":"a:b"}').join()}]`,
  ];
  for (const event of openEvents()) {
    const left = limits.jsonKeysMax - [...event.matchAll(/":/g)].length - 1;
    for (const value of valuesOf) {
      assert.deepEqual(verdicts([`${event},"x":${value(left)}}`]), []);
      assert.deepEqual(verdicts([`${event},"x":${value(left + 1)}}`]), ["0 EVENT_TOO_MANY_KEYS more than 200 keys"]);
      assert.deepEqual(verdicts([`${event},"unmapped":${value(left + 1)}}`]), ["0 EVENT_TOO_MANY_KEYS more than 200 keys"]);
    }
  }
});

test("IF-13 strings beyond json_string_bytes_max are refused: a text, a name, an unknown value, and escapes count as they are written", () => {
  const most = limits.jsonStringBytesMax;
  const [letters, escapes] = ["x".repeat(most), `${"\\u0041".repeat(340)}${"x".repeat(8)}`];
  const quotes = '\\"'.repeat(most / 2);
  const umlauts = "\u00fc".repeat(most / 2);
  for (const text of [letters, escapes, quotes, umlauts]) {
    assert.equal(Buffer.byteLength(text), most);
    for (const member of [(s: string) => `"message":"${s}"`, (s: string) => `"x":["${s}"]`, (s: string) => `"${s}":0`]) {
      for (const event of openEvents()) {
        assert.deepEqual(verdicts([`${event},${member(text)}}`]), []);
        assert.deepEqual(verdicts([`${event},${member(`${text}x`)}}`]), ["0 EVENT_STRING_TOO_LONG a string of more than 2048 bytes"]);
      }
    }
  }
});

test("IF-13 what is beyond a bound is never parsed, JSON or not", (t) => {
  const parse = t.mock.method(JSON, "parse");
  const event = JSON.stringify(baseEvent(0, 0));
  const [deep, keys, string] = ["[".repeat(65), '"k":0,'.repeat(201), `"${"x".repeat(2049)}`];
  const closed = [`"x":${deep}${"]".repeat(65)}}`, `${keys}"k":0}`, `"x":${string}"}`].map((member) => `${event.slice(0, -1)},${member}`);
  const open = [`{"x":${deep}`, `{${keys}`, `{"x":${string}`, `${" ".repeat(4096)}{}`];
  const codes = verdicts([...closed, ...open]).map((verdict) => verdict.split(" ")[1]);
  const inOrder = ["EVENT_TOO_DEEP", "EVENT_TOO_MANY_KEYS", "EVENT_STRING_TOO_LONG"];
  assert.deepEqual(codes, [...inOrder, ...inOrder, "EVENT_TOO_LONG"]);
  assert.equal(parse.mock.callCount(), 0);
  // The first bound in the line is the one that is named.
  assert.match(verdicts([`{"x":${string}",${keys}"y":${deep}`])[0] ?? "", /EVENT_STRING_TOO_LONG/);
  assert.match(verdicts([`{${keys}"y":${deep}`])[0] ?? "", /EVENT_TOO_MANY_KEYS/);
  assert.equal(parse.mock.callCount(), 0);
});

test("a string without an end and brackets without a beginning are no JSON, whatever they might have held", () => {
  for (const line of ['{"x":"', `{"x":"${"[{:".repeat(600)}`, '{"x":"\\', `${"]}".repeat(90)}${"[".repeat(90)}`])
    assert.match(verdicts([line])[0] ?? "", /EVENT_NOT_JSON/, line);
});

test("a line longer than line_bytes_max is invalid without being parsed", () => {
  assert.match(verdicts([baseEvent(0, 0, { message: "x".repeat(5000) })])[0] ?? "", /EVENT_TOO_LONG \d+ bytes, at most 4096/);
});

test("UTF-8: a broken line is invalid by itself, in any place", () => {
  const good = Buffer.from(`${JSON.stringify(baseEvent(0, 0, { message: "Zo\u00eb \u{1f600}" }))}\n`);
  const bad = Buffer.from(good);
  bad[bad.indexOf(0xc3)] = 0xff;
  const check = validatePayload(Buffer.concat([good, bad, good]), 3, newestSchema, limits);
  assert.deepEqual(check.kind === "lines" && check.invalid.map(({ line, code }) => [line, code]), [
    [1, INVALID_CODES.EVENT_NOT_UTF8.number],
  ]);
});

test("NUL, lone surrogates, big numbers, duplicate keys, __proto__ and a carriage return are accepted; a byte order mark is not", () => {
  const base = JSON.stringify(baseEvent(0, 0)).slice(0, -1);
  for (const more of [
    '"message":"a\\u0000b"',
    '"message":"\\ud800"',
    '"x":123456789012345678901234567890',
    '"x":1e999',
    '"time":1,"time":1700000000000',
    '"__proto__":{"time":"x"}',
    '"constructor":null',
  ]) {
    assert.deepEqual(verdicts([`${base},${more}}`]), [], more);
  }
  assert.deepEqual(verdicts([`${base}}\r`]), []);
  assert.deepEqual(verdicts([`\ufeff${base}}`]), ["0 EVENT_NOT_JSON begins with a byte order mark"]);
  assert.equal(({} as Json)["time"], undefined);
});

test("__proto__ cannot stand in for a required field", () => {
  const event = JSON.stringify({ ...baseEvent(0, 0), time: undefined }).slice(0, -1);
  assert.match(verdicts([`${event},"__proto__":{"time":1700000000000}}`])[0] ?? "", /EVENT_FIELD_MISSING time/);
});

test("R-8 a payload of another number of lines is one dead letter for the frame", () => {
  const line = `${JSON.stringify(baseEvent(0, 0))}\n`;
  const name = (payload: string, count: number): string => {
    const check = validatePayload(Buffer.from(payload), count, newestSchema, limits);
    return check.kind === "undecodable" ? invalidName(check.code) : check.kind;
  };
  assert.equal(name(line + line, 2), "lines");
  for (const count of [0, 1, 3, 4_294_967_295]) assert.equal(name(line + line, count), "PAYLOAD_LINE_COUNT");
  assert.equal(name(line + line.trim(), 2), "PAYLOAD_UNTERMINATED");
  assert.equal(name("", 0), "PAYLOAD_UNTERMINATED");
  assert.equal(splitLines(Buffer.from(line), 4_294_967_295).kind, "undecodable");
});

test("two lines that would fool a joined parse are judged each by itself", () => {
  const lines = ['{"a":1},{"b":2}', '{"c":', "3}", '{"d":4}', "[1", "2]", '"x', '"'];
  const codes = verdicts(lines).map((verdict) => verdict.split(" ").slice(0, 2).join(" "));
  assert.deepEqual(
    codes,
    lines.map((_, n) => `${n} ${n === 3 ? "EVENT_CLASS_UNKNOWN" : "EVENT_NOT_JSON"}`),
  );
});

test("JSON corner cases: what JSON.parse refuses is EVENT_NOT_JSON, other values are EVENT_NOT_OBJECT", () => {
  const notJson = [
    "{a:1}",
    "{'a':1}",
    '{"a":1,}',
    "[1,]",
    '{"a"}',
    "nul",
    "+1",
    "01",
    "1.",
    ".5",
    "NaN",
    "Infinity",
    '"\t"',
    '"\\x41"',
    '"\\u12"',
    "{}}",
    "{} {}",
    "//",
    "\u2028{}",
    '{"a":/**/1}',
    "\0",
    "{\u00a0}",
  ];
  const notObject = ["1", "-0", "1e5", '"x"', "true", "[]", '[{"a":1}]', " null "];
  assert.deepEqual(
    verdicts(notJson).map((v) => v.split(" ")[1]),
    notJson.map(() => "EVENT_NOT_JSON"),
  );
  assert.deepEqual(
    verdicts(notObject).map((v) => v.split(" ")[1]),
    notObject.map(() => "EVENT_NOT_OBJECT"),
  );
});

test("reasons are printable ASCII of bounded length, whatever the producer sent", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const line = Buffer.from(bytes).filter((byte) => byte !== 10);
      const fault = validateLine(Buffer.from(line), newestSchema, limits);
      assert.ok(fault !== null && fault.reason.length <= 160 && /^[\x20-\x7e]*$/.test(fault.reason));
    }),
  );
});

test("checkEvent never throws and never changes what it checks", () => {
  const known = fc.constantFrom(
    "class_uid",
    "time",
    "metadata",
    "process",
    "file",
    "evidences",
    "unmapped",
    "answers",
    "device",
    "__proto__",
  );
  const value = fc.letrec((tie) => ({
    node: fc.oneof({ depthSize: "small" }, fc.jsonValue(), fc.dictionary(known, tie("node")), fc.array(tie("node"), { maxLength: 3 })),
  })).node;
  fc.assert(
    fc.property(fc.constantFrom(...sampleEvents), fc.dictionary(known, value, { maxKeys: 3 }), (sample, change) => {
      const text = JSON.stringify({ ...sample, ...change });
      const event: unknown = JSON.parse(text);
      checkEvent(event);
      assert.equal(JSON.stringify(event), text);
    }),
  );
});

test("codes are numbered once and every one has meaning and next step", () => {
  const specs = Object.values(INVALID_CODES);
  assert.equal(new Set(specs.map((spec) => spec.number)).size, specs.length);
  for (const spec of specs) assert.ok(spec.meaning.length > 10 && spec.next.length > 10);
  assert.equal(invalidName(65_000), "CODE_65000");
});
