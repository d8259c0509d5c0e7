/** The embedded server's life: made, started, killed, recovered, taken over, refused with a reason. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { pbkdf2 } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { hasCode, type RecordingTelemetry, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { type EmbeddedOptions, type EmbeddedServer, startEmbedded } from "../src/embedded/embedded.ts";
import { makeRuntimeDirectory } from "../src/embedded/places.ts";
import { processesIn, processFacts } from "../src/embedded/processes.ts";
import { serverSettings } from "../src/embedded/settings.ts";
import type { DbCode } from "../src/errors.ts";
import { openClient } from "../src/pool.ts";

const isRoot = process.geteuid?.() === 0;
const settings = { shared_buffers: "16MB", max_connections: "20", min_wal_size: "32MB" };

/** Signals every server process of a data directory. One that ends meanwhile needs none. */
async function killAll(dataDirectory: string, signal: NodeJS.Signals): Promise<void> {
  for (const { pid } of await processesIn(dataDirectory)) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** A fresh data directory with its options; removed in the end, servers in it stopped. */
async function place(): Promise<{
  options: EmbeddedOptions;
  telemetry: RecordingTelemetry;
  directory: string;
  readonly start: (more?: Partial<EmbeddedOptions>) => Promise<EmbeddedServer>;
}> {
  const directory = await mkdtemp(join(tmpdir(), "re-emb-"));
  await chmod(directory, 0o711);
  const telemetry = recordingTelemetry();
  const options: EmbeddedOptions = {
    dataDir: join(directory, "d"),
    runtimeDir: join(directory, "r"),
    syncNewCluster: false,
    settings,
    telemetry,
    clock: systemClock,
    random: systemRandom,
  };
  const servers: EmbeddedServer[] = [];
  after(async () => {
    for (const server of servers) await server.stop("immediate");
    await killAll(join(options.dataDir, "postgres"), "SIGQUIT");
    await rm(directory, { recursive: true, force: true, maxRetries: 20 });
  });
  return {
    options,
    telemetry,
    directory,
    async start(more = {}) {
      const server = await startEmbedded({ ...options, ...more });
      servers.push(server);
      return server;
    },
  };
}

const refusedWith =
  (code: DbCode) =>
  (error: unknown): boolean => {
    assert.ok(hasCode(error, code), `${code} expected, got ${String((error as Error).stack)}`);
    assert.ok(error.next.length > 10);
    return true;
  };

async function ask(server: EmbeddedServer, sql: string): Promise<Record<string, unknown>> {
  const client = await openClient(server.connection, "test");
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows[0] ?? {};
  } finally {
    await client.end();
  }
}

test("R-23 a new cluster: unprivileged user, unix socket alone, checksums, durable, UTC, passwords private", async () => {
  const { start, options } = await place();
  const server = await start();
  const facts = await processFacts(server.pid);
  assert.notEqual(facts?.uid, 0);
  if (!isRoot) assert.equal(facts?.uid, process.geteuid?.());
  assert.deepEqual(
    await ask(
      server,
      `SELECT current_setting('listen_addresses') AS listen, current_setting('data_checksums') AS checksums, current_setting('fsync') AS fsync,
      current_setting('full_page_writes') AS pages, current_setting('synchronous_commit') AS sync, current_setting('TimeZone') AS zone, current_setting('server_encoding') AS encoding,
      (SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = current_database()) AS locale, current_database() AS database`,
    ),
    {
      listen: "",
      checksums: "on",
      fsync: "on",
      pages: "on",
      sync: "on",
      zone: "UTC",
      encoding: "UTF8",
      locale: "b C.UTF-8",
      database: "ransomeye",
    },
  );
  const secrets = await stat(join(options.dataDir, "secrets", "database.json"));
  assert.equal(secrets.mode & 0o777, 0o600);
  assert.equal((await stat(server.socketDirectory)).mode & 0o777, 0o700);
  const password = server.connection.password;
  assert.ok(password.length >= 43);
  assert.ok(!(facts?.argv ?? []).join(" ").includes(password), "no password in argv");
  assert.ok(!(await readFile(server.logFile, "utf8")).includes(password), "no password in the log");
  await assert.rejects(openClient({ ...server.connection, password: "wrong" }, "test"), "a socket alone opens nothing");
  // A session of its own: a terminal's Ctrl-C reaches a process group.
  const statText = await readFile(`/proc/${server.pid}/stat`, "utf8");
  assert.equal(Number(statText.slice(statText.lastIndexOf(")") + 2).split(" ")[3]), server.pid, "it leads its own session");
  await server.stop("fast");
  assert.deepEqual(await server.exited, { code: 0, signal: null, asked: true });
});

test("P-1: what was committed is there after kill -9 of the postmaster and of everything, and the next start needs no hand", async () => {
  const { start, options, telemetry } = await place();
  let server = await start();
  await ask(server, "CREATE TABLE kept (n int)");
  for (let round = 1; round <= 2; round++) {
    await ask(server, `INSERT INTO kept SELECT generate_series(1, 1000)`);
    const client = await openClient(server.connection, "busy");
    const busy = client.query("SELECT pg_sleep(30)").catch((error: unknown) => error);
    process.kill(server.pid, "SIGKILL");
    if (round === 2) await killAll(server.dataDirectory, "SIGKILL");
    assert.deepEqual(await server.exited, { code: null, signal: "SIGKILL", asked: false });
    server = await start();
    assert.ok((await busy) instanceof Error);
    assert.deepEqual(await ask(server, "SELECT count(*) AS n FROM kept"), { n: round * 1000 });
  }
  assert.ok(telemetry.events.some((event) => event.name === "db_server_exited"));
  assert.equal(server.dataDirectory, join(options.dataDir, "postgres"));
});

test("R-22 a backend that outlives its killed postmaster is waited for", async () => {
  const { start, telemetry } = await place();
  const server = await start();
  await ask(server, "CREATE TABLE kept (n int)");
  const client = await openClient(server.connection, "busy");
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const busy = client.query("SELECT 1").catch(() => {});
  await busy;
  const pid = rows[0]?.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  const again = start();
  while (!telemetry.events.some((event) => event.name === "db_server_waits_for_remains"))
    await new Promise((resolve) => setTimeout(resolve, 20));
  process.kill(pid, "SIGCONT");
  assert.deepEqual(await ask(await again, "SELECT count(*) AS n FROM kept"), { n: 0 });
  await client.end().catch(() => {});
});

/** A process that starts a server as a supervisor does, and says when it is there. */
async function otherSupervisor(dataDir: string, runtimeDir: string): Promise<{ child: ChildProcess; pid: number }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./embedded_supervisor.js", import.meta.url)), dataDir, runtimeDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = await new Promise<number>((resolve, reject) => {
    child.stdout?.once("data", (data: Buffer) => resolve(Number(data.toString())));
    child.once("exit", (code) => reject(new Error(`the other supervisor ended with ${code}`)));
  });
  return { child, pid };
}

test("R-22 a postmaster whose supervisor was killed is stopped cleanly and taken over; one that is looked after is left alone", async () => {
  const { start, options, telemetry } = await place();
  const { child, pid } = await otherSupervisor(options.dataDir, options.runtimeDir);
  await assert.rejects(start(), refusedWith("DB_DATA_DIR_IN_USE"));
  assert.ok(await processFacts(pid), "it was left alone");
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  assert.ok(await processFacts(pid), "it outlives its supervisor");
  const server = await start();
  assert.notEqual(server.pid, pid);
  assert.equal(await processFacts(pid), undefined);
  assert.ok(telemetry.events.some((event) => event.name === "db_server_taken_over" && event.fields.pid === pid));
  assert.match(await readFile(server.logFile, "utf8"), /database system is shut down/, "it was stopped cleanly");
  await assert.rejects(start(), refusedWith("DB_DATA_DIR_IN_USE"), "nor does one supervisor start it twice");
});

test("a postmaster that somebody else started on our directory is left alone", async () => {
  const { start } = await place();
  const server = await start();
  const facts = await processFacts(server.pid);
  await server.stop("fast");
  // The same program with the same arguments, without our mark.
  const [program = "", ...args] = (facts?.argv ?? []).filter(
    (argument, n, all) => !argument.startsWith("ransomeye.supervisor=") && !(all[n + 1] ?? "").startsWith("ransomeye.supervisor="),
  );
  const library =
    (await readFile(`/proc/${process.pid}/environ`, "utf8")).length > 0
      ? { LD_LIBRARY_PATH: `${join(server.socketDirectory, "..", "lib")}:${join(program, "..", "..", "lib")}` }
      : {};
  const stranger = spawn(program, args, {
    stdio: "ignore",
    env: library,
    ...(isRoot ? { uid: facts?.uid ?? 0, gid: (await stat(server.dataDirectory)).gid } : {}),
  });
  try {
    while (!(await readFile(join(server.dataDirectory, "postmaster.pid"), "utf8").catch(() => "")).includes("ready"))
      await new Promise((resolve) => setTimeout(resolve, 20));
    await assert.rejects(start(), refusedWith("DB_DATA_DIR_IN_USE"));
    assert.equal(stranger.exitCode, null);
  } finally {
    stranger.kill("SIGQUIT");
    await new Promise((resolve) => stranger.once("exit", resolve));
  }
});

test("a stale postmaster.pid that names a living stranger does not stop a start", async () => {
  const { start } = await place();
  const server = await start();
  const pidFile = await readFile(join(server.dataDirectory, "postmaster.pid"), "utf8");
  const owner = await stat(server.dataDirectory);
  await server.stop("fast");
  // As after a reboot, when the number belongs to another process: here ours.
  await writeFile(join(server.dataDirectory, "postmaster.pid"), pidFile.replace(/^\d+/, String(process.pid)), { mode: 0o600 });
  if (isRoot) await (await import("node:fs/promises")).chown(join(server.dataDirectory, "postmaster.pid"), owner.uid, owner.gid);
  await start();
});

test("another major version, a foreign or an unfinished directory are refused and left as they are", async () => {
  const { start, options } = await place();
  const server = await start();
  await server.stop("fast");
  const version = join(server.dataDirectory, "PG_VERSION");
  const owner = await stat(version);
  const put = async (path: string, text: string): Promise<void> => {
    await writeFile(path, text);
    if (isRoot) await (await import("node:fs/promises")).chown(path, owner.uid, owner.gid);
  };
  await put(version, "17\n");
  await assert.rejects(start(), refusedWith("DB_DATA_DIR_OTHER_MAJOR"));
  await put(version, "18\n");
  await rm(join(server.dataDirectory, "ransomeye.complete"));
  await assert.rejects(start(), refusedWith("DB_DATA_DIR_INCOMPLETE"));
  await put(join(server.dataDirectory, "ransomeye.complete"), "");
  await (await start()).stop("fast");

  const other = await place();
  await mkdir(join(other.options.dataDir, "postgres"), { recursive: true });
  await writeFile(join(other.options.dataDir, "postgres", "holiday.jpg"), "not a cluster");
  await assert.rejects(other.start(), refusedWith("DB_DATA_DIR_INCOMPLETE"));
  assert.equal(await readFile(join(other.options.dataDir, "postgres", "holiday.jpg"), "utf8"), "not a cluster");
  assert.ok(options.dataDir !== other.options.dataDir);
});

test("R-23 a socket path that is too long and a runtime directory of somebody else are refused", async () => {
  const { start, directory } = await place();
  await assert.rejects(start({ runtimeDir: join(directory, "r".repeat(100)) }), refusedWith("DB_SOCKET_PATH_TOO_LONG"));
  await writeFile(join(directory, "file"), "");
  await assert.rejects(start({ runtimeDir: join(directory, "file") }), refusedWith("DB_RUNTIME_DIR_UNSAFE"));
  await assert.rejects(start({ runtimeDir: "/usr/lib" }), refusedWith("DB_RUNTIME_DIR_UNSAFE"));
});

test("R-23 the runtime directory of a data directory is short, private, and the same through a link", async () => {
  const directory = await mkdtemp(join(tmpdir(), "re-emb-"));
  const deep = join(directory, "deep/".repeat(30));
  await mkdir(deep, { recursive: true });
  await symlink(deep, join(directory, "link"));
  const made = await makeRuntimeDirectory(deep);
  after(async () => {
    await rm(made, { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  });
  assert.ok(Buffer.byteLength(join(made, "pg", ".s.PGSQL.65535.lock")) < 107);
  assert.equal((await stat(made)).mode & 0o777, 0o700);
  assert.equal(await makeRuntimeDirectory(join(directory, "link")), made);
  await chmod(made, 0o770);
  await assert.rejects(makeRuntimeDirectory(deep), refusedWith("DB_RUNTIME_DIR_UNSAFE"));
});

test("neither questions nor upkeep take all cores of a small machine", () => {
  const of = (cores: number): readonly (string | undefined)[] => {
    const disk = { totalBytes: 2 ** 40, freeBytes: 2 ** 39 };
    const all = serverSettings({ machine: { memoryBytes: 2 ** 34, cores }, disk, socketDirectory: "/tmp", port: 5432, overrides: {} });
    return [all["max_parallel_workers_per_gather"], all["max_parallel_maintenance_workers"], all["autovacuum_max_workers"]];
  };
  assert.deepEqual(of(1), ["0", "0", "1"]);
  assert.deepEqual(of(2), ["0", "0", "1"]);
  assert.deepEqual(of(4), ["1", "1", "2"]);
  assert.deepEqual(of(64), ["2", "2", "3"]);
});

test("settings that the server refuses end the start with the server's own words, also where we are slow to look", async () => {
  const { start } = await place();
  const ends = (): Promise<void> =>
    assert.rejects(
      start({ settings: { ...settings, shared_buffers: "nonsense" }, startMsMax: 30_000 }),
      (error: Error) => refusedWith("DB_SERVER_START_FAILED")(error) && /shared_buffers/.test(error.message),
    );
  await ends();
  // Now what works on files waits for these, and the server has ended before its log is closed.
  let busy = true;
  const occupy = (): void => {
    if (busy) pbkdf2("", "", 20_000, 64, "sha512", occupy);
  };
  for (let thread = 0; thread < 8; thread += 1) occupy();
  try {
    await ends();
  } finally {
    busy = false;
  }
});
