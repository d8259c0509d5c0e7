/** Rules of keeper and storage, checkpoints of runs, times, and the reference page. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadConfig, fieldTable, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { RecordReader } from "ransomeye-shipper";
import { commentedConfig } from "../src/commands/init.ts";
import { parseTime } from "../src/commands/time.ts";
import { CLI_CODES, CliError, EXITS, exitOf } from "../src/errors.ts";
import { parseEventId } from "../src/queries/events.ts";
import { type GateStatus, shownGates } from "../src/queries/gates.ts";
import { bytesPerDay } from "../src/queries/storage.ts";
import { renderCliPage } from "../src/reference_page.ts";
import { daysToDrop, diskVerdict } from "../src/roles/keeper_rules.ts";
import { RejectsFile, rejectJson } from "../src/ship/rejects.ts";
import { encodeCheckpoint, findRun, furthest, type Run, saveRun } from "../src/ship/runs.ts";

const dayUs = 86_400_000_000;
const today = Date.UTC(2026, 10, 21) * 1000;

test("R-33 retention drops the oldest days by age, then by bytes, and never today's", () => {
  const sizes = [
    { day: "2026-11-22", bytes: 0, holds: [] },
    { day: "2026-11-21", bytes: 900, holds: [] },
    { day: "2026-11-20", bytes: 500, holds: [] },
    { day: "2026-11-19", bytes: 500, holds: [] },
    { day: "2026-10-01", bytes: 1, holds: [] },
  ];
  assert.deepEqual(daysToDrop(sizes, { bytesMax: 10_000, daysMax: 30, nowUs: today }), [{ day: "2026-10-01", reason: "age" }]);
  assert.deepEqual(
    daysToDrop(sizes, { bytesMax: 1500, daysMax: 30, nowUs: today }).map(({ day }) => day),
    ["2026-10-01", "2026-11-19"],
  );
  assert.deepEqual(
    daysToDrop(sizes, { bytesMax: 1, daysMax: 30, nowUs: today }).map(({ day }) => day),
    ["2026-10-01", "2026-11-19", "2026-11-20"],
  );
});

test("DP-32 R-33 a held day stays, stands beside the bound on bytes, and keeps no other day", () => {
  const sizes = [
    { day: "2026-11-21", bytes: 400, holds: [] },
    { day: "2026-11-20", bytes: 500, holds: [] },
    { day: "2026-11-19", bytes: 9000, holds: [1, 2] },
    { day: "2026-11-18", bytes: 500, holds: [] },
    { day: "2026-10-02", bytes: 1, holds: [2] },
    { day: "2026-10-01", bytes: 1, holds: [] },
  ];
  const days = (bytesMax: number): string[] => daysToDrop(sizes, { bytesMax, daysMax: 30, nowUs: today }).map(({ day }) => day);
  assert.deepEqual(days(1400), ["2026-10-01"]);
  assert.deepEqual(days(1000), ["2026-10-01", "2026-11-18"]);
  assert.deepEqual(days(1), ["2026-10-01", "2026-11-18", "2026-11-20"]);
});

test("R-33 the disk's floor pauses, and going on needs more than the floor", () => {
  const floor = { freeBytesMin: 100, freeRatioMin: 0.05 };
  assert.equal(diskVerdict({ totalBytes: 10_000, freeBytes: 499 }, floor, false), "pause");
  assert.equal(diskVerdict({ totalBytes: 10_000, freeBytes: 499 }, floor, true), "keep");
  assert.equal(diskVerdict({ totalBytes: 10_000, freeBytes: 520 }, floor, true), "keep");
  assert.equal(diskVerdict({ totalBytes: 10_000, freeBytes: 551 }, floor, true), "resume");
  assert.equal(diskVerdict({ totalBytes: 1000, freeBytes: 99 }, floor, false), "pause");
});

test("growth is today's, extended to a whole day, or yesterday's", () => {
  const mib = 1024 * 1024;
  assert.equal(bytesPerDay([{ day: "2026-11-21", bytes: 20 * mib }], today + dayUs / 2), 40 * mib);
  assert.equal(
    bytesPerDay(
      [
        { day: "2026-11-20", bytes: 90 * mib },
        { day: "2026-11-21", bytes: 20 * mib },
      ],
      today + dayUs / 2,
    ),
    90 * mib,
  );
  assert.equal(bytesPerDay([], today), 0);
});

test("an interrupted run is found and goes on from the furthest checkpoint that is its own", async () => {
  const folder = await temporaryDirectory();
  const run = (name: string, startedUs: number, finished: boolean): Run => ({
    version: 1,
    run: name,
    startedUs,
    inputs: ["/a"],
    format: null,
    producer: null,
    raw: true,
    rejects: null,
    identities: [],
    finished,
  });
  await saveRun(folder, run("old", 1, false));
  await saveRun(folder, run("new", 2, false));
  await saveRun(folder, run("done", 3, true));
  await writeFile(join(folder, "torn.json"), "{");
  assert.equal((await findRun(folder, undefined)).run, "new");
  assert.equal((await findRun(folder, "old")).run, "old");
  for (const name of ["done", "none"])
    await assert.rejects(findRun(folder, name), (error) => error instanceof CliError && error.exit === "not_found");
  const at = (name: string, input: number, record: number): string =>
    encodeCheckpoint({ run: name, input, record, spooled: record, invalid: 0, refused: 0, mismatched: 0, rejectsBytes: 0 });
  assert.equal(furthest("new", [undefined, "garbage", at("old", 9, 9), at("new", 1, 2), at("new", 0, 70)]).record, 2);
  assert.equal(furthest("new", []).record, 0);
});

test("the rejects file holds each record once, also after a resume", async () => {
  const path = join(await temporaryDirectory(), "rejects.ndjson");
  const reject = (line: number, original: Buffer) => ({
    file: "f",
    place: { record: line, line, byteOffset: 0 },
    code: "C",
    reason: "r",
    original,
    originalBytes: original.length,
  });
  const first = await RejectsFile.open(path, 0);
  first.add(reject(1, Buffer.from("{bad")));
  const checkpoint = await first.flush();
  first.add(reject(2, Buffer.from([0xff, 0])));
  await first.close();
  const second = await RejectsFile.open(path, checkpoint);
  second.add(reject(2, Buffer.from([0xff, 0])));
  await second.close();
  const lines = (await readFile(path, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map((line) => [line["record"], line["original"], line["original_encoding"]]),
    [
      [1, "{bad", "utf8"],
      [2, "/wA=", "base64"],
    ],
  );
  assert.equal(rejectJson({ file: "f", place: { record: 1, line: 1, byteOffset: 0 }, code: "C", reason: "r" })["original"], null);
});

test("times and ids are read strictly", () => {
  assert.equal(parseTime("15m", today), today - 900_000_000);
  assert.equal(parseTime("2026-11-21", 0), today);
  assert.equal(parseTime("2026-11-21T01:00:00+01:00", 0), today);
  for (const bad of ["yesterday", "15", "", "15y"]) assert.throws(() => parseTime(bad, today), CliError);
  assert.deepEqual(parseEventId("00000000-0000-4000-8000-00000000000A:1:2"), {
    producer: "00000000-0000-4000-8000-00000000000a",
    epoch: 1,
    seq: 2,
  });
  for (const bad of ["", "x:1:2", "00000000-0000-4000-8000-00000000000a:1", "00000000-0000-4000-8000-00000000000a:1:-2"])
    assert.equal(parseEventId(bad), undefined);
});

test("every code leaves with a documented exit code", () => {
  for (const code of Object.keys(CLI_CODES) as (keyof typeof CLI_CODES)[]) assert.ok(EXITS[new CliError(code, "x").exit] !== undefined);
  assert.equal(exitOf(new Error("x")), "defect");
  const codes = Object.values(EXITS).map(({ code }) => code);
  assert.equal(new Set(codes).size, codes.length);
});

test("the commented configuration of `init` is valid as it is and with every field uncommented", () => {
  const text = commentedConfig();
  loadConfig({ file: { path: "config.yaml", text } });
  const uncommented = text
    .split("\n")
    .map((line) => line.replace(/^( *)#([a-z_]+:)/, "$1$2"))
    .join("\n");
  loadConfig({ file: { path: "config.yaml", text: uncommented } });
  for (const path of fieldTable.keys()) if (path !== "data_dir") assert.ok(text.includes(`${path.split(".").at(-1)}:`), path);
});

test("core/docs/cli.md is made from the command table", async () => {
  const path = fileURLToPath(new URL("../../../core/docs/cli.md", import.meta.url));
  assert.equal(await readFile(path, "utf8"), renderCliPage(), "run: npm run docs");
});

test("R-24 status has a line for each gateway that should run, whatever it has said: a dead one's last word is not its successor's", () => {
  const report = (gateway: string): GateStatus => ({ gateway, state: "open", reason: "", sessions: 4, heard_us: 1 });
  const processes = [
    { name: "gateway-1", readyUs: 0 },
    { name: "gateway-2", readyUs: null },
    { name: "gateway-3", readyUs: 0 },
    { name: "gateway-4", readyUs: 15_000_000 },
  ];
  const shown = shownGates(processes, [report("gateway-1"), report("gateway-2"), report("another system's")], 20_000_000);
  assert.deepEqual(
    shown.map(({ gateway, state, sessions }) => [gateway, state, sessions]),
    [
      ["gateway-1", "open", 4],
      ["gateway-2", "starting", 0],
      ["gateway-3", "silent", 0],
      ["gateway-4", "starting", 0],
    ],
  );
});

test("AG-7 the smallest spool of an agent takes what one reading of the densest log becomes", () => {
  const spec = fieldTable.get("agent.spool_bytes_max");
  const min = spec?.type === "bytes" ? spec.min : "";
  const spoolBytesMin = Number(/^(\d+) MiB$/.exec(min)?.[1]) * 1024 * 1024;
  for (const [format, line] of [
    ["syslog", "<1>Jan  1 00:00:00 a b\n"],
    ["auditd", "type=A msg=audit(1.000:1): msg='a=1'\n"],
    ["suricata_eve", '{"event_type":"a","timestamp":"2026-01-05T10:00:00Z"}\n'],
    ["osquery", '{"name":"a","hostIdentifier":"b","unixTime":1,"columns":{},"action":"added"}\n'],
  ] as const) {
    const reader = new RecordReader({ name: format, format, clock: systemClock });
    reader.push(Buffer.from(line.repeat(Math.floor((256 * 1024) / line.length))));
    const items = reader.takeBatch()?.items ?? [];
    const bytes = items.reduce((sum, item) => sum + (item.kind === "event" ? item.line.length + 1 : 0), 0);
    assert.ok(
      items.some(({ kind }) => kind === "event"),
      format,
    );
    assert.ok(bytes <= spoolBytesMin / 2, `${format}: ${String(bytes)}`);
  }
});
