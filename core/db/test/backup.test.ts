/** Backups of the embedded server while it works, what tells a whole one from any other, and what comes back. */
import assert from "node:assert/strict";
import { appendFile, chmod, mkdir, open, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { type BackupManifest, readManifest, writeManifest } from "../src/backup/manifest.ts";
import { judgePage, pageBytes, pageChecksum } from "../src/backup/page_checksum.ts";
import { beginBackup } from "../src/backup/session.ts";
import type { BackupOptions } from "../src/backup/take_backup.ts";
import { verifyBackup } from "../src/backup/verify.ts";
import { type EmbeddedServer, startEmbedded } from "../src/embedded/embedded.ts";
import { type DbCode, DbError } from "../src/errors.ts";
import { type Client, openClient } from "../src/pool.ts";
import { backUp, place, restore, secretsOf, settings } from "./backup_place.ts";

async function count(client: Client): Promise<{ readonly rows: number; readonly last: number }> {
  const { rows } = await client.query<{ rows: number; last: number }>(
    "SELECT count(*)::int AS rows, coalesce(max(n), 0)::int AS last FROM kept",
  );
  return rows[0] as { rows: number; last: number };
}

/** Inserts numbers, each in a transaction of its own, until it is told to stop; says the last one that was committed. */
function load(client: Client): { readonly committed: () => number; readonly stop: () => Promise<void> } {
  let committed = 0;
  const ended = new AbortController();
  const run = (async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await client.query("INSERT INTO kept VALUES ($1::int, repeat(md5($1::int::text), 60))", [committed + 1]);
      committed += 1;
      if (committed % 200 === 0) await client.query("UPDATE kept SET filler = filler || 'x' WHERE n % 7 = 0");
    }
  })();
  return {
    committed: () => committed,
    stop: async () => {
      ended.abort();
      await run;
    },
  };
}

const code =
  (wanted: DbCode, words: RegExp = /./) =>
  (error: unknown): boolean => {
    assert.ok(hasCode(error, wanted) && error instanceof DbError, String((error as Error).stack));
    assert.match(error.message, words);
    return true;
  };

test("DP-60 DP-61 a backup made under load holds every commit from before its end, verifies, and recovers by itself on a timeline of its own", async () => {
  const { directory, start } = await place();
  const server = await start("a");
  const client = await openClient(server.connection, "load");
  await client.query("CREATE TABLE kept (n int PRIMARY KEY, filler text)");
  await client.query("CREATE UNLOGGED TABLE scratch AS SELECT generate_series(1, 1000) AS n");
  const { rows: unlogged } = await client.query<{ path: string }>("SELECT pg_relation_filepath('scratch') AS path");
  const { committed, stop } = load(client);
  while (committed() < 500) await new Promise((resolve) => setImmediate(resolve));
  const backup = join(directory, "backup");
  let atEnd = 0;
  const manifest = await backUp(server, backup, {
    begin: async () => {
      const session = await beginBackup(server.connection);
      return {
        ...session,
        finish: async () => {
          // Checkpoints that would recycle the log the copy needs, were it not kept.
          const other = await openClient(server.connection, "checkpoints");
          for (let i = 0; i < 4; i += 1) await other.query("SELECT pg_switch_wal()").then(() => other.query("CHECKPOINT"));
          await other.end();
          atEnd = committed();
          return session.finish();
        },
      };
    },
  });
  await stop();
  const all = committed();
  assert.deepEqual(
    (await client.query("SELECT slot_name FROM pg_replication_slots")).rows,
    [],
    "nothing is kept back for a backup that is over",
  );
  await client.end();
  const verified = await verifyBackup(backup);
  assert.deepEqual(
    [verified.files, verified.manifest.stopLsn, manifest.server.dataChecksums],
    [manifest.files.length, manifest.stopLsn, true],
  );
  assert.ok(manifest.files.filter(({ path }) => path.startsWith("cluster/pg_wal/")).length >= 4);
  assert.ok(manifest.files.some(({ path }) => path === "cluster/backup_label"));
  assert.ok(
    !manifest.files.some(({ path }) => path === `cluster/${unlogged[0]?.path}`),
    "a recovery empties it anyway, and torn pages in it would be nobody's",
  );
  for (const left of ["postmaster.pid", "postmaster.opts"]) assert.ok(!manifest.files.some(({ path }) => path === `cluster/${left}`));
  assert.equal((await stat(backup)).mode & 0o777, 0o700);
  for (const { path } of manifest.files.slice(0, 50)) assert.equal((await stat(join(backup, path))).mode & 0o777, 0o600);

  await server.stop("immediate");
  const cluster = await restore({ backup, dataDir: join(directory, "b"), secrets: secretsOf(directory, "a") });
  // On a smaller host: a server that let itself be asked while it recovers would insist on the connections of the one before.
  const restored = await start("b", { max_connections: "15" });
  const again = await openClient(restored.connection, "test");
  const { rows, last } = await count(again);
  assert.equal(rows, last, "without a hole");
  assert.ok(last >= atEnd && last <= all, `${atEnd} <= ${last} <= ${all}`);
  assert.deepEqual((await again.query("SELECT count(*)::int AS n FROM scratch")).rows, [{ n: 0 }]);
  await again.query("CHECKPOINT");
  assert.deepEqual((await again.query("SELECT timeline_id AS tli FROM pg_control_checkpoint()")).rows, [{ tli: 2 }]);
  await again.query("INSERT INTO kept VALUES ($1::int, '')", [last + 1]);
  await again.end();
  await restored.stop("fast");
  assert.ok(!(await readdir(cluster)).includes("recovery.signal"), "the next start is an ordinary one");
  // Every page, of a server that is stopped, by its own checksum; and a backup of a restored system restores again.
  const third = await start("b");
  await backUp(third, join(directory, "backup2"));
  assert.equal((await verifyBackup(join(directory, "backup2"))).manifest.server.timeline, 2);
  await third.stop("immediate");
  await restore({ backup: join(directory, "backup2"), dataDir: join(directory, "c"), secrets: secretsOf(directory, "b") });
  const fourth = await start("c");
  const client4 = await openClient(fourth.connection, "test");
  assert.deepEqual(await count(client4), { rows: last + 1, last: last + 1 });
  await client4.end();
});

/** Turns one bit of a file around. */
async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 0x10]), 0, 1, at);
  await file.close();
}

/** A small database that was backed up, and its server, stopped. */
async function backedUp(): Promise<{
  readonly directory: string;
  readonly backup: string;
  readonly table: string;
  readonly start: () => Promise<EmbeddedServer>;
}> {
  const { directory, start } = await place();
  const server = await start("a");
  const client = await openClient(server.connection, "test");
  await client.query("CREATE TABLE kept (n int PRIMARY KEY, filler text)");
  await client.query("INSERT INTO kept SELECT n, repeat('x', 500) FROM generate_series(1, 2000) n");
  const { rows } = await client.query<{ path: string }>("SELECT pg_relation_filepath('kept') AS path");
  await client.end();
  const backup = join(directory, "backup");
  await backUp(server, backup);
  await server.stop("fast");
  return { directory, backup, table: rows[0]?.path ?? "", start: () => start("a") };
}

test("DP-62 whatever is changed in a backup is found and named, also a page; nothing of it is restored as a database", async () => {
  const { directory, backup, table } = await backedUp();
  const file = join(backup, "cluster", table);
  const original = await readFile(file);
  const changes: readonly (readonly [string, () => Promise<unknown>, DbCode, RegExp])[] = [
    [
      "a bit of a page",
      () => flip(file, 5 * pageBytes + 4000),
      "DB_BACKUP_DAMAGED",
      new RegExp(`${table} is not what was written .*block 5 `),
    ],
    [
      "a file that ends early",
      () => writeFile(file, original.subarray(0, 3 * pageBytes)),
      "DB_BACKUP_DAMAGED",
      new RegExp(`${table} has ${3 * pageBytes} bytes`),
    ],
    ["a file that is longer", () => appendFile(file, "x"), "DB_BACKUP_DAMAGED", new RegExp(`${table} has ${original.length + 1} bytes`)],
    ["a file that is missing", () => rm(file), "DB_BACKUP_DAMAGED", new RegExp(`${table} is missing`)],
    ["a link", () => rm(file).then(() => symlink("/etc/hostname", file)), "DB_BACKUP_DAMAGED", new RegExp(`${table} is a link`)],
    [
      "a file too many",
      () => writeFile(join(backup, "cluster", "postgresql.conf.d"), "fsync = off"),
      "DB_BACKUP_DAMAGED",
      /conf.d does not belong/,
    ],
    [
      "another manifest",
      () =>
        readFile(join(backup, "manifest.json"), "utf8").then((text) =>
          writeFile(join(backup, "manifest.json"), text.replace(/"size": \d+/, '"size": 7')),
        ),
      "DB_BACKUP_INCOMPLETE",
      /not as it was written/,
    ],
    [
      "half a manifest",
      () => readFile(join(backup, "manifest.json")).then((bytes) => writeFile(join(backup, "manifest.json"), bytes.subarray(0, 2000))),
      "DB_BACKUP_INCOMPLETE",
      /is not whole/,
    ],
    ["no manifest", () => rm(join(backup, "manifest.json")), "DB_BACKUP_INCOMPLETE", /cannot be read/],
  ];
  const manifest = await readFile(join(backup, "manifest.json"));
  let attempt = 0;
  for (const [what, change, wanted, words] of changes) {
    await change();
    await assert.rejects(verifyBackup(backup), code(wanted, words), what);
    attempt += 1;
    const dataDir = join(directory, `r${attempt}`);
    const restoring = restore({ backup, dataDir, secrets: secretsOf(directory, "a") });
    if (what === "a file too many") {
      assert.ok(!(await readdir(await restoring)).includes("postgresql.conf.d"), "what the manifest does not name is not taken along");
    } else {
      await assert.rejects(restoring, code(wanted), what);
      const left: readonly string[] = await readdir(join(dataDir, "postgres")).catch(() => []);
      assert.ok(!left.includes("ransomeye.complete"), `${what}: no start takes it for a cluster`);
    }
    await rm(file, { force: true });
    await rm(join(backup, "cluster", "postgresql.conf.d"), { force: true });
    await writeFile(file, original, { mode: 0o600 });
    await writeFile(join(backup, "manifest.json"), manifest);
  }
  assert.equal((await verifyBackup(backup)).files, (await readManifest(backup)).files.length);
});

test("DP-62 a manifest that leads outside of the backup is refused, however well it is signed", async () => {
  const { directory } = await place();
  for (const path of ["../x", "cluster/../../x", "/etc/passwd", "cluster//x", ""]) {
    const manifest: BackupManifest = {
      ...{ release: "", madeUs: 0, startLsn: "0/0", stopLsn: "0/0", directories: [] },
      server: { version: "", systemIdentifier: "", timeline: 1, dataChecksums: true },
      files: [{ path, size: 0, sha256: "" }],
    };
    await writeManifest(directory, manifest);
    await assert.rejects(readManifest(directory), code("DB_BACKUP_INCOMPLETE", /outside/), path);
  }
});

test("DP-63 a page that the disk has changed makes no backup: file and block are named, and what was copied is gone again", async () => {
  const { directory, start, table } = await backedUp();
  await flip(join(directory, "a", "postgres", table), 7 * pageBytes + 1000);
  const server = await start();
  const again = join(directory, "again");
  await assert.rejects(backUp(server, again), code("DB_BACKUP_DAMAGED", new RegExp(`Block 7 in .*${table}`)));
  await assert.rejects(stat(again), "nothing is left of it");
});

test("DP-63 PostgreSQL's checksum is understood: any bit of a page that turns around is noticed, also its place; a page newer than the backup's begin is the log's", async () => {
  const { backup, table } = await backedUp();
  const bytes = await readFile(join(backup, "cluster", table));
  const page = Buffer.from(Buffer.allocUnsafeSlow(pageBytes));
  bytes.copy(page, 0, 3 * pageBytes, 4 * pageBytes);
  assert.equal(page.readUInt16LE(8), pageChecksum(page, 3));
  assert.equal(judgePage(page, 4, Number.MAX_SAFE_INTEGER), "damaged", "the right page in another's place");
  for (let bit = 0; bit < pageBytes * 8; bit += 61) {
    page[bit >> 3] = (page[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(judgePage(page, 3, Number.MAX_SAFE_INTEGER), "damaged", `bit ${bit}`);
    page[bit >> 3] = (page[bit >> 3] as number) ^ (1 << (bit & 7));
  }
  const lsn = page.readUInt32LE(0) * 2 ** 32 + page.readUInt32LE(4);
  page[5000] = (page[5000] as number) ^ 1;
  assert.deepEqual([judgePage(page, 3, lsn), judgePage(page, 3, lsn + 1)], ["newer", "damaged"]);
  assert.equal(judgePage(Buffer.alloc(pageBytes), 9, 0), "sound", "a page that nobody has written yet");
  assert.equal(judgePage(Buffer.alloc(pageBytes).fill(1, 8000), 9, 0), "damaged");
});

test("DP-64 X-6 a backup that ends at any step is none, and leaves nothing that a server would keep its log for", async () => {
  const { directory, start } = await place();
  const server = await start("a");
  const slots = async (): Promise<number> => {
    const client = await openClient(server.connection, "test");
    const { rows } = await client.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_replication_slots");
    await client.end();
    return rows[0]?.n ?? -1;
  };
  const stopped = new Error("stopped");
  const at = (step: string): Partial<BackupOptions> => {
    const controller = new AbortController();
    return {
      signal: controller.signal,
      beside: () =>
        step === "beside" ? Promise.reject(stopped) : Promise.resolve({ files: [], stillHolds: () => Promise.resolve(step !== "keys") }),
      begin: async () => {
        if (step === "begin") throw stopped;
        const session = await beginBackup(server.connection);
        if (step === "copy") controller.abort(stopped);
        return {
          ...session,
          finish: async () => {
            if (step === "finish") throw stopped;
            const end = await session.finish();
            if (step === "manifest") controller.abort(stopped);
            return step === "log" ? { ...end, walFiles: [...end.walFiles, "0000000100000000000000FF"] } : end;
          },
        };
      },
    };
  };
  for (const step of ["beside", "begin", "copy", "finish", "log", "keys", "manifest"]) {
    const backup = join(directory, step);
    const expected = step === "log" || step === "keys" ? code("DB_BACKUP_INTERRUPTED") : (error: unknown): boolean => error === stopped;
    await assert.rejects(backUp(server, backup, at(step)), expected, step);
    await assert.rejects(stat(backup), step);
    assert.equal(await slots(), 0, step);
  }
  const taken = join(directory, "taken");
  await mkdir(taken, { mode: 0o700 });
  await writeFile(join(taken, "mine"), "kept");
  await assert.rejects(backUp(server, taken), code("DB_BACKUP_TARGET", /not an empty directory/));
  assert.equal(await readFile(join(taken, "mine"), "utf8"), "kept");
  const listed = join(directory, "listed");
  await mkdir(listed);
  await chmod(listed, 0o755);
  await assert.rejects(backUp(server, listed), code("DB_BACKUP_TARGET", /open to others/));
});

test("DP-64 X-6 PostgreSQL killed while it is copied: the backup says so and is gone; the server comes back by itself", async () => {
  const { directory, start } = await place();
  const server = await start("a");
  const backup = join(directory, "backup");
  const killed = backUp(server, backup, {
    begin: async () => {
      const session = await beginBackup(server.connection);
      process.kill(server.pid, "SIGKILL");
      await server.exited;
      return session;
    },
  });
  await assert.rejects(killed);
  await assert.rejects(stat(backup));
  const again = await start("a");
  await backUp(again, backup);
  await verifyBackup(backup);
});

test("DP-65 a restore goes into an empty place only, and one that was interrupted is not started", async () => {
  const { directory, backup, start } = await backedUp();
  const dataDir = join(directory, "b");
  const secrets = secretsOf(directory, "a");
  await assert.rejects(restore({ backup, dataDir: join(directory, "a"), secrets }), code("DB_BACKUP_TARGET"));
  await (await start()).stop("fast");
  const cluster = await restore({ backup, dataDir, secrets });
  await rm(join(cluster, "ransomeye.complete"));
  const other = startEmbedded({
    ...{ dataDir, runtimeDir: join(directory, "b.r"), settings, telemetry: recordingTelemetry(), clock: systemClock, random: systemRandom },
  });
  await assert.rejects(other, code("DB_DATA_DIR_INCOMPLETE"));
});
