/** A backup of an external server by its own tools, as the documents say, and what we make of it. Where Debian's server is not installed this file has nothing to say. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, chown, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import type { Connection } from "../src/connection.ts";
import { assertDurable } from "../src/durability.ts";
import { runTool } from "../src/embedded/processes.ts";
import { chooseRunAs } from "../src/embedded/run_as.ts";
import { openClient } from "../src/pool.ts";
import { prepareDatabase } from "../src/prepare.ts";

const versions = await readdir("/usr/lib/postgresql").catch(() => []);
const programs = versions.map((version) => `/usr/lib/postgresql/${version}/bin`).find((path) => existsSync(join(path, "pg_basebackup")));
const password = systemRandom.bytes(24).toString("hex");

test("DP-61 a base backup of an external server, made as the documents say, is prepared and goes on", {
  skip: programs === undefined,
}, async () => {
  assert.ok(programs !== undefined);
  const directory = await mkdtemp(join(tmpdir(), "re-external-"));
  const runAs = await chooseRunAs(undefined);
  if (runAs.changed) await chown(directory, runAs.uid, runAs.gid);
  await chmod(directory, 0o700);
  const servers: ChildProcess[] = [];
  after(async () => {
    for (const server of servers) {
      if (server.exitCode === null && server.kill("SIGQUIT")) await once(server, "exit");
    }
    await rm(directory, { recursive: true, force: true, maxRetries: 20 });
  });
  const passwordFile = join(directory, "password");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (runAs.changed) await chown(passwordFile, runAs.uid, runAs.gid);
  const tool = async (name: string, ...args: string[]): Promise<void> => {
    const done = await runTool(join(programs, name), args, { runAs, environment: { PGPASSWORD: password } });
    assert.equal(done.code, 0, done.output);
  };
  const start = async (name: string, port: number): Promise<Connection> => {
    const settings = [`port=${port}`, "listen_addresses=", `unix_socket_directories=${directory}`];
    const server = spawn(join(programs, "postgres"), ["-D", join(directory, name), ...settings.flatMap((setting) => ["-c", setting])], {
      stdio: "ignore",
      ...(runAs.changed ? { uid: runAs.uid, gid: runAs.gid } : {}),
    });
    servers.push(server);
    const connection = { host: directory, port, database: "postgres", user: "postgres", password };
    for (;;) {
      const client = await openClient(connection, "test").catch(() => undefined);
      await client?.end();
      if (client !== undefined) return { ...connection, database: "ransomeye" };
      assert.equal(server.exitCode, null);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const prepare = (connection: Connection): Promise<unknown> =>
    prepareDatabase({
      ...{
        connection,
        secretsFile: join(directory, "secrets.json"),
        telemetry: recordingTelemetry(),
        clock: systemClock,
        random: systemRandom,
      },
    });
  await tool(
    "initdb",
    `--pgdata=${join(directory, "a")}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--data-checksums",
    "--no-sync",
  );
  const original = await start("a", 5432);
  await prepare(original);
  const client = await openClient(original, "test");
  await client.query("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
  await tool(
    "pg_basebackup",
    `--host=${directory}`,
    "--port=5432",
    "--username=postgres",
    `--pgdata=${join(directory, "b")}`,
    "--wal-method=stream",
    "--checkpoint=fast",
    "--no-sync",
  );
  await client.query("INSERT INTO kept VALUES (1001)");
  await client.end();

  const copy = await start("b", 5433);
  await prepare(copy);
  const again = await openClient(copy, "test");
  await assertDurable(again);
  const { rows } = await again.query<{ n: number; tables: number }>(
    "SELECT (SELECT count(*)::int FROM kept) AS n, (SELECT count(*)::int FROM pg_tables WHERE schemaname = 'bus') AS tables",
  );
  assert.equal(rows[0]?.n, 1000);
  assert.ok((rows[0]?.tables ?? 0) > 0);
  await again.end();
});
