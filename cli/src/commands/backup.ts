/**
 * Why it exists: who keeps evidence keeps copies of it, and can show that they are whole and come back.
 * Enforces: a backup is made while the system works, of the database and everything that it needs; it is checked byte by byte and page by page; a restore goes
 * into an empty place and says in words what comes next, and what a restore cannot bring back.
 * Forbids: starting anything after a restore; backing up a server that is somebody else's.
 */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type BackupManifest, readManifest, restoreCluster, takeBackup, verifyBackup } from "ransomeye-db";
import { beginAtDesk } from "../backup/backup_client.ts";
import { backupSocketName } from "../backup/backup_desk.ts";
import { copyInstallation, restoreInstallation } from "../backup/installation_files.ts";
import { CliError } from "../errors.ts";
import { createDataDir, type DataDir } from "../supervisor/data_dir.ts";
import { requireRuntime, type RuntimeFile } from "../supervisor/runtime_file.ts";
import { formatBytes, formatTimeUs } from "../terminal/format.ts";
import { interruptible } from "../terminal/interrupt.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { version } from "../version.ts";
import { type CommandSpec, textOption } from "./command.ts";
import { parseTime } from "./time.ts";

const backupShape = `{"backup": path, "made": ISO 8601, "release": string, "server": string, "system_identifier": string, "timeline": n, "start_lsn": string, "stop_lsn": string, "files": n, "bytes": n}`;

const createCommand: CommandSpec = {
  path: "backup create",
  args: "<dir>",
  summary: "copy the embedded database and all that the installation needs into a directory, while the system works",
  prose:
    "Copies the running server's data directory with the part of the log of changes that makes it whole, the keys, passwords, identities and the configuration; each file is in a manifest with size and SHA-256, which is written last: a directory without one is no backup. Every page is held against PostgreSQL's own checksum while it is copied, so a damaged database makes no backup. The directory must be empty or is made; it holds every secret of the installation, mode 0700. Spools are not in it: they are their producers'. Nothing waits for a backup; it begins with a checkpoint at once. An external server is left to pg_basebackup: the command says how. core/docs/data_plane.md, \"Backup and crash\".",
  options: [],
  examples: [
    { line: "ransomeye backup create /backup/2026-11-23", says: "Everything that received events before it ended is in it." },
    {
      line: "ransomeye backup create /backup/tonight && ransomeye backup verify /backup/tonight",
      says: "For a script that runs every night.",
    },
  ],
  json: backupShape,
  exits: ["ok", "found", "usage", "config", "unreachable", "interrupted"],
  async run(context, [target = ""]) {
    const dir = await context.dataDir();
    const { postgres, socketDir } = await requireRuntime(dir);
    if (postgres !== null && !postgres.embedded) throw new CliError("CLI_BACKUP_EXTERNAL", externalText(postgres, dir));
    const { file: config } = await context.configSources();
    return interruptible(async (signal) => {
      const manifest = await takeBackup({
        directory: target,
        begin: () => beginAtDesk(join(socketDir, backupSocketName)),
        release: version,
        beside: (backup) => copyInstallation(dir, config?.text, backup),
        said: (message) => context.note(message),
        clock: context.clock,
        signal,
      });
      const summary = summaryOf(target, manifest);
      context.result(
        summary,
        `${terminalSafe(summary.backup)}: ${summary.files} files, ${formatBytes(summary.bytes)}, as of ${summary.made}\nit holds every key of this installation: keep it closed, and away from this host`,
      );
      return "ok";
    });
  },
};

const verifyCommand: CommandSpec = {
  path: "backup verify",
  args: "<dir>",
  summary: "read a backup from end to end: every file as it was written, every page as PostgreSQL wrote it",
  prose:
    "Needs nothing but the directory. Names the first file, and the block in it, that is not what it was. Pages that were written while they were copied are those of the log in the backup, which writes them again when it is restored.",
  options: [],
  examples: [{ line: "ransomeye backup verify /backup/2026-11-23", says: "Exit code 1 if it is not whole." }],
  json: backupShape,
  exits: ["ok", "found", "usage", "interrupted"],
  async run(context, [directory = ""]) {
    return interruptible(async (signal) => {
      const { manifest } = await verifyBackup(resolve(directory), signal);
      const summary = summaryOf(directory, manifest);
      const pages = manifest.server.dataChecksums ? "" : "; the server's pages carry no checksums";
      context.result(summary, `whole: ${summary.files} files, ${formatBytes(summary.bytes)}, as of ${summary.made}${pages}`);
      return "ok";
    });
  },
};

const restoreCommand: CommandSpec = {
  path: "backup restore",
  args: "<dir>",
  summary: "lay a backup out in an empty data directory, for the next start to recover",
  prose:
    "Verifies each file while it copies it. The data directory must be empty or not exist yet. The next `ransomeye start` recovers by itself; each restore begins a timeline of its own. With --wal the log of changes is taken from an archive as well, with --until only up to that time. What producers still hold in their spools comes again by itself; what none holds any more they declare as lost (`server_lost`), which `ransomeye audit` shows. Two things need an operator, and the command says them: no second system may run on what the backup came from, and what was revoked after the backup has to be revoked again.",
  options: [
    { flags: "--wal <dir>", help: "an archive of the log of changes, beyond what the backup holds" },
    { flags: "--until <time>", help: "not beyond that time; with --wal" },
  ],
  examples: [
    { line: "ransomeye backup restore /backup/2026-11-23 --data-dir /srv/ransomeye", says: "As it was when the backup was made." },
    {
      line: "ransomeye backup restore /backup/2026-11-23 --data-dir /srv/ransomeye --wal /backup/wal --until 2026-11-23T04:00:00Z",
      says: "As it was at four in the morning.",
    },
  ],
  json: `{"data_dir": path, "made": ISO 8601, "until": ISO 8601 | null, "wal": path | null, "cluster": path, "run_as": string}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [directory = ""], options) {
    const backup = resolve(directory);
    const manifest = await readManifest(backup);
    const wal = textOption(options, "wal");
    const until = textOption(options, "until");
    const untilUs = until === undefined ? undefined : parseTime(until, context.clock.nowUs());
    if (untilUs !== undefined && wal === undefined)
      throw new CliError("CLI_USAGE", "--until needs --wal: the backup alone goes as far as itself");
    if (untilUs !== undefined && untilUs < manifest.madeUs)
      throw new CliError(
        "CLI_USAGE",
        `--until ${until} is before the end of this backup, ${formatTimeUs(manifest.madeUs)}: take an older one`,
      );
    if (wal !== undefined)
      await readdir(wal).catch((cause: unknown) => Promise.reject(new CliError("CLI_FILE", `${wal} cannot be read`, { cause })));
    const dir = await context.dataDir();
    const left = (await readdir(dir.root).catch(() => [])).filter((name) => name !== "lost+found");
    if (left.length > 0) throw new CliError("CLI_RESTORE_TARGET", `${dir.root} is not empty`);
    await createDataDir(dir);
    await restoreInstallation(backup, manifest, dir);
    const { walArchiveDir } = (await context.config()).backup;
    const { clusterDirectory, runAs } = await restoreCluster({
      ...{ backup, dataDir: dir.root, random: context.random },
      goal: {
        ...(wal === undefined ? {} : { wal: resolve(wal) }),
        ...(walArchiveDir === "" ? {} : { archive: walArchiveDir }),
        ...(untilUs === undefined ? {} : { until: formatTimeUs(untilUs) }),
      },
    });
    const made = formatTimeUs(manifest.madeUs);
    context.result(
      {
        ...{ data_dir: dir.root, made, until: untilUs === undefined ? null : formatTimeUs(untilUs) },
        ...{ wal: wal === undefined ? null : resolve(wal), cluster: clusterDirectory, run_as: runAs },
      },
      restoredText(dir, made, { wal, until }),
    );
    return "ok";
  },
};

export const backupCommands: readonly CommandSpec[] = [createCommand, verifyCommand, restoreCommand];

interface BackupSummary {
  readonly backup: string;
  readonly made: string;
  readonly files: number;
  readonly bytes: number;
}

function summaryOf(directory: string, { madeUs, release, server, startLsn, stopLsn, files }: BackupManifest): BackupSummary {
  return {
    ...{ backup: resolve(directory), made: formatTimeUs(madeUs), release, server: server.version },
    ...{ system_identifier: server.systemIdentifier, timeline: server.timeline, start_lsn: startLsn, stop_lsn: stopLsn },
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
  };
}

function externalText({ host, port }: NonNullable<RuntimeFile["postgres"]>, dir: DataDir): string {
  return [
    `the database is an external server: back it up with the tool of its own version, such as`,
    `  pg_basebackup --host=${host} --port=${port} --username=ROLE_WITH_REPLICATION --pgdata=DIR/cluster --wal-method=stream --checkpoint=fast`,
    `and before it, so that no key is newer than the database, copy ${dir.secrets}, ${dir.identities} and the configuration`,
  ].join("\n");
}

function restoredText(
  dir: DataDir,
  made: string,
  { wal, until }: { readonly wal: string | undefined; readonly until: string | undefined },
): string {
  const upTo = until ?? (wal === undefined ? made : `the end of ${wal}`);
  return [
    `restored into ${dir.root}; the next start recovers the database up to ${upTo}`,
    "",
    "Before that:",
    "- The system that the backup was made of must not run any more: two of them would sign under the same keys.",
    `- What its own host shipped lies in its spool/ and runs/: copy these from the old data directory if it is still there.`,
    `Then: ransomeye start --data-dir ${dir.root}`,
    "And after it:",
    "- Producers send again what they still hold, and declare the rest as lost; `ransomeye audit` shows it as server_lost.",
    `- Whoever was revoked or suspended after ${made} is not, here: look into the old logs, and revoke again at once (ransomeye producer revoke).`,
    "- A copy of a later checkpoint, kept elsewhere, shows from now on that the end was cut off: that is true, so keep this restore's reason with it.",
  ]
    .map((line) => terminalSafe(line))
    .join("\n");
}
