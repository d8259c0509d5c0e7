/**
 * The whole system as a stranger meets it: started by one command, fed by a second, asked by a third, and stopped, killed and started again.
 * Every process is the real one; the figures come from the commands' documented JSON.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openReader } from "ransomeye";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { givenServers, leaveServers } from "../src/harness/given_servers.ts";
import { sharedSystem } from "../src/harness/shared_system.ts";
import { type CommandResult, finished, RANSOMEYE_BIN, RunningSystem } from "../src/harness/running_system.ts";

const shared = sharedSystem();

interface Ship {
  readonly run: string;
  readonly read: number;
  readonly accepted: number;
  readonly invalid: number;
  readonly resumed: number;
  readonly interrupted: boolean;
  readonly files: readonly { readonly first_id: string | null }[];
}
interface Audit {
  readonly balanced: boolean;
  readonly idle: boolean;
  readonly accepted: number;
  readonly stored: number;
  readonly in_flight: number;
}

/** One Suricata DNS record; its name tells it from every other. */
function eveLine(n: number): string {
  return `{"timestamp": "2025-11-21T01:53:${String(n % 60).padStart(2, "0")}.010000+0530","flow_id":${n}, "event_type":"dns","src_ip":"10.1.2.3","src_port":4001,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{"type":"query","id":${n % 60_000},"rrname":"host${n}.example","rrtype":"A"}}`;
}

/** Records from `first` on, and other lines after them. */
async function eveFile(records: number, more: readonly string[] = [], first = 1): Promise<string> {
  const path = join(await temporaryDirectory(), "eve.json");
  await writeFile(path, `${[...Array.from({ length: records }, (_, i) => eveLine(first + i)), ...more].join("\n")}\n`);
  return path;
}

/** Rows and distinct records that the synthetic files became, from this record on. */
async function stored(dataDir: string, first = 1): Promise<{ rows: number; distinct: number }> {
  const pool = await openReader(dataDir);
  try {
    const { rows } = await pool.query<{ rows: number; distinct: number }>(
      "SELECT count(*) AS rows, count(DISTINCT domain) AS distinct FROM views.events WHERE domain LIKE 'host%.example' AND substring(domain FROM 5 FOR length(domain) - 12)::int >= $1",
      [first],
    );
    return rows[0] ?? { rows: 0, distinct: 0 };
  } finally {
    await pool.end();
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let left = 1200; left > 0; left -= 1) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`did not happen: ${what}`);
}

test("R-19 R-28 R-35 a Suricata file becomes rows; the ledger balances, the original comes back byte for byte, a new run stores again", async () => {
  const system = await shared();
  const file = await eveFile(2000, ["{broken", "[1]"]);
  const rejects = `${file}.rejects`;
  const shipped = await system.run("ship", file, "--wait", "stored", "--rejects", rejects, "--json");
  assert.equal(shipped.exitCode, 5, "some records were not taken");
  const summary = JSON.parse(shipped.stdout) as Ship;
  assert.deepEqual([summary.read, summary.accepted, summary.invalid], [2002, 2000, 2]);
  assert.equal(readFileSync(rejects, "utf8").trim().split("\n").length, 2);
  assert.deepEqual(await stored(system.dataDir), { rows: 2000, distinct: 2000 });

  const found = await system.json<{ id: string }[]>("events", "--text", "host1234.example");
  assert.equal(found.length, 1);
  const raw = await system.run("event", found[0]?.id ?? "", "--raw");
  assert.equal(raw.exitCode, 0);
  assert.equal(raw.stdout, eveLine(1234));
  const proof = await system.json<{ state: string; proof: { ok: boolean; checks: { ok: boolean }[] } }>("event", found[0]?.id ?? "");
  assert.ok(proof.state === "stored" && proof.proof.ok && proof.proof.checks.length === 6);

  assert.equal((await system.run("ship", file)).exitCode, 5);
  const audit = await system.json<Audit>("audit", "--wait-idle", "30");
  assert.ok(audit.balanced && audit.idle && audit.accepted === 4000 && audit.stored === 4000);
  assert.deepEqual(await stored(system.dataDir), { rows: 4000, distinct: 2000 });

  // An identity of another kind may not ship this format.
  assert.equal((await system.run("producer", "enroll", "laptop", "--kind", "windows")).exitCode, 0);
  const refused = await system.json<Ship & { refused: number }>("ship", file, "--producer", "laptop");
  assert.deepEqual([refused.read, refused.accepted, refused.refused], [2002, 0, 2000]);
  assert.equal((await system.run("doctor")).exitCode, 0);
});

test("R-35 an interrupted run goes on and stores each record once; a stream on standard input is sent as it comes", async () => {
  const system = await shared();
  const before = (await stored(system.dataDir)).rows;
  const records = 60_000;
  const first = 10_001;
  const file = await eveFile(records, [], first);
  const shipping = system.spawn("ship", file);
  await until("some rows", async () => (await stored(system.dataDir)).rows > before);
  shipping.kill("SIGKILL");
  await new Promise((resolve) => shipping.once("exit", resolve));
  const resumed = await system.json<Ship>("ship", "--resume", "--wait", "stored");
  assert.ok(resumed.read === records && resumed.invalid === 0 && !resumed.interrupted);
  assert.deepEqual(await stored(system.dataDir, first), { rows: records, distinct: records });
  assert.equal((await system.run("ship", "--resume")).exitCode, 7, "nothing is left to go on with");

  const stream = spawn(process.execPath, [RANSOMEYE_BIN, "ship", "-", "--data-dir", system.dataDir], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  stream.stdin.write(`${eveLine(first + records)}\n`);
  await until("the line of a stream that stays open", async () => (await stored(system.dataDir, first)).rows === records + 1);
  stream.stdin.end();
  await new Promise((resolve) => stream.once("exit", resolve));
});

test("R-35 an identity that was carried to another host ships from there, where no system runs", async () => {
  const system = await shared();
  const first = 1_000_001;
  const file = await eveFile(100, [], first);
  const elsewhere = await temporaryDirectory();
  const identity = join(elsewhere, "identities", "probe-7");
  assert.equal((await system.run("producer", "enroll", "probe-7", "--kind", "dpi", "--out", identity)).exitCode, 0);
  const { host, port } = (await system.runtime()).gateway;
  const ship = (...args: string[]): Promise<CommandResult> =>
    finished(
      spawn(process.execPath, [RANSOMEYE_BIN, "ship", file, "--data-dir", elsewhere, ...args], { stdio: ["ignore", "pipe", "pipe"] }),
    );
  assert.equal((await ship("--gateway", `${host}:${port}`)).exitCode, 4, "a local identity needs a system on this host");
  assert.equal((await ship("--producer", "probe-7")).exitCode, 4, "nobody knows where to");
  const shipped = await ship("--producer", "probe-7", "--gateway", `${host}:${port}`, "--wait", "stored");
  assert.equal(shipped.exitCode, 0, shipped.stderr);
  assert.deepEqual(await stored(system.dataDir, first), { rows: 100, distinct: 100 });
});

test("R-22 what is killed comes back without a hand, and a killed supervisor's system is taken over (FM-19)", async () => {
  await using system = await RunningSystem.startFirst();
  const file = await eveFile(500);
  const before = await system.runtime();
  let expected = 0;
  for (const victim of ["registry", "gateway", "engine", "postgres"] as const) {
    const pid = await system.kill(victim);
    // Who waits for an idle system waits for a database that starts again, too.
    if (victim === "postgres") assert.equal((await system.run("audit", "--wait-idle", "60")).exitCode, 0);
    await until(`${victim} is back`, async () => {
      const { children, postgres } = await system.runtime();
      const now = victim === "postgres" ? postgres?.pid : children.find(({ role }) => role === victim)?.pid;
      return (
        now !== undefined && now !== null && now !== pid && (await system.run("status", "--wait", "ready", "--timeout", "1")).exitCode === 0
      );
    });
    assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
    expected += 500;
  }
  assert.deepEqual((await system.runtime()).gateway, before.gateway, "producers find the gateway where it was");
  const children = (await system.runtime()).children.map(({ pid }) => pid);
  await system.kill("supervisor");
  await system.startAgain();
  // They leave by themselves once its pipe is closed, in their own time; until then fences keep them from doing harm.
  for (const pid of children)
    await until(`process ${pid} of the dead supervisor is gone`, () => Promise.resolve(!existsSync(`/proc/${pid}`)));
  const audit = await system.json<Audit>("audit", "--wait-idle", "30");
  assert.ok(audit.balanced && audit.stored === expected);
  assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
});

const script = ["/usr/bin/script", "/bin/script"].find((path) => existsSync(path));

test("R-22 Ctrl-C on a terminal drains in order and prints the final ledger, its echo is ignored, and the next start finds the data", {
  skip: script === undefined && "no script(1) for a real terminal",
}, async (t) => {
  const dataDir = await temporaryDirectory();
  const given = givenServers(dataDir);
  t.after(() => leaveServers(dataDir, given));
  const command = `exec '${process.execPath}' '${RANSOMEYE_BIN}' start --data-dir '${dataDir}' --listen 127.0.0.1:0 --demo-rate 200`;
  let accepted = 0;
  for (const start of [1, 2]) {
    const terminal = spawn(script ?? "script", ["-qefc", command, "/dev/null"], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...given },
    });
    let screen = "";
    terminal.stdout.on("data", (chunk: Buffer) => {
      screen += chunk.toString();
    });
    const shown = (): number =>
      Math.max(0, ...[...screen.matchAll(/ stored ([\d,]+) · /g)].map(([, count]) => Number(count?.replaceAll(",", ""))));
    await until("new rows are shown", () => Promise.resolve(shown() > accepted));
    const { children, postgres } = JSON.parse(readFileSync(join(dataDir, "runtime.json"), "utf8")) as {
      children: { pid: number }[];
      postgres: { pid: number };
    };
    terminal.stdin.write("\x03");
    // npm hands the terminal's signal on once more: the same signal, a moment later.
    setTimeout(() => terminal.stdin.write("\x03"), 300);
    const exitCode = await new Promise((resolve) => terminal.once("exit", resolve));
    assert.equal(exitCode, 0, screen.slice(-3000));
    const order = ["demo stopped", "gateway-1 stopped", "engine stopped", "final ledger", "balanced"].map((words) =>
      screen.lastIndexOf(words),
    );
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
      "fleet, gateway, engine, ledger",
    );
    assert.ok(!screen.includes("NOT BALANCED") && order.every((at) => at >= 0), screen.slice(-4000));
    for (const pid of [...children.map((child) => child.pid), postgres.pid])
      assert.ok(!existsSync(`/proc/${pid}`), `process ${pid} has left`);
    const total = Number((/accepted ([\d,]+) = stored/.exec(screen)?.[1] ?? "0").replaceAll(",", ""));
    assert.ok(total > accepted, `start ${start} goes on from ${accepted}: ${total}`);
    accepted = total;
  }
});
