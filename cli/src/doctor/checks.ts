/**
 * Why it exists: the checks of `doctor`, one function each.
 * Enforces: a check that cannot look says so instead of saying "ok".
 * Forbids: changing anything; connecting as anything but the reader, save to an external server that no system runs on yet.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { assertDurable, openClient, parseConnectionUrl, type Queryable } from "ransomeye-db";
import { type Config, ConfigError, diskFacts, machineFacts, RansomeyeError } from "ransomeye-kernel";
import type { CommandContext } from "../commands/command.ts";
import { openReader } from "../commands/context.ts";
import { keyFiles } from "../registry/key_files.ts";
import type { DataDir } from "../supervisor/data_dir.ts";
import { splitAddress } from "../supervisor/gateway_address.ts";
import { isRunning } from "../supervisor/process_facts.ts";
import { readRuntime } from "../supervisor/runtime_file.ts";
import { formatBytes } from "../terminal/format.ts";
import { doubtful, failed, type Finding, fine } from "./finding.ts";

type CheckFunction = (context: CommandContext, dir: DataDir, config: Config) => Promise<Finding[]>;

/** Settings without which a receipt would not mean durable (R-4). */
const durableSettings = ["fsync", "full_page_writes", "synchronous_commit"] as const;
const durableNext = "Set it to on; with it off, receipts would promise what a power cut can take away (R-4).";
/** With it on, a flush that failed is tried again, and what the disk has lost counts as written. */
const retrySetting = "data_sync_retry";
const retryNext = "Set it to off; with it on, receipts would promise what a failing disk has thrown away (R-4).";
const archiveNext =
  "Look at the end of logs/postgres.log: make room in backup.wal_archive_dir, or move away what lies there under that name and is another server's.";
const driftUsMax = 2_000_000;
/** Before this, the machine's clock cannot be right. */
const earliestUs = Date.UTC(2026, 0, 1) * 1000;

export function checkNode(): Finding {
  const { nodeVersion } = machineFacts();
  return Number(nodeVersion.split(".")[0]) >= 20
    ? fine("node", `version ${nodeVersion}`)
    : failed("node", `version ${nodeVersion} is too old`, "Install Node.js 20 or newer.");
}

export async function checkConfig(context: CommandContext, findings: Finding[]): Promise<Config | undefined> {
  try {
    const config = await context.config();
    findings.push(fine("configuration", "valid"));
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems)
      findings.push(
        failed(
          "configuration",
          `${problem.place}: ${problem.field} ${problem.message}`,
          "Correct it; `ransomeye config validate` checks again.",
        ),
      );
    return undefined;
  }
}

export const checkData: CheckFunction = async (_context, dir) => {
  const root = await stat(dir.root).catch(() => undefined);
  if (root === undefined)
    return [doubtful("data directory", `${dir.root} does not exist yet`, "`ransomeye start` or `ransomeye init` makes it.")];
  const findings: Finding[] = [];
  const open = async (path: string, kind: string): Promise<void> => {
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && (facts.mode & 0o077) !== 0) {
      findings.push(
        failed(
          "permissions",
          `${path} is open to others (mode ${(facts.mode & 0o777).toString(8)})`,
          kind === "folder" ? `chmod 700 ${path}` : `chmod 600 ${path}, and replace the key: others may have read it.`,
        ),
      );
    }
  };
  // The root itself may be passable (0711) where the database's own user has to reach its folder below.
  if ((root.mode & 0o066) !== 0) await open(dir.root, "folder");
  for (const path of [dir.secrets, dir.identities, dir.spool, dir.logs]) await open(path, "folder");
  for (const file of Object.values(keyFiles)) if (file.private) await open(join(dir.secrets, file.name), "file");
  await open(dir.databaseSecrets, "file");
  for (const name of await readdir(dir.identities).catch(() => [])) {
    for (const file of ["tls.key", "batch.key"]) await open(join(dir.identities, name, file), "file");
  }
  return findings.length > 0 ? findings : [fine("permissions", `${dir.root} and its keys are closed to others`)];
};

/** The embedded server's configuration files: what it will start with. */
export const checkSettingsFiles: CheckFunction = async (_context, dir, config) => {
  if (!config.database.url.isEmpty) return [];
  const values = new Map<string, string>();
  for (const file of ["postgresql.conf", "postgresql.auto.conf"]) {
    const text = await readFile(join(dir.postgres, file), "utf8").catch(() => "");
    // Of several lines for one setting the last one counts.
    for (const [, name, value] of text.matchAll(/^\s*(fsync|full_page_writes|synchronous_commit)\s*=?\s*'?(\w+)'?/gim))
      values.set((name ?? "").toLowerCase(), (value ?? "").toLowerCase());
  }
  const off = durableSettings.filter((name) => /^(off|false|no|0)$/.test(values.get(name) ?? "on"));
  return off.map((name) => failed("durability", `${name} = off in the embedded server's configuration`, durableNext));
};

export const checkDisk: CheckFunction = async (_context, dir, config) => {
  const path = (await stat(dir.postgres).catch(() => undefined)) === undefined ? dir.root : dir.postgres;
  const disk = await diskFacts(path).catch(() => undefined);
  if (disk === undefined) return [];
  const floor = Math.max(config.disk.freeBytesMin, disk.totalBytes * config.disk.freeRatioMin);
  const text = `${formatBytes(disk.freeBytes)} of ${formatBytes(disk.totalBytes)} free, floor ${formatBytes(floor)}`;
  if (disk.freeBytes < floor) return [failed("disk", text, "Free some space: below the floor the gateway pauses.")];
  if (disk.freeBytes - floor < config.retention.bytesMax)
    return [
      doubtful(
        "disk",
        `${text}; retention.bytes_max is ${formatBytes(config.retention.bytesMax)}`,
        "The disk fills before retention drops days; lower retention.bytes_max or free space.",
      ),
    ];
  return [fine("disk", text)];
};

export const checkPort: CheckFunction = async (_context, dir, config) => {
  const runtime = await readRuntime(dir);
  if (runtime !== undefined && isRunning(runtime.supervisor)) return [];
  const { host, port } = splitAddress(config.gateway.listen);
  if (port === 0) return [fine("port", "any free one")];
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once("error", resolve);
    server.listen(port, host, () => resolve(undefined));
  });
  await new Promise((resolve) => server.close(resolve));
  return [
    error === undefined
      ? fine("port", `${config.gateway.listen} is free`)
      : failed(
          "port",
          `${config.gateway.listen} cannot be used (${error.code ?? "unknown"})`,
          "Stop what uses it, or change gateway.listen.",
        ),
  ];
};

export const checkProcesses: CheckFunction = async (_context, dir) => {
  const runtime = await readRuntime(dir);
  if (runtime === undefined) return [fine("processes", "not running")];
  if (!isRunning(runtime.supervisor))
    return [doubtful("processes", "the last supervisor ended without stopping the system", "`ransomeye start` recovers and takes over.")];
  const missing = runtime.children.filter((child) => !child.ready);
  const restarted = runtime.children.filter((child) => child.restarts > 0);
  return [
    ...(missing.length === 0
      ? [fine("processes", `${runtime.children.length} processes run, phase ${runtime.phase}`)]
      : missing.map((child) => failed("processes", `${child.name} is not ready`, `Look at ${join(dir.logs, `${child.name}.log`)}.`))),
    ...restarted.map((child) =>
      doubtful(
        "processes",
        `${child.name} was restarted ${child.restarts === 1 ? "once" : `${child.restarts} times`}`,
        `Look at ${join(dir.logs, `${child.name}.log`)}.`,
      ),
    ),
  ];
};

/** The server's own word: the running system's, or the external one's that a system is yet to be started on. */
export const checkDatabase: CheckFunction = async (context, dir, config) => {
  const clock =
    context.clock.nowUs() < earliestUs
      ? [failed("clock", "the machine's clock is years behind", "Set it; certificates will not be valid otherwise.")]
      : [];
  const runtime = await readRuntime(dir);
  try {
    if (runtime !== undefined && isRunning(runtime.supervisor)) {
      await using reader = await openReader(context);
      return [...clock, ...(await askServer(reader.pool, context))];
    }
    if (config.database.url.isEmpty) return clock;
    const client = await openClient(parseConnectionUrl(config.database.url.reveal()), "ransomeye doctor");
    try {
      return [...clock, ...(await askServer(client, context))];
    } finally {
      await client.end();
    }
  } catch (error) {
    const look = config.database.url.isEmpty
      ? `Look at the files in ${dir.logs}.`
      : "Check that the server runs and that database.url is right.";
    const next = error instanceof RansomeyeError ? error.next : look;
    return [...clock, failed("database", error instanceof Error ? error.message : String(error), next)];
  }
};

/** Durability for this session and for every role and database that has a setting of its own; and the clock. @throws DbError for a server too old */
async function askServer(server: Queryable, context: CommandContext): Promise<Finding[]> {
  const settings = (
    await server.query<{ name: string; value: string }>(
      `SELECT name, setting AS value FROM pg_settings WHERE name = ANY($1)
       UNION ALL SELECT split_part(c, '=', 1), split_part(c, '=', 2) FROM pg_db_role_setting, unnest(setconfig) AS c WHERE split_part(c, '=', 1) = ANY($1)`,
      [[...durableSettings, retrySetting]],
    )
  ).rows;
  const off = settings.filter(({ name, value }) => value === (name === retrySetting ? "on" : "off"));
  if (off.length === 0) await assertDurable(server);
  const { rows } = await server.query<{ us: number; checksums: string; stuck: string | null }>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us, current_setting('data_checksums') AS checksums,
            CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN last_failed_wal END AS stuck FROM pg_stat_archiver`,
  );
  const stuck = rows[0]?.stuck ?? null;
  const now = context.clock.nowUs();
  const drift = Math.abs((rows[0]?.us ?? now) - now);
  return [
    ...(off.length === 0
      ? [fine("durability", `${durableSettings.join(", ")} are on, ${retrySetting} is off`)]
      : off.map(({ name, value }) =>
          failed("durability", `${name} is ${value} in the server`, name === retrySetting ? retryNext : durableNext),
        )),
    checksumsFinding(rows[0]?.checksums ?? ""),
    ...(stuck === null
      ? []
      : [
          failed(
            "archive",
            `${stuck} of the log of changes cannot be archived; everything behind it stays on the server's disk`,
            archiveNext,
          ),
        ]),
    drift > driftUsMax
      ? failed("clock", `this machine and the database differ by ${Math.round(drift / 1000)} ms`, "Run a time service (NTP) on both.")
      : fine("clock", "agrees with the database's"),
  ];
}

/** Without checksums a page that the disk has changed is read as if nothing were, and copied into every backup. */
export function checksumsFinding(dataChecksums: string): Finding {
  return dataChecksums === "on"
    ? fine("checksums", "the server's pages carry checksums")
    : doubtful(
        "checksums",
        "the server's pages carry no checksums",
        "Stop the server and run pg_checksums --enable on its data directory.",
      );
}
