/**
 * Why: wall-clock rates drift on a shared machine; CPU seconds per million events are the steadier figure and say where the work is done.
 * Enforces: a process is charged with its own time and that of every child it has or had, so that PostgreSQL's backends count, ended ones too.
 * Forbids: sampling; the kernel's own counters in /proc are exact to a clock tick.
 */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ, fixed at 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ownTicks: number;
  readonly endedChildrenTicks: number;
}

/** CPU seconds (user and system) of a process and all its descendants, living and reaped; 0 if it is gone. */
export function cpuSecondsOfTree(root: number): number {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat !== undefined) stats.set(pid, stat);
  }
  let ticks = 0;
  for (const stat of stats.values()) {
    if (descendsFrom(stat, root, stats)) ticks += stat.ownTicks + stat.endedChildrenTicks;
  }
  return ticks / TICKS_PER_SECOND;
}

/** CPU seconds of one process alone; 0 if it is gone. */
export function cpuSecondsOf(pid: number): number {
  return (readStat(pid)?.ownTicks ?? 0) / TICKS_PER_SECOND;
}

/** Resident memory of one process in bytes; 0 if it is gone. */
export function memoryBytes(pid: number): number {
  return statusBytes(pid, "VmRSS");
}

/** Peak resident memory of one process in bytes; 0 if it is gone. */
export function peakMemoryBytes(pid: number): number {
  return statusBytes(pid, "VmHWM");
}

function statusBytes(pid: number, field: "VmRSS" | "VmHWM"): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function descendsFrom(stat: Stat, root: number, stats: ReadonlyMap<number, Stat>): boolean {
  let at: Stat | undefined = stat;
  while (at !== undefined) {
    if (at.pid === root) return true;
    at = stats.get(at.parent);
  }
  return false;
}

/** The command name in field 2 may hold spaces and parentheses: fields are counted from the last closing one. */
function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const at = (field: number): number => Number(fields[field - 3] ?? 0);
    return { pid, parent: at(4), ownTicks: at(14) + at(15), endedChildrenTicks: at(16) + at(17) };
  } catch {
    return undefined;
  }
}
