/** Back-off, lock, runtime file and log files. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Clock, loadConfig, sleep, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { messageLogDefaults } from "ransomeye-pipeline";
import { CliError } from "../src/errors.ts";
import { streamBounds } from "../src/roles/log_place.ts";
import { nextBackoff, stableRunMs } from "../src/supervisor/backoff.ts";
import { Child, type ChildEnd } from "../src/supervisor/child.ts";
import { createDataDir, dataDirAt } from "../src/supervisor/data_dir.ts";
import { openGatewaySocket, splitAddress } from "../src/supervisor/gateway_address.ts";
import { acquireLock } from "../src/supervisor/lock.ts";
import { LogFile } from "../src/supervisor/log_file.ts";
import { isRunning, processStartTime, thisProcess } from "../src/supervisor/process_facts.ts";
import { readRuntime, requireRuntime, type RuntimeFile, writeRuntime } from "../src/supervisor/runtime_file.ts";
import { manualClock } from "./manual_clock.ts";

test("R-22 the pause before a restart doubles up to its bound and starts over after a run that lasted", () => {
  const bounds = { minMs: 100, maxMs: 1000 };
  const pauses: number[] = [];
  let ends = 0;
  for (let i = 0; i < 6; i += 1) {
    const next = nextBackoff(ends, 10, bounds);
    ends = next.endsInARow;
    pauses.push(next.pauseMs);
  }
  assert.deepEqual(pauses, [100, 200, 400, 800, 1000, 1000]);
  assert.deepEqual(nextBackoff(ends, stableRunMs, bounds), { endsInARow: 1, pauseMs: 100 });
});

test("a process is recognised by id and start time together", async () => {
  assert.ok(isRunning(thisProcess()));
  assert.ok(!isRunning({ pid: process.pid, startTime: "1" }));
  const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], { stdio: "ignore" });
  const name = { pid: child.pid ?? 0, startTime: processStartTime(child.pid ?? 0) ?? "" };
  assert.ok(isRunning(name));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  assert.ok(!isRunning(name));
});

test("one supervisor at a time owns a data directory, and a dead one's lock is taken over", async () => {
  const path = join(await temporaryDirectory(), "supervisor.lock");
  const release = await acquireLock(path);
  await assert.rejects(acquireLock(path), (error) => error instanceof CliError && error.code === "CLI_ALREADY_RUNNING");
  await release();
  await writeFile(path, JSON.stringify({ pid: process.pid, startTime: "long ago" }));
  const again = await acquireLock(path);
  assert.deepEqual(JSON.parse(await readFile(path, "utf8")), thisProcess());
  await again();
  await assert.rejects(stat(path));
});

test("of many that take a stale lock at once, one wins", async () => {
  const directory = await temporaryDirectory();
  for (let round = 0; round < 100; round++) {
    const path = join(directory, `supervisor.lock.${round}`);
    await writeFile(path, "not a lock");
    // A starter that was killed while it removed another's lock leaves one as well.
    if (round % 2 === 1) await writeFile(`${path}.takeover`, "not a lock either");
    // One process has one name, so in-process rivals are told apart by who succeeded.
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => acquireLock(path)));
    assert.equal(results.filter((result) => result.status === "fulfilled").length, 1, `round ${round}`);
  }
  assert.deepEqual(
    (await readdir(directory)).filter((name) => !/^supervisor\.lock\.\d+$/.test(name)),
    [],
    "only the locks are left",
  );
});

test("runtime.json is believed only while its supervisor runs", async () => {
  const dir = dataDirAt(await temporaryDirectory());
  const state: RuntimeFile = {
    version: 1,
    phase: "ready",
    supervisor: thisProcess(),
    startedUs: 1,
    socketDir: "/tmp/x",
    postgres: null,
    gateway: null,
    ledger: null,
    registrySocket: "/tmp/x/r",
    streams: loadConfig({ env: {}, flags: {} }).streams,
    children: [],
  };
  await writeRuntime(dir, state);
  assert.deepEqual(await requireRuntime(dir), state);
  assert.equal((await stat(dir.runtimeFile)).mode & 0o777, 0o600);
  await writeRuntime(dir, { ...state, supervisor: { pid: process.pid, startTime: "0" } });
  await assert.rejects(requireRuntime(dir), (error) => error instanceof CliError && error.exit === "unreachable");
  assert.equal((await readRuntime(dir))?.phase, "ready");
});

test("BUS-5 a stream's bounds are the same whether configuration names them or nobody does", () => {
  assert.deepEqual(streamBounds(loadConfig({ env: {}, flags: {} }).streams), messageLogDefaults);
});

test("the data directory and what lies in it are closed to others", async () => {
  const dir = dataDirAt(join(await temporaryDirectory(), "data"));
  await createDataDir(dir);
  for (const path of [dir.root, dir.secrets, dir.logs, dir.spool, dir.identities]) assert.equal((await stat(path)).mode & 0o777, 0o700);
});

test("R-33 a log file turns over by size and keeps the newest lines", async () => {
  const path = join(await temporaryDirectory(), "role.log");
  const log = new LogFile(path, 100);
  for (let i = 0; i < 40; i += 1) log.line(`line ${i}`);
  log.close();
  assert.ok((await stat(path)).size <= 100 && (await stat(`${path}.1`)).size <= 100);
  assert.ok((await readFile(path, "utf8")).endsWith("line 39\n"));
});

test("port 0 becomes one port for a data directory as long as it is free; a taken port has a name", async () => {
  const portFile = join(await temporaryDirectory(), "gateway.port");
  const portOf = async (listen: string): Promise<number> => {
    const socket = await openGatewaySocket(listen, portFile);
    socket.handle.close();
    return socket.port;
  };
  const port = await portOf("127.0.0.1:0");
  assert.ok(port > 0);
  assert.equal(await portOf("127.0.0.1:0"), port);
  assert.deepEqual(splitAddress("[::1]:7443"), { host: "::1", port: 7443 });
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await assert.rejects(portOf(`127.0.0.1:${port}`), (error) => error instanceof CliError && error.code === "CLI_PORT_BUSY");
  assert.notEqual(await portOf("127.0.0.1:0"), port);
  server.close();
});

test("a log that cannot be turned over goes on in its file, and never in a stranger's", async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, "role.log");
  await mkdir(`${path}.1`);
  await writeFile(join(`${path}.1`, "in_the_way"), "");
  const log = new LogFile(path, 100);
  log.line("x".repeat(90));
  log.line("y".repeat(90));
  // Had the log let go of its file, this one would have its number.
  const other = new LogFile(join(directory, "other.log"));
  log.line("z".repeat(90));
  assert.match(await readFile(path, "utf8"), /^x+\ny+\nz+\n$/);
  assert.equal(await readFile(join(directory, "other.log"), "utf8"), "");
  log.close();
  other.close();
});

test("R-22 a process that cannot be started is tried again like one that ended", async (t) => {
  const directory = await temporaryDirectory();
  const real = process.execPath;
  t.after(() => {
    process.execPath = real;
  });
  process.execPath = join(directory, "no_such_program");
  const ends: ChildEnd[] = [];
  const child = await new Promise<Child>((resolve) => {
    const one: Child = childOf(directory, systemClock, (end) => {
      ends.push(end);
      if (ends.length === 3) resolve(one);
    });
    one.start();
  });
  assert.ok(await child.drain(1000), "nothing is waited for that never was");
  assert.match(ends[0]?.how ?? "", /^not started: .*ENOENT/);
});

test("DP-23 R-22 a role that is ready and says nothing more is not well after a minute; one that answers is", async (t) => {
  const directory = await temporaryDirectory();
  const real = process.execPath;
  t.after(() => {
    process.execPath = real;
  });
  for (const answers of [false, true]) {
    const program = join(directory, `answers_${answers}`);
    const answer = answers ? `process.on("message", (m) => m.type === "ping" && process.send({ type: "pong" }));` : "";
    await writeFile(
      program,
      `#!${real}\nprocess.send({ type: "ready" });\n${answer}\nsetInterval(() => undefined, 1000);\nprocess.on("disconnect", () => process.exit());\n`,
    );
    await chmod(program, 0o755);
    process.execPath = program;
    const clock = manualClock();
    const child = childOf(directory, clock, () => undefined);
    try {
      assert.equal(child.isWell(), false);
      child.start();
      await child.ready();
      assert.equal(child.isWell(), true);
      clock.advance(60_000);
      assert.equal(child.isWell(), true);
      clock.advance(1);
      // An answer takes a moment; a test that waits for one in vain is ended by its runner.
      if (!answers) {
        assert.equal(child.isWell(), false);
        continue;
      }
      while (!child.isWell()) {
        await sleep(systemClock, 10);
        clock.advance(60_001);
      }
    } finally {
      await child.destroy();
    }
  }
});

function childOf(directory: string, clock: Clock, onCrash: (end: ChildEnd) => void): Child {
  return new Child({
    begin: {
      ...{ type: "begin", role: "keeper", name: "keeper", config: loadConfig({ env: {}, flags: {} }), dataDir: directory },
      ...{
        socketDir: directory,
        registrySocket: join(directory, "r.sock"),
        embedded: true,
        afterLoss: false,
        gateway: { host: "127.0.0.1", port: 0 },
      },
    },
    logs: directory,
    clock,
    backoff: { minMs: 1, maxMs: 1 },
    onChange: () => undefined,
    onCrash,
    onLine: () => undefined,
    heapMibMax: 128,
    onSpawn: () => undefined,
  });
}
