/**
 * Why: two processes on one spool would sign one sequence twice.
 * Enforces: one living holder a directory. A holder is a file whose name is its process: boot, pid and start time, so that neither a reboot nor a
 *   reused pid keeps a spool shut. Each comer first makes its own file and then looks for others: of two that come at once at least one sees the
 *   other, so never do both go on; a dead holder's file is cleared away by whoever finds it.
 * Forbids: sharing a spool between hosts or between containers with process ids of their own: the dead cannot be told from the unseen.
 */
import { readFileSync } from "node:fs";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { SdkError } from "./codes.ts";

const pattern = /^lock-([0-9a-f-]{36}|unknown)-(\d+)-(\d+)$/;

/** Takes the lock of a spool directory; returns its release. Rejects with SDK_SPOOL_LOCKED. */
export async function lockSpool(directory: string): Promise<() => Promise<void>> {
  const boot = bootId();
  const own = `lock-${boot}-${process.pid}-${startTime(process.pid) ?? 0}`;
  const path = join(directory, own);
  try {
    await (await open(path, "wx", 0o600)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new SdkError("SDK_SPOOL_LOCKED", "this process has the spool open already", { fields: { directory } });
  }
  const release = (): Promise<void> => rm(path, { force: true });
  try {
    for (const name of await readdir(directory)) {
      const match = pattern.exec(name);
      if (match === null || name === own) continue;
      const [, otherBoot, pid, start] = match;
      if (otherBoot === boot && isAlive(Number(pid), Number(start))) {
        throw new SdkError("SDK_SPOOL_LOCKED", `process ${pid} has the spool open`, { fields: { directory, pid: Number(pid) } });
      }
      await rm(join(directory, name), { force: true });
    }
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

function isAlive(pid: number, start: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, and belongs to another user.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = startTime(pid);
  return now === undefined || start === 0 || now === start;
}

/** Start time of a process in clock ticks since boot; undefined where the system does not tell (not Linux). */
function startTime(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command name, in parentheses, may hold anything; fields count from behind it. Start time is field 22, and 2 are before.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return undefined;
  }
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "unknown";
  }
}
