/**
 * Why it exists: whether a pid still is the process that we mean decides what may be stopped, waited for or refused.
 * Enforces: a process is named by pid and start time together, since pids are used again; tools run with an environment of ours.
 * Forbids: signals on the strength of a pid alone; inheriting PG* variables from whoever started us.
 */
import { spawn } from "node:child_process";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import type { RunAs } from "./run_as.ts";

/** A process as /proc shows it. */
export interface ProcessFacts {
  readonly pid: number;
  /** Clock ticks after boot; with the pid it names a process for ever. */
  readonly startTime: number;
  readonly uid: number;
  readonly argv: readonly string[];
  readonly workingDirectory: string | undefined;
}

/** What /proc says about `pid`; undefined if there is no such process (or no /proc), or if it has ended and only awaits its parent. */
export async function processFacts(pid: number): Promise<ProcessFacts | undefined> {
  try {
    const [statText, cmdline, owner] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
      stat(`/proc/${pid}`),
    ]);
    // The command's name, in parentheses, may itself hold spaces and parentheses: count fields after the last one.
    const fields = statText.slice(statText.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const workingDirectory = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    return { pid, startTime: Number(fields[19]), uid: owner.uid, argv: cmdline.split("\0").slice(0, -1), workingDirectory };
  } catch {
    return undefined;
  }
}

/** Live processes whose working directory is `directory`: the postmaster and every backend of a cluster sit in theirs. */
export async function processesIn(directory: string): Promise<ProcessFacts[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
      return cwd === directory ? processFacts(pid) : undefined;
    }),
  );
  return found.filter((facts) => facts !== undefined);
}

/** Sends a signal; false if the process is gone already. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Result of a finished tool; `output` is stdout and stderr together, its end if it is long. */
export interface ToolResult {
  readonly code: number | null;
  readonly output: string;
}

const outputCharsMax = 8192;

/** Where system tools are; the caller's PATH is not trusted for programs that run as root. */
export const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Runs a program to its end, as `runAs` if given, with exactly `environment` and a plain C locale. Rejects if it cannot be started. */
export function runTool(
  file: string,
  args: readonly string[],
  options: { readonly runAs?: RunAs; readonly environment?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: toolPath, LC_ALL: "C", ...options.environment },
      cwd: options.cwd ?? "/",
      ...spawnIdentity(options.runAs),
    });
    let output = "";
    const collect = (data: Buffer): void => {
      output = (output + data.toString("utf8")).slice(-outputCharsMax);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output: output.trim() }));
  });
}

/** Spawn options that change the user; empty where we already are that user. */
export function spawnIdentity(runAs: RunAs | undefined): { uid?: number; gid?: number } {
  return runAs?.changed ? { uid: runAs.uid, gid: runAs.gid } : {};
}
