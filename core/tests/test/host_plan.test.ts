/**
 * Why: a plan that nothing follows is a story; a watchdog that is told by a timer, too.
 * Enforces: DB-5, R-22, R-30: the processes of a real system have what `doctor --plan` says; systemd hears of it when it is ready, while it is well, and when it stops.
 * Forbids: systemd itself: who hears is a socket of the test's own.
 */
import assert from "node:assert/strict";
import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { access, chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { RANSOMEYE_BIN, RunningSystem } from "../src/harness/running_system.ts";

interface Plan {
  readonly total_bytes: number;
  readonly memory_bytes: number;
  readonly services: readonly { service: string; processes: number; heap_mib_max: number | null; nice: number; oom_score: number }[];
  readonly postgres_settings: Readonly<Record<string, string>>;
}

/** So that it fits the smallest machine that runs tests. */
const flags = ["--set", "gateway.sessions_max=1000", "--set", "gateway.buffer_bytes_max=16MiB"];

/** How soon the kernel ends a process that it need not. */
async function oomScore(pid: number): Promise<number> {
  return Number(await readFile(`/proc/${pid}/oom_score_adj`, "utf8"));
}

/** Whether this user may have a process ended later than others: root may, where nobody took that right from him. */
async function mayLowerScores(): Promise<boolean> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => undefined, 1000)"], { stdio: "ignore" });
  try {
    return await writeFile(`/proc/${child.pid}/oom_score_adj`, "-900").then(
      () => true,
      () => false,
    );
  } finally {
    child.kill("SIGKILL");
  }
}

test("DP-21 DB-5 R-30 what runs is what `doctor --plan` says: heaps, PostgreSQL's settings, priorities", async () => {
  // So many connections that the server has to allow more than it would by itself.
  const many = [
    ...flags,
    ...["gateway.processes=2", "gateway.append_connections=64", "engine.writers=40", "database.pool_connections_max=64"].flatMap((one) => [
      "--set",
      one,
    ]),
  ];
  await using system = await RunningSystem.start(many);
  const plan = await system.json<Plan>("doctor", "--plan", ...many, "--set", "demo.enabled=false");
  assert.ok(Number(plan.postgres_settings["max_connections"]) > 200);
  assert.ok(plan.total_bytes <= plan.memory_bytes);
  const { children, postgres } = await system.runtime();
  assert.deepEqual(
    children.map(({ name }) => name).toSorted(),
    ["engine", "forensics", "gateway-1", "gateway-2", "indexer", "keeper", "registry", "sealer"].toSorted(),
  );
  const mayLower = await mayLowerScores();
  for (const { role, name, pid } of children) {
    const line = plan.services.find(({ service }) => service === role);
    assert.ok(line !== undefined, name);
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    assert.ok(command.includes(`--max-old-space-size=${line.heap_mib_max}`), `${name}: ${command.join(" ")}`);
    assert.ok(getPriority(pid) >= line.nice, name);
    if (mayLower || line.oom_score > 0) assert.equal(await oomScore(pid), line.oom_score, name);
  }
  const postmaster = postgres?.pid ?? 0;
  if (mayLower) assert.equal(await oomScore(postmaster), -900);
  const client = await system.administrator();
  try {
    for (const name of ["max_connections", "shared_buffers", "effective_cache_size", "maintenance_work_mem", "autovacuum_max_workers"]) {
      const { rows } = await client.query<{ equal: boolean; value: string }>(
        "SELECT current_setting($1) AS value, pg_size_bytes(current_setting($1)) = pg_size_bytes($2) AS equal",
        [name, plan.postgres_settings[name]],
      );
      assert.ok(rows[0]?.equal, `${name} is ${rows[0]?.value}, the plan says ${plan.postgres_settings[name]}`);
    }
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    // The postmaster is the last to be ended; a backend is not.
    if (mayLower) assert.equal(await oomScore(rows[0]?.pid ?? 0), 0);
  } finally {
    await client.end();
  }
});

test("DP-21 a machine that does not suffice is refused by the plan, with what it needs", async () => {
  const run = spawnSync(process.execPath, [RANSOMEYE_BIN, "doctor", "--plan", "--cores", "2", "--ram", "2GiB", "--json"], {
    encoding: "utf8",
  });
  assert.equal(run.status, 1);
  const { error } = JSON.parse(run.stderr) as { error: { code: string; message: string; next: string } };
  assert.equal(error.code, "CLI_HOST_TOO_SMALL");
  assert.match(error.message, /need \d\.\d GiB of memory and it has 2\.0 GiB/);
  assert.match(error.next, /gateway\.sessions_max/);
});

test("DP-20 DP-22 the plan of the checks: two cores and 24 GiB add up, no port or socket twice", () => {
  const run = spawnSync(process.execPath, [RANSOMEYE_BIN, "doctor", "--plan", "--cores", "2", "--ram", "24GiB", "--json"], {
    encoding: "utf8",
  });
  assert.equal(run.status, 0, run.stderr);
  const plan = JSON.parse(run.stdout) as {
    memory_bytes: number;
    reserve_bytes: number;
    services: { processes: number; memory_max_bytes: number }[];
    endpoints: { address: string }[];
    conflicts: string[];
  };
  const sum = plan.services.reduce((total, one) => total + one.processes * one.memory_max_bytes, plan.reserve_bytes);
  assert.equal(sum, 24 * 1024 ** 3);
  assert.equal(new Set(plan.endpoints.map(({ address }) => address)).size, plan.endpoints.length);
  assert.deepEqual(plan.conflicts, []);
});

test("DP-21 a plan with two services on one port ends with a finding", () => {
  const args = [
    "doctor",
    "--plan",
    "--ram",
    "24GiB",
    "--set",
    "enrolment.enabled=true",
    "--set",
    "enrolment.listen=127.0.0.1:7443",
    "--json",
  ];
  const run = spawnSync(process.execPath, [RANSOMEYE_BIN, ...args], { encoding: "utf8" });
  assert.equal(run.status, 1);
  assert.equal((JSON.parse(run.stdout) as { conflicts: string[] }).conflicts.length, 1);
});

test("DP-23 a role answers when it is asked whether it is there", async () => {
  const role: ChildProcess = fork(RANSOMEYE_BIN, ["role", "keeper"], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  try {
    const answered = once(role, "message") as Promise<[{ type: string }]>;
    role.send({ type: "ping" });
    const [answer] = await answered;
    assert.deepEqual(answer, { type: "pong" });
  } finally {
    role.kill("SIGKILL");
  }
});

/** Writes down what comes to a datagram socket. It takes no descriptors: `systemd-notify` waits until the one that it sends along is closed, as systemd does it. */
const listenerProgram =
  'socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0])); open(F, ">>", $ARGV[1]); select(F); $| = 1; while (defined(recv(S, $m, 4096, 0))) { print "$m\\n" }';
const tools = ["systemd-notify", "perl"].filter(
  (tool) => spawnSync(tool, ["--version"]).error !== undefined && spawnSync(tool, ["-V"]).error !== undefined,
);
const watchdogMs = 1500;

test("DP-23 R-22 systemd hears that rows can flow, then signs of life while the supervisor's loop turns, and that it stops", {
  skip: tools.length > 0 && `not installed: ${tools.join(", ")}`,
}, async () => {
  const folder = await temporaryDirectory();
  const [socket, heardFile] = [join(folder, "notify"), join(folder, "heard")];
  // As root PostgreSQL runs as somebody else, who has to pass through.
  const runtimeDirectory = await mkdtemp(join(tmpdir(), "ransomeye-test-run-"));
  await chmod(runtimeDirectory, 0o711);
  const listener = spawn("perl", ["-MSocket", "-e", listenerProgram, socket, heardFile], { stdio: "ignore" });
  const heard = (): Promise<string> => readFile(heardFile, "utf8").catch(() => "");
  const count = async (word: string): Promise<number> => (await heard()).split(word).length - 1;
  /** A test that hangs is ended by its runner. */
  const until = async (what: () => Promise<boolean>): Promise<void> => {
    while (!(await what())) await sleep(systemClock, 50);
  };
  try {
    await until(() =>
      access(socket).then(
        () => true,
        () => false,
      ),
    );
    const environment = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(watchdogMs * 1000), RUNTIME_DIRECTORY: runtimeDirectory };
    await using system = await RunningSystem.start(flags, environment);
    const { children, socketDir } = await system.runtime();
    await until(async () => (await count("WATCHDOG=1")) >= 3);
    const first = await heard();
    assert.ok(first.startsWith("READY=1\nSTATUS=ready: producers connect to 127.0.0.1:"), first.slice(0, 100));
    // Sockets lie where systemd made room for them, and roles know nothing of it.
    assert.ok(socketDir.startsWith(`${runtimeDirectory}/`), socketDir);
    for (const { name, pid } of children) {
      const variables = (await readFile(`/proc/${pid}/environ`, "utf8")).split("\0");
      assert.deepEqual(
        variables.filter((one) => /^(NOTIFY_SOCKET|WATCHDOG_|RUNTIME_DIRECTORY)/.test(one)),
        [],
        name,
      );
    }
    {
      await using hung = await system.standStill("supervisor");
      assert.ok(hung);
      // What had been sent before it stood still arrives.
      await sleep(systemClock, watchdogMs);
      const before = await count("WATCHDOG=1");
      await sleep(systemClock, 2 * watchdogMs);
      assert.equal(await count("WATCHDOG=1"), before);
    }
    const woken = await count("WATCHDOG=1");
    await until(async () => (await count("WATCHDOG=1")) > woken);
    assert.equal(await system.stop(), 0);
    assert.equal(await count("STOPPING=1"), 1);
    assert.equal(await count("READY=1"), 1);
  } finally {
    listener.kill("SIGKILL");
    await rm(runtimeDirectory, { recursive: true, force: true });
  }
});
