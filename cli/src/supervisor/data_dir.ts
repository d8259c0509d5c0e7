/**
 * Why it exists: everything that a running system keeps lies in one folder, and every command finds it there.
 * Enforces: one layout, and private permissions (0700) on all of it.
 * Forbids: paths put together anywhere else; sockets, whose short folder the database's room makes.
 */
import { chmod, lstat, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { machineFacts } from "ransomeye-kernel";
import { CliError } from "../errors.ts";

export interface DataDir {
  readonly root: string;
  readonly configFile: string;
  readonly secrets: string;
  readonly databaseSecrets: string;
  readonly postgres: string;
  readonly identities: string;
  readonly spool: string;
  readonly logs: string;
  readonly runs: string;
  readonly runtimeFile: string;
  readonly lockFile: string;
  /** Alerts that wait for their stream. */
  readonly alertsFile: string;
  /** The port that the gateway was given where the configuration leaves the choice to us. */
  readonly gatewayPortFile: string;
}

/** The layout under `root`; touches nothing. */
export function dataDirAt(root: string): DataDir {
  const at = resolve(root);
  return {
    root: at,
    configFile: join(at, "config.yaml"),
    secrets: join(at, "secrets"),
    databaseSecrets: join(at, "secrets", "database.json"),
    postgres: join(at, "postgres"),
    identities: join(at, "identities"),
    spool: join(at, "spool"),
    logs: join(at, "logs"),
    runs: join(at, "runs"),
    runtimeFile: join(at, "runtime.json"),
    lockFile: join(at, "supervisor.lock"),
    alertsFile: join(at, "alerts.json"),
    gatewayPortFile: join(at, "gateway.port"),
  };
}

/** Makes what is missing. The database's folder is left to the database's room: it may have to belong to another user. */
export async function createDataDir(dir: DataDir): Promise<void> {
  for (const path of [dir.root, dir.secrets, dir.identities, dir.spool, dir.logs, dir.runs]) await makePrivate(path);
}

/** Makes `path` with mode 0700, or checks that it is ours and closes it to others. @throws CliError CLI_PERMISSION */
export async function makePrivate(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw new CliError("CLI_PERMISSION", `cannot create ${path}`, { cause });
  });
  const facts = await lstat(path);
  const me = machineFacts().userId;
  if (!facts.isDirectory() || (me !== undefined && me !== 0 && facts.uid !== me)) {
    throw new CliError("CLI_PERMISSION", `${path} is not a directory of ours`);
  }
  if ((facts.mode & 0o077) !== 0) await chmod(path, 0o700);
}
