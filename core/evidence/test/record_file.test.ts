/** What is said of a file of evidence whose text was cut, shuffled, bent or made endless. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { recordsIn, verifyRecords } from "../src/record_file.ts";
import { decodeRecord, encodeRecord } from "../src/records.ts";
import { type Report, Verifier } from "../src/verifier.ts";
import { fullWorld, reportOn } from "../src/testing.ts";

test("DP-4 a file that was cut, extended or shuffled is known as such", () => {
  const records = fullWorld().file();
  const unreadable = { code: "EVIDENCE_FILE_UNREADABLE" };
  assert.throws(() => reportOn(records.slice(0, -1)), unreadable);
  assert.throws(() => reportOn([]), unreadable);
  assert.throws(() => reportOn(records.slice(1)), unreadable);
  assert.throws(() => reportOn([...records, ...records]), unreadable);
  assert.throws(() => reportOn(records.toSpliced(8, 1)), unreadable);
  for (const line of [
    "",
    "{",
    "[]",
    "null",
    '{"type":"noise"}',
    '{"type":"entry"}',
    '{"type":"evidence","format":"ransomeye-evidence/2"}',
    '{"type":"end","records":-1}',
  ])
    assert.throws(() => decodeRecord(line, "line 1"), unreadable, line);
});

test("DP-4 a file of one endless line, or one without its last line feed, is refused and not gathered", async () => {
  const unreadable = { code: "EVIDENCE_FILE_UNREADABLE" };
  let chunks = 0;
  function* endless(): Generator<Buffer> {
    for (const chunk = Buffer.alloc(1024 * 1024, "x"); ; chunks += 1) yield chunk;
  }
  await assert.rejects(verifyRecords(recordsIn(Readable.from(endless())), {}), unreadable);
  assert.ok(chunks < 100, `${chunks} MiB were read`);
  const text = fullWorld().file().map(encodeRecord).join("\n");
  await assert.rejects(verifyRecords(recordsIn(Readable.from([Buffer.from(text)])), {}), unreadable);
  // Cut anywhere into chunks it is the same file.
  const bytes = Buffer.from(`${text}\n`);
  const pieces = Array.from({ length: Math.ceil(bytes.length / 777) }, (_, i) => bytes.subarray(i * 777, (i + 1) * 777));
  assert.equal((await verifyRecords(recordsIn(Readable.from(pieces)), {})).verdict, "PASS");
});

test("DP-4 X-3 whatever value of a file is bent: it does not pass", () => {
  const world = fullWorld();
  const lines = world.file().map(encodeRecord);
  const trust = { copies: [world.statements.notes.at(-1) as string] };
  // What nobody signs: who made the file, when and of what (the report says it), and what the registry calls a producer; and `stored`, which is not asked of what is sealed.
  const unsigned = new Set(["madeUs", "release", "name", "sinceUs", "stored"]);
  // And where and when a batch came, as long as no checkpoint covers it.
  const unsealed = new Set([...unsigned, "generation", "part", "off", "receivedUs", "verdicts"]);
  fc.assert(
    fc.property(fc.nat(lines.length - 1), fc.nat(), fc.nat(), (at, pick, flip) => {
      const value = JSON.parse(lines[at] as string) as { readonly leaf?: unknown };
      const free = value.leaf === null ? unsealed : unsigned;
      const places = leavesOf(value).filter((path) => !path.some((name) => free.has(name)));
      const path = places[pick % places.length] as string[];
      bendAt(value, path, flip);
      const line = JSON.stringify(value);
      if (line === lines[at]) return;
      const verifier = new Verifier(trust);
      let report: Report | undefined;
      try {
        for (const [i, text] of lines.with(at, line).entries()) verifier.take(decodeRecord(text, `line ${i}`));
        report = verifier.finish();
      } catch (error) {
        assert.equal((error as { code?: string }).code, "EVIDENCE_FILE_UNREADABLE");
      }
      assert.notEqual(report?.verdict, "PASS", `${path.join(".")} of ${line.slice(0, 200)}`);
    }),
    { numRuns: 3000 },
  );
});

/** Paths to every string, number, boolean and null. */
function leavesOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [[...path]];
  return Object.entries(value).flatMap(([name, inner]) => leavesOf(inner, [...path, name]));
}

function bendAt(value: unknown, path: readonly string[], flip: number): void {
  let holder = value as Record<string, unknown>;
  for (const name of path.slice(0, -1)) holder = holder[name] as Record<string, unknown>;
  const last = path.at(-1) as string;
  const old = holder[last];
  if (typeof old === "number") holder[last] = flip % 2 === 0 ? old + 1 : Math.max(0, old - 1);
  else if (typeof old === "string" && old !== "") {
    const at = flip % old.length;
    holder[last] = `${old.slice(0, at)}${old[at] === "A" ? "B" : "A"}${old.slice(at + 1)}`;
  } else holder[last] = typeof old === "boolean" ? !old : "bent";
}
