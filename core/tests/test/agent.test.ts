/**
 * Why: an agent is left alone with rotating files for years; its promise must hold on the real processes.
 * Enforces: through renaming and copying rotations, two kill -9 of the agent and one of the gateway, every line of every file is one row, in order, the ledger
 * balances, and SIGTERM ends the agent in good order.
 * Forbids: a verdict from anything but the stored rows.
 */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFile, copyFile, mkdir, rename, truncate } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openReader } from "ransomeye";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { finished, RunningSystem } from "../src/harness/running_system.ts";

const ROUNDS = 60;
const LINES_A_ROUND = 25;
const EVENTS = ROUNDS * LINES_A_ROUND;
const LOGS = [
  { name: "renamed", rotate: (path: string): Promise<void> => rename(path, `${path}.1`) },
  { name: "copied", rotate: (path: string): Promise<void> => copyFile(path, `${path}.1`).then(() => truncate(path, 0)) },
];

function line(log: string, n: number): string {
  return `${JSON.stringify({
    class_uid: 1007,
    category_uid: 1,
    activity_id: 1,
    type_uid: 100701,
    severity_id: 1,
    time: 1_700_000_000_000 + n,
    metadata: { version: OCSF_VERSION, product: { name: "synthetic", vendor_name: "RansomEye" }, uid: `${log}-${n}` },
    device: { hostname: "host.example", type_id: 0 },
    actor: { user: { name: "user" } },
    process: { pid: n, name: log, cmd_line: `${log} --step ${n}` },
  })}\n`;
}

async function shift(path: string): Promise<void> {
  for (let n = 8; n >= 1; n -= 1) await rename(`${path}.${n}`, `${path}.${n + 1}`).catch(() => undefined);
}

async function storedNumbers(dataDir: string): Promise<Map<string, number[]>> {
  const pool = await openReader(dataDir);
  try {
    const { rows } = await pool.query<{ process_name: string; process_pid: number }>(
      "SELECT process_name, process_pid FROM views.events ORDER BY producer_id, epoch, seq",
    );
    const found = new Map<string, number[]>();
    for (const { process_name: name, process_pid: n } of rows) found.set(name, [...(found.get(name) ?? []), n]);
    return found;
  } finally {
    await pool.end();
  }
}

test("AG-1 AG-6 X-6 an agent that follows rotating files is killed twice and its gateway once: every line is one row, in order", async () => {
  await using system = await RunningSystem.start();
  const folder = join(await temporaryDirectory(), "logs");
  await mkdir(folder);
  const said: string[] = [];
  const start = (): ChildProcess => {
    const child = system.spawn(
      "agent",
      join(folder, "*.ndjson"),
      ...["--format", "ocsf_ndjson"],
      ...["--set", "agent.poll_ms=20", "--set", "agent.rotate_wait_ms=100"],
    );
    child.stderr?.on("data", (text: Buffer) => said.push(text.toString()));
    return child;
  };
  for (const { name } of LOGS) await appendFile(join(folder, `${name}.ndjson`), line(name, 1));
  let agent = start();
  const stored = async (): Promise<number> =>
    [...(await storedNumbers(system.dataDir)).values()].reduce((sum, list) => sum + list.length, 0);
  const until = async (what: () => Promise<boolean>): Promise<void> => {
    for (let i = 0; i < 600 && !(await what()); i += 1) await sleep(systemClock, 100);
  };
  // What was moved away before an agent has ever seen the path is none of its business.
  await until(async () => (await stored()) === LOGS.length);

  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [at, { name, rotate }] of LOGS.entries()) {
      const path = join(folder, `${name}.ndjson`);
      const from = round * LINES_A_ROUND;
      const text = Array.from({ length: LINES_A_ROUND }, (_, i) => line(name, from + i + 2)).join("");
      await appendFile(path, text.slice(0, -20));
      await sleep(systemClock, 5);
      await appendFile(path, text.slice(-20));
      if (round % 9 !== 4 + at) continue;
      await shift(path);
      await rotate(path);
    }
    await sleep(systemClock, 20);
    if (round === 22 || round === 44) {
      const ended = once(agent, "exit");
      agent.kill("SIGKILL");
      await ended;
      agent = start();
    }
    if (round === 33) await system.kill("gateway");
  }
  await until(async () => (await stored()) === LOGS.length * (EVENTS + 1));
  const expected = Array.from({ length: EVENTS + 1 }, (_, i) => i + 1);
  const numbers = await storedNumbers(system.dataDir);
  for (const { name } of LOGS) assert.deepEqual(numbers.get(name), expected, `${name}\n${said.join("").slice(-4000)}`);
  assert.ok(!said.join("").includes("follow_lost"), said.join("").slice(-4000));

  type Status = { paths: { path: string; lag_bytes: number }[]; producers: { name: string }[] };
  let status: Status | undefined;
  await until(async () => {
    status = await system.json<Status>("agent", "--status");
    return status.paths.length === LOGS.length;
  });
  assert.deepEqual(
    [status?.paths.map(({ lag_bytes: bytes }) => bytes), status?.producers.map(({ name }) => name)],
    [[0, 0], ["agent-linux"]],
  );
  const over = finished(agent);
  agent.kill("SIGTERM");
  assert.equal((await over).exitCode, 0);
  const ledger = await system.json<{ balanced: boolean; gaps: number }>("audit", "--wait-idle", "60");
  assert.deepEqual([ledger.balanced, ledger.gaps], [true, 0]);
});
