/**
 * Why: `npm run proof:flush` needs strace and the whole system; what it concludes from a trace can be shown by made ones.
 * Enforces: order is by lines, a flush covers only what was written before it began, a record of the log is found across pages, and whatever is missing is a violation.
 * Forbids: a judge that has never said no.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Cutter } from "../src/flush/cutter.ts";
import { DurableFiles, LogPages } from "../src/flush/durability.ts";
import { type Evidence, judge, promised } from "../src/flush/judge.ts";
import { type Call, readTrace } from "../src/flush/trace_file.ts";

const hex = (text: string): string => text.replaceAll(/./gs, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);

function call(name: string, file: string, begins: number, ends: number, bytes = "", offset = 0): Call {
  return { name, file, bytes: Buffer.from(bytes), offset, begins, ends };
}

async function callsIn(trace: string): Promise<Call[]> {
  const found: Call[] = [];
  for await (const one of readTrace(trace)) found.push(one);
  return found;
}

function files(...calls: readonly Call[]): DurableFiles {
  const durable = new DurableFiles();
  for (const one of calls) durable.take(one);
  return durable;
}

test("a trace gives calls with their bytes and their place; failed and unfinished ones give none", async () => {
  const directory = await mkdtemp(join(tmpdir(), "ransomeye-trace-"));
  try {
    const file = join(directory, "trace");
    const lines = [
      `7 1.000001 pwritev(18<${hex("/spool/1")}>, [{iov_base="${hex("ab")}", iov_len=2}, {iov_base="${hex("cd")}", iov_len=2}], 2, 8) = 3`,
      `8 1.000002 fdatasync(18<${hex("/spool/1")}> <unfinished ...>`,
      `7   1.000003 write(20<${hex("socket:[5]")}>, "${hex("x")}", 1) = -1 EAGAIN (Resource temporarily unavailable)`,
      `8 1.000004 <... fdatasync resumed>)     = 0`,
      `9 1.000005 <... fdatasync resumed>)     = 0`,
      `7 1.000006 write(20<${hex("socket:[5]")}>, "${hex("y")}", 1 <detached ...>`,
      `7 1.000007 +++ exited with 0 +++`,
    ];
    await writeFile(file, `${lines.join("\n")}\n`);
    assert.deepEqual(await callsIn(file), [
      call("pwritev", "/spool/1", 1, 1, "abc", 8),
      { ...call("fdatasync", "/spool/1", 2, 4), offset: Number.NaN },
    ]);
    await writeFile(file, `7 1.0 write(1<${hex("f")}>, "${hex("a")}"..., 900) = 900\n`);
    await assert.rejects(callsIn(file), /cut bytes/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a flush covers what was written before it began, in the same file", () => {
  const found = files(
    call("fdatasync", "a", 1, 4),
    call("pwritev", "a", 2, 2, "the frame"),
    call("fdatasync", "b", 5, 6),
    call("fdatasync", "a", 7, 9),
    call("fdatasync", "a", 8, 10),
  );
  assert.deepEqual(found.find(Buffer.from("frame")), { written: 2, durable: 9 });
  assert.deepEqual(found.find(Buffer.from("other")), { written: undefined, durable: undefined });
});

test("a record of the log is found across pages, writes and segments", () => {
  const pages = new LogPages();
  const page = (headBytes: number, begins: string, ends: string): Buffer => {
    const content = Buffer.alloc(8192 - headBytes, ".");
    content.write(begins);
    content.write(ends, content.length - ends.length);
    return Buffer.concat([Buffer.alloc(headBytes, "#"), content]);
  };
  const write = (segment: string, number: number, ...bytes: readonly Buffer[]): string =>
    pages.textOf({ ...call("pwrite64", `/pg_wal/${segment}`, 1, 1), bytes: Buffer.concat(bytes), offset: number * 8192 }).toString();
  const segment = "0000000100000000000000FF";
  assert.ok(write(segment, 2045, page(24, "", "across "), page(24, "pages", "across ")).includes("across pages"));
  assert.ok(write(segment, 2047, page(24, "writes", "across ")).includes("across writes"));
  assert.ok(write("000000010000000100000000", 0, page(40, "segments", "")).includes("across segments"));
});

test("a piece is as old as its first byte", () => {
  const cutter = new Cutter(1, (head) => head[0] ?? 0);
  assert.deepEqual(cutter.push(Buffer.from([2, 9, 3]), 10), [{ bytes: Buffer.from([2, 9]), at: 10 }]);
  assert.deepEqual(cutter.push(Buffer.from([8]), 11), []);
  assert.deepEqual(cutter.push(Buffer.from([7, 1]), 12), [
    { bytes: Buffer.from([3, 8, 7]), at: 10 },
    { bytes: Buffer.from([1]), at: 12 },
  ]);
});

const signature = Buffer.alloc(64, "s");
const frame = { producer: "p", epoch: 1, firstSeq: 1, lastSeq: 4, signature, payload: Buffer.from(`{"uid":"crash-1"}`), at: 10 };
const record = `${signature.toString()}${frame.payload.toString()}`;
const sound: Evidence = {
  conversation: { frames: [frame], receipts: [{ producer: "p", epoch: 1, durableSeq: 4, at: 20 }] },
  marks: [
    { settled: "spooled", token: `"crash-1"`, at: 9 },
    { settled: "receipted", token: `"crash-1"`, at: 25 },
  ],
  tokens: [`"crash-1"`],
  spool: files(call("pwritev", "spool", 5, 5, record), call("fdatasync", "spool", 6, 8)),
  log: files(call("pwrite64", "wal", 12, 12, record), call("fdatasync", "wal", 13, 19)),
};

test("P-1 R-4 R-6 each promise can be seen broken, and seen missing", () => {
  const violated = (change: Partial<Evidence>): string[] => [
    ...new Set(judge({ ...sound, ...change }).violations.map((one) => one.promised)),
  ];
  assert.deepEqual(violated({}), []);
  const spoolLate = files(call("pwritev", "spool", 5, 5, record), call("fdatasync", "spool", 6, 11));
  assert.deepEqual(violated({ spool: spoolLate }), [promised.frameLeaves, promised.spooledSettles]);
  const logLate = files(call("pwrite64", "wal", 12, 12, record), call("fdatasync", "wal", 13, 22));
  assert.deepEqual(violated({ log: logLate }), [promised.receiptLeaves]);
  const logNever = files(call("fdatasync", "wal", 11, 12), call("pwrite64", "wal", 12, 13, record));
  assert.deepEqual(violated({ log: logNever }), [promised.receiptLeaves, promised.receiptSettles]);
  assert.deepEqual(violated({ marks: sound.marks.slice(1) }), [promised.spooledSettles]);
  assert.deepEqual(violated({ conversation: { frames: [frame], receipts: [] } }), [promised.receiptLeaves]);
  assert.deepEqual(violated({ conversation: { frames: [], receipts: [] } }), [promised.spooledSettles, promised.receiptSettles]);
});
