// Why: a reading that is broken off must go on where it was, in any layout, without losing or repeating a record.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Item, RecordReader, type ResumePoint } from "../src/lib.ts";

const eve = (i: number): object => ({ timestamp: "2024-04-25T03:06:32.258446+0530", event_type: "stats", n: { i, text: "}{][,\n" } });
const audit = (i: number, type: string): string => `type=${type} msg=audit(1490137971.011:${i}): pid=${i}`;

const inputs: Readonly<Record<string, string>> = {
  lines: Array.from({ length: 6 }, (_, i) => JSON.stringify(eve(i))).join("\r\n"),
  "with a byte order mark": `\ufeff${JSON.stringify(eve(1))}\n\n${JSON.stringify(eve(2))}\n`,
  array: JSON.stringify([1, 2, 3].map(eve)),
  "pretty-printed array": JSON.stringify([1, 2, 3].map(eve), null, 2),
  "pretty-printed objects": [1, 2, 3].map((i) => JSON.stringify(eve(i), null, 2)).join("\n"),
  "damaged lines": `${JSON.stringify(eve(1))}\n{"x":[\n${JSON.stringify(eve(2))}\njunk\n${JSON.stringify(eve(3))}`,
  "rows under headers":
    "#separator \\x09\n#path\tconn\n#fields\tts\tuid\n#types\ttime\tstring\n1.5\tC1\n2.5\tC2\n#close\n#separator ,\n#fields,uid,ts\n#types,string,time\n\nC3,3.5",
  syslog:
    "<13>1 2026-01-01T00:00:00Z h a - - - one\n41 <13>1 2026-01-01T00:00:00Z h a - - - t\no\n<13>junk\n\n<13>1 2026-01-01T00:00:00Z h a - - - x",
  "sysmon for linux": '<Event><System><Provider Name="Linux-Sysmon"/></System></Event>\n\njunk\n<Event/>\n<Event></Event>',
  auditd: [audit(1, "SYSCALL"), audit(2, "SYSCALL"), audit(1, "PATH"), "junk", audit(2, "EOE"), audit(3, "USER_CMD"), audit(1, "EOE")].join(
    "\n",
  ),
};

function read(reader: RecordReader, bytes: Buffer, chunkBytes: number): Item[] {
  const items: Item[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    reader.push(bytes.subarray(at, at + chunkBytes));
    items.push(...(reader.takeBatch()?.items ?? []));
  }
  return items;
}

function ended(reader: RecordReader): readonly Item[] {
  reader.end();
  return reader.takeBatch()?.items ?? [];
}

for (const [name, text] of Object.entries(inputs)) {
  test(`FMT-7 from any resume point the rest of the input comes, and nothing twice: ${name}`, () => {
    const bytes = Buffer.from(text);
    const reader = new RecordReader({ name: "input" });
    const whole = [...read(reader, bytes, bytes.length), ...ended(reader)];
    assert.ok(whole.length >= 2);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: bytes.length }), fc.integer({ min: 1, max: 300 }), (stopAt, chunkBytes) => {
        const first = new RecordReader({ name: "input" });
        const before = read(first, bytes.subarray(0, stopAt), chunkBytes);
        const resume: ResumePoint | undefined = first.resume;
        if (resume === undefined) {
          assert.deepEqual(before, [], "without a format nothing has come out");
          return;
        }
        const second = new RecordReader({ name: "input", resume: JSON.parse(JSON.stringify(resume)) as ResumePoint });
        const after = [...read(second, bytes.subarray(resume.byteOffset), chunkBytes), ...ended(second)];
        assert.deepEqual([...before, ...after], whole);
      }),
      { numRuns: 300 },
    );
  });
}

test("a batch says where its reading goes on behind its items", () => {
  const reader = new RecordReader({ name: "input" });
  const line = JSON.stringify(eve(1));
  reader.push(Buffer.from(`${line}\n${line}\n{"time`));
  assert.deepEqual(reader.takeBatch()?.resume, {
    format: "suricata_eve",
    byteOffset: 2 * (line.length + 1),
    line: 3,
    record: 2,
    prelude: "lines 0",
  });
});
