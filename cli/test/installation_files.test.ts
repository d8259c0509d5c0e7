/** What a backup takes of an installation beside its database, and what it leaves where it is. */
import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { BackupManifest } from "ransomeye-db";
import { hasCode } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { copyInstallation, restoreInstallation } from "../src/backup/installation_files.ts";
import { createDataDir, dataDirAt } from "../src/supervisor/data_dir.ts";

const manifestOf = (files: BackupManifest["files"]): BackupManifest => ({
  ...{ release: "", madeUs: 0, startLsn: "0/0", stopLsn: "0/0", directories: [], files },
  server: { version: "", systemIdentifier: "", timeline: 1, dataChecksums: false },
});

test("DP-60 DP-64 keys, identities, configuration and port come along, closed to others; spools and runs stay; keys that change meanwhile are noticed", async () => {
  const root = await temporaryDirectory();
  const dir = dataDirAt(join(root, "data"));
  await createDataDir(dir);
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(join(dir.root, path, ".."), { recursive: true });
    await writeFile(join(dir.root, path), text);
    await chmod(join(dir.root, path), 0o644);
  };
  const wanted = ["secrets/ca.key", "secrets/sealer.latest", "identities/local/tls.key", "gateway.port"];
  for (const path of wanted) await put(path, `of ${path}`);
  for (const path of ["spool/local/1.log", "runs/1.json", "logs/engine.log", "runtime.json", "secrets/ca.key.7.1.tmp"])
    await put(path, "no");
  const backup = join(root, "backup");
  await mkdir(backup);
  const { files, stillHolds } = await copyInstallation(dir, "log: {}\n", backup);
  assert.deepEqual(files.map(({ path }) => path.slice("installation/".length)).toSorted(), [...wanted, "config.yaml"].toSorted());
  assert.equal(await stillHolds(), true);
  await put("secrets/sealer.latest", "a later one");
  assert.equal(await stillHolds(), true, "the sealer goes on meanwhile");

  const again = dataDirAt(join(root, "again"));
  await createDataDir(again);
  await restoreInstallation(backup, manifestOf(files), again);
  for (const path of wanted) assert.equal(await readFile(join(again.root, path), "utf8"), `of ${path}`);
  assert.equal(await readFile(again.configFile, "utf8"), "log: {}\n");
  assert.equal((await stat(join(again.secrets, "ca.key"))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(again.spool), []);

  for (const change of [
    () => put("secrets/ca.key", "another"),
    () => put("secrets/ca_next.json", "{}"),
    () => rm(join(dir.secrets, "ca.key")),
  ]) {
    await put("secrets/ca.key", "of secrets/ca.key");
    await rm(join(dir.secrets, "ca_next.json"), { force: true });
    assert.equal(await stillHolds(), true);
    await change();
    assert.equal(await stillHolds(), false);
  }
  await writeFile(join(backup, "installation", "secrets", "ca.key"), "of secrets/ca.kez");
  const third = dataDirAt(join(root, "third"));
  await assert.rejects(restoreInstallation(backup, manifestOf(files), third), (error) => hasCode(error, "DB_BACKUP_DAMAGED"));
});
