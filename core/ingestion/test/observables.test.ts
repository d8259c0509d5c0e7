/** What can be pivoted on: where values stand in an event, and when two are the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  askedObservable,
  kindBits,
  listRules,
  type Observable,
  observableAt,
  observablesOf,
  type Place,
  placeOfType,
  placeRules,
  places,
} from "../protocol/lib.ts";

const found = (event: unknown): string[] => observablesOf(Buffer.from(`${JSON.stringify(event)}\n`), 0).map(words);
const words = ({ space, kinds, text }: Observable): string => `${space} ${kinds} ${text}`;
const asked = (kind: Parameters<typeof askedObservable>[0], text: string): string | null => askedObservable(kind, text)?.text ?? null;

test("DP-41 R-31 one value has one canonical text, however it is written", () => {
  const sha = "AB".repeat(32);
  assert.equal(asked("hash", sha), sha.toLowerCase());
  assert.equal(asked("ip", "::ffff:10.0.0.8"), "10.0.0.8");
  assert.equal(asked("ip", "2001:DB8:0:0:0:0:0:1%eth0"), "2001:db8::1");
  assert.equal(asked("domain", "Evil.Example."), "evil.example");
  assert.equal(asked("domain", "BÜCHER.example"), "xn--bcher-kva.example");
  assert.equal(asked("domain", "xn--BCHER-kva.example"), "xn--bcher-kva.example");
  assert.equal(asked("user", " CORP\\Ada "), "corp\\ada");
  assert.equal(asked("user", "Zoe\u0308"), "zo\u00eb");
  assert.deepEqual(askedObservable("host", "10.0.0.8"), askedObservable("ip", "10.0.0.8"), "an address that is asked for as a host");
});

test("DP-41 R-31 what is no hash, address, name or user is refused, and is nowhere found", () => {
  for (const text of ["", "abc", "g".repeat(64), "ab".repeat(31), `${"ab".repeat(32)} `]) assert.equal(asked("hash", text), null, text);
  for (const text of ["10.0.0", "010.0.0.1", "10.0.0.0/8", "example", "1::2::3"]) assert.equal(asked("ip", text), null, text);
  for (const text of ["", ".", "a b", "a\u0000b", "x".repeat(256)]) assert.equal(asked("domain", text), null, JSON.stringify(text));
  for (const text of ["", "  ", "a\u0007", "x".repeat(256)]) assert.equal(asked("user", text), null, JSON.stringify(text));
  assert.equal(asked("domain", "x".repeat(255))?.length, 255);
  assert.deepEqual(found({ device: { hostname: "x".repeat(256), ip: "no address", name: "" }, user: { name: " " } }), []);
});

test("DP-41 R-31 values are found at their places, at any depth, in lists, in evidence and in `observables`", () => {
  const { hash, ip, domain, host, user } = kindBits;
  const sha = "0f".repeat(32);
  assert.deepEqual(
    found({
      device: { hostname: "WS-ada", ip: "10.0.0.8", name: "ada's" },
      actor: {
        user: { name: "Ada", uid: "S-1-5-21-1", email_addr: "ada@corp.example" },
        process: { name: "cmd.exe", user: { name: "SYSTEM" } },
      },
      file: {
        name: "a.exe",
        hashes: [
          { algorithm_id: 3, value: sha },
          { algorithm_id: 1, value: "00".repeat(16) },
        ],
      },
      evidences: [
        { src_endpoint: { ip: "2001:db8::1" }, tls: { sni: "evil.example", ja3_hash: { algorithm_id: 1, value: "11".repeat(16) } } },
      ],
      query: { hostname: "first.example" },
      answers: [{ rdata: "192.0.2.1" }, { rdata: "cname.example." }, { rdata: "v=spf1 -all" }],
      http_request: {
        url: { url_string: "https://u:p@Evil2.example:8443/x?y=//no.example", hostname: "192.0.2.80" },
        x_forwarded_for: ["198.51.100.7", "no"],
      },
      observables: [
        { name: "a", type_id: 2, value: "203.0.113.9" },
        { value: "carol", type: "User Name", type_id: 4 },
        { type_id: 7, value: "file.txt" },
        { type_id: 8, value: "22".repeat(20) },
        { type_id: 1 },
      ],
      unmapped: { deep: [[{ src_endpoint: { hostname: "inner" } }]] },
    }),
    [
      `2 ${host | domain} ws-ada`,
      `1 ${ip} 10.0.0.8`,
      `2 ${host} ada's`,
      `3 ${user} ada`,
      `3 ${user} s-1-5-21-1`,
      `3 ${user} ada@corp.example`,
      `3 ${user} system`,
      `0 ${hash} ${sha}`,
      `0 ${hash} ${"00".repeat(16)}`,
      `1 ${ip} 2001:db8::1`,
      `2 ${domain} evil.example`,
      `0 ${hash} ${"11".repeat(16)}`,
      `2 ${domain} first.example`,
      `1 ${ip} 192.0.2.1`,
      `2 ${domain} cname.example`,
      `2 ${domain} evil2.example`,
      `1 ${ip} 192.0.2.80`,
      `1 ${ip} 198.51.100.7`,
      `1 ${ip} 203.0.113.9`,
      `3 ${user} carol`,
      `0 ${hash} ${"22".repeat(20)}`,
      `2 ${host | domain} inner`,
    ],
  );
});

/** The same by parsing: the nearest named object decides, lists do not count. */
function byParsing(value: unknown, name = "", parent = "", out: Observable[] = []): Observable[] {
  const add = (place: Place | undefined, text: unknown): void => {
    const one = place === undefined || typeof text !== "string" || text === "" ? null : observableAt(place, text);
    if (one !== null) out.push(one);
  };
  if (Array.isArray(value)) {
    for (const item of value) {
      if (typeof item === "string") add(listRules[name], item);
      else byParsing(item, name, "", out);
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [field, inner] of Object.entries(value)) byParsing(inner, field, name, out);
    const { type_id: type, value: text } = value as { type_id?: unknown; value?: unknown };
    if (name === "observables" && typeof type === "number") add(placeOfType.get(type), text);
  } else add(placeRules.find((rule) => rule.field === name && (rule.in === undefined || rule.in.includes(parent)))?.place, value);
  return out;
}

const fieldNames = [
  ...new Set([
    ...placeRules.flatMap((rule) => [rule.field, ...(rule.in ?? [])]),
    "observables",
    "type_id",
    "value",
    "x_forwarded_for",
    "x",
  ]),
];
const aText = fc.oneof(
  fc.constantFrom(
    "10.0.0.8",
    "::FFFF:10.0.0.8",
    "Evil.Example.",
    "ab".repeat(16),
    "https://a.example/x",
    'q"uote',
    "tab\t",
    "ü.example",
    "\ud83d\ude00",
    "\u0000",
    "back\\slash",
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const anEvent = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    { weight: 4, arbitrary: aText },
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom(null, true, -1.5e3),
    tie("list"),
    { weight: 2, arbitrary: tie("object") },
  ),
  list: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(fc.constantFrom(...fieldNames), tie("value"), { minKeys: 2, maxKeys: 8, noNullPrototype: true, size: "max" }),
})).object as fc.Arbitrary<object>;
const sorted = (some: readonly Observable[]): string[] => some.map(words).toSorted();

test("DP-41 R-31 the walk over a line's bytes finds what parsing finds, in any spelling of the JSON", () => {
  let some = 0;
  fc.assert(
    fc.property(anEvent, fc.constantFrom(undefined, 1), fc.boolean(), (event, indent, escaped) => {
      let json = JSON.stringify(event, null, indent).replaceAll("\n", "\r\t");
      // Any character may be spelled as an escape, in names, too.
      if (escaped) json = json.replace(/[iu]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).replaceAll("nulll", "null");
      if (escaped && !isJson(json)) return;
      some += byParsing(event).length;
      assert.deepEqual(sorted(observablesOf(Buffer.from(`${json}\n`), 0)), sorted(byParsing(JSON.parse(json))));
    }),
    { numRuns: 2000 },
  );
  assert.ok(some > 1000, "events held too few values");
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("DP-41 R-31 no bytes make the walk fail, and it ends at the line", () => {
  const next = Buffer.from(`{"ip":"192.0.2.99"}\n`);
  fc.assert(
    fc.property(anEvent, fc.nat(), fc.uint8Array({ maxLength: 3 }), (event, at, noise) => {
      const line = Buffer.from(JSON.stringify(event));
      const cut = at % (line.length + 1);
      const bent = Buffer.concat([line.subarray(0, cut), Buffer.from(noise.filter((byte) => byte !== 10)), Buffer.from("\n"), next]);
      assert.ok(!observablesOf(bent, 0).some(({ text }) => text === "192.0.2.99"));
    }),
    { numRuns: 2000 },
  );
  const deep = Buffer.from(`${'{"a":'.repeat(10_000)}1\n`);
  assert.deepEqual(observablesOf(deep, 0), []);
  assert.equal(places.none, 0);
});
