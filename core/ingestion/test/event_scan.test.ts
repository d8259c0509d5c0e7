// Why: the scanner saves the parser's work and must never say anything else than the parser. Whatever it is sure of is compared with what the bounds, JSON.parse,
// the checker and the normaliser make of the same line: for lines made from the schema's own table, with all that can be wrong with them, and for lines
// with broken bytes.
import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { test } from "node:test";
import { limits, type Random, seededRandom } from "ransomeye-kernel";
import {
  baseFields,
  boundsFault,
  checkEvent,
  classes,
  type ColumnText,
  deriveLine,
  deriveRow,
  type JsonBounds,
  newestSchema,
  newRowColumns,
  objects,
  parseLine,
  type RowColumns,
  schemas,
  TextBytes,
} from "../protocol/lib.ts";
import { scanEvent, scanned } from "../protocol/event_scan.ts";
import { EventValues } from "../protocol/event_values.ts";
import { scanRules } from "../protocol/scan_plan.ts";
import { baseEvent, payloadOf, sampleEvents } from "./event_samples.ts";

const receivedUs = 1_700_000_000_000_000;
const values = new EventValues();

/** Asserts that scanner and parser agree about a line within some bounds; whether the scanner was sure that it is valid. */
function agree(line: Buffer, bounds: JsonBounds = limits): boolean {
  const payload = Buffer.concat([Buffer.from("}\n"), line, Buffer.from("\n{")]);
  const end = 2 + line.length;
  const event = parseLine(payload, 2, end);
  const known = isUtf8(line);
  const sure = known && scanEvent(payload, 2, end, bounds, scanRules(newestSchema), values) === scanned.valid;
  for (const schema of schemas) {
    const said = known ? scanEvent(payload, 2, end, bounds, scanRules(schema), values) : scanned.unsure;
    if (said !== scanned.unsure) {
      assert.notEqual(event, undefined, `version ${schema.version} takes for JSON ${line.toString()}`);
      assert.equal(boundsFault(payload, 2, end, bounds), null, `version ${schema.version} finds within bounds ${line.toString()}`);
    }
    if (said === scanned.valid) assert.equal(checkEvent(event, schema), null, `version ${schema.version} is sure of ${line.toString()}`);
  }
  const derived: RowColumns<ColumnText> = newRowColumns();
  assert.equal(deriveLine(payload, 2, end, receivedUs, derived), event !== undefined);
  if (event !== undefined && known) {
    const parsed = newRowColumns();
    deriveRow(event, receivedUs, parsed);
    const texts = Object.entries(derived).map(([name, value]) => [name, value instanceof TextBytes ? value.toString() : value]);
    assert.deepEqual(Object.fromEntries(texts), parsed, line.toString());
  }
  return sure;
}

test("a valid event of every class but a finding is scanned, not parsed, and gives the same columns", () => {
  for (const event of sampleEvents)
    assert.equal(agree(payloadOf([event]).subarray(0, -1)), event["class_uid"] !== 2004, JSON.stringify(event));
});

test("scanner and parser agree about whatever can be made from the schema", () => {
  const random = seededRandom("scan");
  let sure = 0;
  const lines = 20_000;
  for (let n = 0; n < lines; n++) if (agree(Buffer.from(new Writer(random).event()))) sure++;
  // Else the comparison would be about nothing.
  assert.ok(sure > lines / 5 && sure < lines, `${sure} of ${lines} were scanned`);
});

test("IF-13 scanner and bounds agree wherever the bounds lie", () => {
  const random = seededRandom("bounds");
  let [within, beyond] = [0, 0];
  for (let n = 0; n < 20_000; n++) {
    const line = Buffer.from(new Writer(random).event());
    const bounds = {
      jsonDepthMax: 1 + (random.uint32() % 8),
      jsonKeysMax: 1 + (random.uint32() % 60),
      jsonStringBytesMax: stringBytes(random),
    };
    if (agree(line, bounds)) within++;
    else if (agree(line)) {
      beyond++;
      assert.notEqual(
        boundsFault(line, 0, line.length, bounds),
        null,
        `the scan finds beyond ${JSON.stringify(bounds)}: ${line.toString()}`,
      );
    }
  }
  assert.ok(within > 200 && beyond > 200, `${within} within their bounds, ${beyond} beyond`);
});

/** Any bound that the schema's own names keep, now and then one that the texts below just reach. */
function stringBytes(random: Random): number {
  const exact = [64, 1_400, 1_500, 1_499];
  return random.float() < 0.5 ? (exact[random.uint32() % exact.length] as number) : 32 + (random.uint32() % 2_000);
}

test("scanner and parser agree about broken bytes", () => {
  const random = seededRandom("bytes");
  const whole = sampleEvents.map((event) => payloadOf([event]).subarray(0, -1));
  const special = Buffer.from('{}[]",:\\u0/ntf-+.eE019\t\r \0\u007f\u00e9');
  let sure = 0;
  for (let n = 0; n < 20_000; n++) {
    const line = Buffer.from(whole[random.uint32() % whole.length] as Buffer);
    for (let edits = 1 + (random.uint32() % 2); edits > 0; edits--)
      line[random.uint32() % line.length] =
        random.float() < 0.8 ? (special[random.uint32() % special.length] as number) : random.uint32() & 255;
    const cut = random.float() < 0.1 ? line.subarray(0, random.uint32() % line.length) : line;
    if (!cut.includes(0x0a) && agree(cut)) sure++;
  }
  assert.ok(sure > 100, `${sure} were scanned`);
});

test("what is unusual is left to the parser: repeated names, escaped names, numbers that are no plain integers, depth", () => {
  const event = JSON.stringify(baseEvent(4001, 4, { src_endpoint: { ip: "192.0.2.1", port: 7 } }));
  const cases: readonly (readonly [string, string])[] = [
    ['"port":7', '"port":7,"port":null'],
    ['"src_endpoint"', '"src_endpoint":{"ip":"192.0.2.2"},"src_endpoint"'],
    ['"ip"', '"\\u0069p"'],
    ['"port":7', '"port":7.0'],
    ['"port":7', '"port":7e0'],
    ['"port":7', '"port":-0'],
    ['"port":7', '"port":1234567890123456'],
    ['"severity_id":1', '"severity_id":1,"severity_id":2'],
    ['"port":7', `"port":7,"x":${"[".repeat(63)}${"]".repeat(63)}`],
  ];
  assert.equal(agree(Buffer.from(event)), true);
  for (const [part, unusual] of cases) {
    assert.ok(event.includes(part));
    assert.equal(agree(Buffer.from(event.replace(part, unusual))), false, unusual);
  }
  assert.equal(agree(Buffer.from(event.replace('"port":7', `"port":7,"x":${"[".repeat(62)}${"]".repeat(62)}`))), true);
});

test("a finding's evidence is left to the parser, its bounds are not looked at twice", () => {
  const finding = payloadOf(sampleEvents.filter((event) => event["class_uid"] === 2004).slice(0, 1));
  assert.equal(scanEvent(finding, 0, finding.length - 1, limits, scanRules(newestSchema), values), scanned.bounded);
});

test("ranges and uids are the checker's, on either side", () => {
  const with_ = (change: object): string => JSON.stringify({ ...baseEvent(0, 0), ...change });
  for (const [small, value, valid] of [
    ["activity_id", -1, false],
    ["activity_id", 0, true],
    ["activity_id", 99, true],
    ["activity_id", 100, false],
    ["severity_id", -1, false],
    ["severity_id", 0, true],
    ["severity_id", 6, true],
    ["severity_id", 7, false],
    ["severity_id", 98, false],
    ["severity_id", 99, true],
    ["severity_id", 100, false],
  ] as const)
    assert.equal(
      agree(Buffer.from(with_(small === "activity_id" ? { activity_id: value, type_uid: value } : { severity_id: value }))),
      valid,
    );
  for (const version of ["", "1", "10.0", "2.0"])
    assert.equal(agree(Buffer.from(with_({ metadata: { version, product: {} } }))), false, version);
});

test("a line that no line feed ends is not scanned, and never read beyond", () => {
  const line = payloadOf([baseEvent(0, 0, { message: "a\\b" })]).subarray(0, -1);
  for (let end = 0; end <= line.length; end++)
    assert.equal(scanEvent(Buffer.from(line.subarray(0, end)), 0, end, limits, scanRules(newestSchema), values), scanned.unsure);
});

/** Writes events from the schema's table, with everything that can be wrong or odd about them, now and then. */
class Writer {
  readonly #random: Random;
  /** How often something is odd: most events are well but for one thing, some are full of it. */
  readonly #odd: number;

  constructor(random: Random) {
    this.#random = random;
    this.#odd = random.float() < 0.5 ? 0 : random.float() ** 3 * 0.2;
  }

  event(): string {
    const uids = Object.keys(classes);
    const uid = Number(this.#one(uids));
    const spec = classes[uid] as (typeof classes)[number];
    const fixed: Record<string, string> = {
      class_uid: `${uid}`,
      category_uid: `${spec.categoryUid}`,
      activity_id: "1",
      type_uid: `${uid * 100 + 1}`,
      severity_id: "1",
      time: "1700000000000",
      time_dt: this.#chance(0.7) ? '"2023-11-14T22:13:20.000000Z"' : this.#text(),
    };
    return this.#object({ ...baseFields, ...spec.fields }, [], 0, fixed);
  }

  #chance(share: number): boolean {
    return this.#random.float() < share;
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#random.uint32() % list.length] as T;
  }

  #space(): string {
    return this.#chance(this.#odd) ? this.#one([" ", "\t", "\r", "  "]) : "";
  }

  #object(
    table: Readonly<Record<string, string>>,
    anyOf: readonly string[],
    depth: number,
    fixed: Readonly<Record<string, string>> = {},
  ): string {
    const must = anyOf.length > 0 ? this.#one(anyOf) : "";
    const members: string[] = [];
    for (const [name, notation] of Object.entries(table)) {
      const wanted = notation.endsWith("!") || name === must || this.#chance(depth > 3 ? 0.02 : 0.15);
      if (wanted === this.#chance(this.#odd * 0.3)) continue;
      const set = fixed[name] ?? (name === "version" ? '"1.9.0"' : undefined);
      members.push(this.#member(name, set !== undefined && !this.#chance(this.#odd * 0.3) ? set : this.#value(notation, depth)));
      if (this.#chance(this.#odd * 0.3)) members.push(this.#member(name, this.#value(notation, depth)));
    }
    if (this.#chance(0.2)) members.push(this.#member(this.#one(["x", "__proto__", "constructor", "naïve", ""]), this.#anything(depth + 1)));
    if (this.#chance(0.3)) members.reverse();
    return `{${this.#space()}${members.join(",")}${this.#space()}}`;
  }

  #member(name: string, value: string): string {
    const key =
      this.#chance(this.#odd * 0.1) && name !== "" ? `\\u${name.charCodeAt(0).toString(16).padStart(4, "0")}${name.slice(1)}` : name;
    return `${this.#space()}"${key}"${this.#space()}:${this.#space()}${value}${this.#space()}`;
  }

  #value(notation: string, depth: number): string {
    if (this.#chance(this.#odd)) return this.#anything(depth + 1);
    const bare = notation.replace("!", "");
    if (!bare.endsWith("[]")) return this.#plainValue(bare, depth);
    const items = Array.from({ length: this.#random.uint32() % 3 }, () => this.#plainValue(bare.slice(0, -2), depth + 1));
    return `[${this.#space()}${items.join(`${this.#space()},`)}${this.#space()}]`;
  }

  #plainValue(type: string, depth: number): string {
    if (type === "string") return this.#text();
    if (type === "integer") return this.#number();
    if (type === "boolean") return this.#one(["true", "false"]);
    const spec = objects[type];
    return spec === undefined ? this.#anything(depth + 1) : this.#object(spec.fields, spec.anyOf ?? [], depth + 1);
  }

  #text(): string {
    const texts = [
      '"1.9.0"',
      '"a"',
      '"WS-7.Example.ORG."',
      '"192.0.2.7"',
      '"2001:DB8::1"',
      '"::ffff:192.0.2.4"',
      '"C:\\\\Windows\\\\x.exe /a \\"b\\""',
      '"first\\r\\nsecond"',
      '"\\u0000"',
      '"\\ud800"',
      '"\\ud83d\\ude00"',
      '"é 😀"',
      '""',
      `"${"ab".repeat(32)}"`,
      `"${"AB".repeat(32)}"`,
      `"${"é".repeat(700)}"`,
      `"${"x".repeat(1_500)}"`,
    ];
    const wrong = ['"\t"', '"\\x"', '"\\u12"', "'a'", '"'];
    return this.#chance(this.#odd * 0.2) ? this.#one(wrong) : this.#one(texts);
  }

  #number(): string {
    const usual = ["0", "1", "3", "7", "443", "65535", "1700000000000"];
    const odd = ["-1", "-0", "1.0", "1.5", "1e3", "1E+2", "65536", "9007199254740993", "123456789012345678901", "-5", "999999999999999"];
    const wrong = ["01", "+1", "1.", ".5", "1e", "0x1", "NaN", "--1"];
    return this.#chance(this.#odd) ? this.#one(this.#chance(0.3) ? wrong : odd) : this.#one(usual);
  }

  #anything(depth: number): string {
    const kind = this.#random.uint32() % (depth > 6 ? 5 : 7);
    if (kind === 0) return this.#text();
    if (kind === 1) return this.#number();
    if (kind < 5) return this.#one(["true", "false", "null", "null", '"2"']);
    const inner = Array.from({ length: this.#random.uint32() % 3 }, () => this.#anything(depth + 1));
    return kind === 5 ? `[${inner.join(",")}]` : `{${inner.map((value, n) => this.#member(`k${n}`, value)).join(",")}}`;
  }
}
