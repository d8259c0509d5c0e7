/**
 * Why it exists: a process id alone names nobody: ids are used again.
 * Enforces: a process is the same one only if its id and its start time agree.
 * Forbids: signalling a process that we have not recognised so.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process, recognisable later. */
export interface ProcessName {
  readonly pid: number;
  /** Opaque: clock ticks since boot from /proc, or what `ps` prints. */
  readonly startTime: string;
}

/** When the process started, or undefined if there is none (a zombie counts as none). */
export function processStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name is in parentheses and may hold anything; fields are counted after the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return process.platform === "linux" ? undefined : startTimeFromPs(pid);
  }
}

/** This process. */
export function thisProcess(): ProcessName {
  return { pid: process.pid, startTime: processStartTime(process.pid) ?? "" };
}

/** Whether exactly this process still runs. */
export function isRunning(name: ProcessName): boolean {
  return processStartTime(name.pid) === name.startTime;
}

function startTimeFromPs(pid: number): string | undefined {
  try {
    const text = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}
