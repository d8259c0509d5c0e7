/**
 * Why it exists: commands in a second shell find the running system through this file.
 * Enforces: written whole or not at all; believed only while the supervisor that wrote it runs.
 * Forbids: secrets in it.
 */
import { readFile } from "node:fs/promises";
import { type Config, writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import type { DataDir } from "./data_dir.ts";
import { isRunning, type ProcessName } from "./process_facts.ts";

export type Phase = "starting" | "ready" | "draining";

/** Roles that run as processes of their own, in the order of start. */
export const roleNames = ["registry", "keeper", "gateway", "engine", "sealer", "indexer", "forensics", "demo"] as const;
export type RoleName = (typeof roleNames)[number];

/** The system is ready without them: rows flow whether they run or not. */
export const guestRoles = ["sealer", "indexer", "forensics", "demo"] as const;

export interface ChildState {
  readonly role: RoleName;
  /** The role's name, with a number where there may be several: `gateway-1`. Log file and metrics socket are called so. */
  readonly name: string;
  readonly pid: number | null;
  readonly startTime: string;
  readonly restarts: number;
  readonly ready: boolean;
  /** Since when, in microseconds; null while it is not. */
  readonly readyUs: number | null;
}

/** What `runtime.json` holds. */
export interface RuntimeFile {
  readonly version: 1;
  readonly phase: Phase;
  readonly supervisor: ProcessName;
  readonly startedUs: number;
  readonly socketDir: string;
  readonly postgres: {
    readonly embedded: boolean;
    readonly host: string;
    readonly port: number;
    readonly database: string;
    readonly pid: number | null;
    readonly restarts: number;
  } | null;
  readonly gateway: { readonly host: string; readonly port: number } | null;
  readonly registrySocket: string;
  /** How much of a stream of messages is kept: whoever publishes beside the system asks for the same. Not said by systems of an older release. */
  readonly streams?: Config["streams"];
  readonly children: readonly ChildState[];
  /** What the supervisor's own counting of the ledger says, and since when; null before the first. */
  readonly ledger: LedgerVerdict | null;
}

export interface LedgerVerdict {
  readonly balanced: boolean;
  readonly sinceUs: number;
}

/** Replaces the file. */
export async function writeRuntime(dir: DataDir, state: RuntimeFile): Promise<void> {
  await writeFileAtomic(dir.runtimeFile, `${JSON.stringify(state, null, 2)}\n`, 0o600);
}

/** What the file says, whether or not its writer still runs; undefined where there is none or it cannot be read. */
export async function readRuntime(dir: DataDir): Promise<RuntimeFile | undefined> {
  try {
    const value = JSON.parse(await readFile(dir.runtimeFile, "utf8")) as RuntimeFile;
    return value.version === 1 ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The running system of this data directory. @throws CliError CLI_NOT_RUNNING */
export async function requireRuntime(dir: DataDir): Promise<RuntimeFile> {
  const state = await readRuntime(dir);
  if (state === undefined || !isRunning(state.supervisor)) throw new CliError("CLI_NOT_RUNNING", `no system is running in ${dir.root}`);
  return state;
}
