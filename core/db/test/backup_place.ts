/** Servers of one test, backups of them, and data directories that come from these. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import type { BackupManifest } from "../src/backup/manifest.ts";
import type { RecoveryGoal } from "../src/backup/recovery.ts";
import { restoreCluster } from "../src/backup/restore_cluster.ts";
import { beginBackup } from "../src/backup/session.ts";
import { type BackupOptions, takeBackup } from "../src/backup/take_backup.ts";
import { type EmbeddedServer, startEmbedded } from "../src/embedded/embedded.ts";

export const settings = {
  shared_buffers: "16MB",
  max_connections: "20",
  min_wal_size: "32MB",
  max_wal_size: "64MB",
  autovacuum_naptime: "1s",
};

/** A directory of its own for servers and backups; gone in the end. */
export async function place(): Promise<{
  readonly directory: string;
  readonly start: (name: string, more?: Readonly<Record<string, string>>) => Promise<EmbeddedServer>;
}> {
  const directory = await mkdtemp(join(tmpdir(), "re-backup-"));
  await chmod(directory, 0o711);
  const servers: EmbeddedServer[] = [];
  after(async () => {
    for (const server of servers) await server.stop("immediate");
    await rm(directory, { recursive: true, force: true, maxRetries: 20 });
  });
  return {
    directory,
    async start(name, more = {}) {
      const server = await startEmbedded({
        ...{
          dataDir: join(directory, name),
          runtimeDir: join(directory, `${name}.r`),
          syncNewCluster: false,
          settings: { ...settings, ...more },
        },
        ...{ telemetry: recordingTelemetry(), clock: systemClock, random: systemRandom },
      });
      servers.push(server);
      return server;
    },
  };
}

const nothing: BackupOptions["beside"] = () => Promise.resolve({ files: [], stillHolds: () => Promise.resolve(true) });

export function backUp(server: EmbeddedServer, directory: string, more: Partial<BackupOptions> = {}): Promise<BackupManifest> {
  return takeBackup({
    ...{ directory, begin: () => beginBackup(server.connection), release: "test", beside: nothing, said: () => undefined },
    ...{ clock: systemClock, signal: new AbortController().signal },
    ...more,
  });
}

export async function restore(
  from: { readonly backup: string; readonly dataDir: string; readonly secrets: string },
  goal: RecoveryGoal = {},
): Promise<string> {
  await mkdir(join(from.dataDir, "secrets"), { recursive: true, mode: 0o700 });
  await chmod(from.dataDir, 0o711);
  await writeFile(join(from.dataDir, "secrets", "database.json"), await readFile(from.secrets), { mode: 0o600 });
  return (await restoreCluster({ backup: from.backup, dataDir: from.dataDir, goal, random: systemRandom })).clusterDirectory;
}

export const secretsOf: (directory: string, name: string) => string = (directory: string, name: string): string =>
  join(directory, name, "secrets", "database.json");
