/**
 * Why it exists: where nothing divides the processors among services, a gateway in a flood takes as much of them as PostgreSQL does (DB-5).
 * Enforces: what may wait, waits, and what holds receipted data is the last that a host short of memory ends: each process gets what its line in the table of services says.
 * Forbids: depending on rights: what the kernel does not allow stays as it is, and nothing fails for it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import type { ServiceSpec } from "./services.ts";

/** Gives the process its place in the queues for processors and for the kernel's end of processes. `proc` is another folder than /proc in tests. */
export function prioritise(pid: number, { nice, oomScore }: Pick<ServiceSpec, "nice" | "oomScore">, proc = "/proc"): void {
  if (nice > 0) {
    attempt(() => setPriority(pid, nice));
    // Children have sessions of their own, and Linux shares the processors out among sessions first: inside one of one process its niceness means nothing.
    attempt(() => writeFileSync(join(proc, String(pid), "autogroup"), String(nice)));
  }
  const path = join(proc, String(pid), "oom_score_adj");
  // To be ended sooner is anybody's wish; later is root's, or a unit's that began lower (OOMScoreAdjust).
  attempt(() => {
    if (Number(readFileSync(path, "utf8")) !== oomScore) writeFileSync(path, String(oomScore));
  });
}

function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // Another system than Linux, a kernel without it, no right, or the process has just ended.
  }
}
