/** What `backup` refuses, with which words and exits, before it touches anything. */
import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { takeBackup, type BackupSession } from "ransomeye-db";
import { hasCode, systemClock } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { backupCommands } from "../src/commands/backup.ts";
import type { OptionValues } from "../src/commands/command.ts";
import { createContext } from "../src/commands/context.ts";
import { exitOf } from "../src/errors.ts";
import { createDataDir, dataDirAt } from "../src/supervisor/data_dir.ts";
import { thisProcess } from "../src/supervisor/process_facts.ts";
import { writeRuntime } from "../src/supervisor/runtime_file.ts";

function run(path: string, dataDir: string, args: readonly string[], options: OptionValues = {}): Promise<unknown> {
  const spec = backupCommands.find((command) => command.path === `backup ${path}`);
  assert.ok(spec !== undefined);
  return spec.run(createContext({ dataDir }), args, options);
}

const refused =
  (code: string, exit: string, words: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(hasCode(error, code), String(error));
    assert.equal(exitOf(error), exit);
    assert.match(error.message, words);
    return true;
  };

test("DP-60 an external server is left to its own tools: the command says how, what else to copy, and makes nothing", async () => {
  const root = await temporaryDirectory();
  const dir = dataDirAt(join(root, "data"));
  await createDataDir(dir);
  await writeRuntime(dir, {
    ...{
      version: 1,
      phase: "ready",
      supervisor: thisProcess(),
      startedUs: 0,
      socketDir: root,
      gateway: null,
      registrySocket: "",
      children: [],
    },
    ...{ ledger: null, postgres: { embedded: false, host: "db.example", port: 5433, database: "ransomeye", pid: null, restarts: 0 } },
  });
  const words = /pg_basebackup --host=db\.example --port=5433[\s\S]*before it[\s\S]*secrets/;
  await assert.rejects(run("create", dir.root, [join(root, "backup")]), refused("CLI_BACKUP_EXTERNAL", "found", words));
  assert.ok(!(await readdir(root)).includes("backup"));
});

test("DP-65 DP-67 a restore that cannot be what is meant is refused before anything is written", async () => {
  const root = await temporaryDirectory();
  const backup = join(root, "backup");
  const madeUs = Date.UTC(2026, 10, 23, 4) * 1000;
  const cluster = join(root, "cluster");
  await mkdir(join(cluster, "global"), { recursive: true });
  await writeFile(join(cluster, "global", "pg_control"), "control");
  const session: BackupSession = {
    begin: { clusterDirectory: cluster, version: "18", systemIdentifier: "7", timeline: 1, dataChecksums: true, startLsn: "0/28" },
    finish: () => Promise.resolve({ stopLsn: "0/100", madeUs, label: "START", walFiles: [] }),
    close: () => Promise.resolve(),
  };
  await takeBackup({
    ...{ directory: backup, begin: () => Promise.resolve(session), release: "test", said: () => undefined, clock: systemClock },
    ...{ beside: () => Promise.resolve({ files: [], stillHolds: () => Promise.resolve(true) }), signal: new AbortController().signal },
  });
  const target = join(root, "new");
  const until = "2026-11-23T03:00:00Z";
  await assert.rejects(run("restore", target, [backup], { until }), refused("CLI_USAGE", "usage", /--until needs --wal/));
  await assert.rejects(
    run("restore", target, [backup], { until, wal: root }),
    refused("CLI_USAGE", "usage", /before the end of this backup, 2026-11-23T04/),
  );
  await assert.rejects(run("restore", target, [backup], { wal: join(root, "none") }), refused("CLI_FILE", "usage", /cannot be read/));
  await assert.rejects(run("restore", root, [backup]), refused("CLI_RESTORE_TARGET", "usage", /is not empty/));
  await assert.rejects(run("restore", target, [cluster]), refused("DB_BACKUP_INCOMPLETE", "found", /manifest\.json cannot be read/));
  assert.deepEqual((await readdir(root)).toSorted(), ["backup", "cluster"]);
});
