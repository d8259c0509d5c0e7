/**
 * Why it exists: PostgreSQL refuses to run as root, and the one command must work for root too.
 * Enforces: as root, the owner of an existing cluster, else user `ransomeye`, else `postgres`, else `ransomeye` is created, else a clear error.
 * Forbids: running as root; running a cluster as somebody who does not own it.
 */
import { DbError } from "../errors.ts";
import { runTool } from "./processes.ts";

/** The user that PostgreSQL runs as. */
export interface RunAs {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** True if that is not the user that we run as. */
  readonly changed: boolean;
}

const candidates = ["ransomeye", "postgres"] as const;

/**
 * Chooses the user. `clusterOwner` is the owner of an existing cluster: nobody else can run that.
 * @throws DbError DB_RUNAS_UNAVAILABLE, or DB_DATA_DIR_UNUSABLE for an ordinary user before somebody else's cluster
 */
export async function chooseRunAs(clusterOwner: { readonly uid: number; readonly gid: number } | undefined): Promise<RunAs> {
  const uid = process.geteuid?.();
  const gid = process.getegid?.();
  // Windows has neither; there PostgreSQL drops privileges by itself.
  if (uid === undefined || gid === undefined) return { name: "", uid: -1, gid: -1, changed: false };
  if (uid !== 0) {
    if (clusterOwner !== undefined && clusterOwner.uid !== uid) {
      throw new DbError("DB_DATA_DIR_UNUSABLE", `The cluster belongs to user id ${clusterOwner.uid}, and we run as ${uid}.`);
    }
    return { name: await nameOf(uid), uid, gid, changed: false };
  }
  if (clusterOwner !== undefined && clusterOwner.uid !== 0) {
    return { name: await nameOf(clusterOwner.uid), uid: clusterOwner.uid, gid: clusterOwner.gid, changed: true };
  }
  for (const name of candidates) {
    const found = await lookUp(name);
    if (found !== undefined) return found;
  }
  const attempts = await createUser(candidates[0]);
  const created = await lookUp(candidates[0]);
  if (created !== undefined) return created;
  throw new DbError(
    "DB_RUNAS_UNAVAILABLE",
    `PostgreSQL cannot run as root; neither ${candidates.join(" nor ")} exists, and creating one failed: ${attempts}`,
  );
}

async function lookUp(name: string): Promise<RunAs | undefined> {
  const [uid, gid] = await Promise.all([idOf("-u", name), idOf("-g", name)]);
  // A user of that name with root's id would be root.
  return uid === undefined || gid === undefined || uid === 0 ? undefined : { name, uid, gid, changed: true };
}

async function idOf(flag: "-u" | "-g", name: string): Promise<number | undefined> {
  const result = await runTool("id", [flag, name]).catch(() => undefined);
  return result?.code === 0 && /^\d+$/.test(result.output) ? Number(result.output) : undefined;
}

async function nameOf(uid: number): Promise<string> {
  const result = await runTool("id", ["-un", String(uid)]).catch(() => undefined);
  return result?.code === 0 ? result.output : String(uid);
}

/** Tries shadow's useradd, then BusyBox's adduser; gives what they said if none succeeded. */
async function createUser(name: string): Promise<string> {
  const ways: readonly (readonly [string, readonly string[]])[] = [
    ["useradd", ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name]],
    ["adduser", ["-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", name]],
  ];
  const said: string[] = [];
  for (const [tool, args] of ways) {
    try {
      const result = await runTool(tool, args);
      if (result.code === 0) return "";
      said.push(`${tool}: ${result.output}`);
    } catch {
      said.push(`${tool}: not installed`);
    }
  }
  return said.join("; ");
}
