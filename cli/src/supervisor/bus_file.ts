/**
 * Why it exists: commands beside a running system must find its message streams, also where --bus or the environment said where they are.
 * Enforces: one file among the secrets (0600), written at each start: the servers' URL may hold a password.
 * Forbids: use by roles: they are told over their own channel.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Config, writeFileAtomic } from "ransomeye-kernel";
import type { BusLogin } from "ransomeye-pipeline";
import type { DataDir } from "./data_dir.ts";

/** How the servers of the log are reached, and how durable a change there has to be. */
export interface BusServers extends Pick<Config["bus"], "durability" | "replicasMin" | "replicaWaitMs" | "unverified" | "keyPrefix"> {
  readonly url: string;
  /** The user there, where each role has one. */
  readonly login?: BusLogin | undefined;
}

function pathIn(dir: DataDir): string {
  return join(dir.secrets, "bus.json");
}

/** Who reads this file: commands of an operator, and consumers of messages that are processes of their own. */
export type BusGuest = "operator" | "consumer";
type GuestLogins = Readonly<Record<BusGuest, BusLogin | undefined>>;

/** Notes where the log lies, and how others than the roles log in there; undefined: in the database. */
export async function writeBusFile(dir: DataDir, servers: BusServers | undefined, logins: GuestLogins): Promise<void> {
  if (servers === undefined) await rm(pathIn(dir), { force: true });
  else await writeFileAtomic(pathIn(dir), `${JSON.stringify({ ...servers, logins })}\n`, 0o600);
}

/** The servers without whoever logs in there: fit to be shown. */
export function shownServers({ url }: Pick<BusServers, "url">): string {
  return url.replace(/^([a-z+]+:\/\/)[^/@]*@/, "$1");
}

/** Where the log of the system in this directory lies, and how this guest logs in there; undefined: in the database. */
export async function readBusFile(dir: DataDir, guest: BusGuest = "operator"): Promise<BusServers | undefined> {
  try {
    const { logins, ...servers } = JSON.parse(await readFile(pathIn(dir), "utf8")) as BusServers & { readonly logins?: GuestLogins };
    return { ...servers, login: logins?.[guest] };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
