/**
 * Why it exists: a supervisor that was killed leaves roles behind that are about to notice; a new one must not start beside them.
 * Enforces: what the last runtime.json names is gone before anything starts; only processes whose id and start time agree are ended.
 * Forbids: touching the database's process: its own room recognises it, stops it cleanly and takes over.
 */
import { type Clock, sleep } from "ransomeye-kernel";
import type { DataDir } from "./data_dir.ts";
import { isRunning } from "./process_facts.ts";
import { readRuntime } from "./runtime_file.ts";

/** Roles leave by themselves when the channel closes; this is how long they are given. */
const leaveMsMax = 5000;
const pollMs = 50;

/** Waits for the roles of a dead supervisor to leave, then ends those that did not. Returns how many were found. */
export async function takeOver(dir: DataDir, clock: Clock, say: (line: string) => void): Promise<number> {
  const old = await readRuntime(dir);
  const running = (): { pid: number; name: string }[] =>
    (old?.children ?? []).flatMap((child) =>
      child.pid !== null && child.startTime !== "" && isRunning({ pid: child.pid, startTime: child.startTime })
        ? [{ pid: child.pid, name: child.name }]
        : [],
    );
  const found = running();
  if (found.length === 0) return 0;
  say(`the last supervisor ended without stopping ${found.map((child) => child.name).join(", ")}; waiting for them to leave`);
  const untilMs = clock.monotonicMs() + leaveMsMax;
  while (running().length > 0 && clock.monotonicMs() < untilMs) await sleep(clock, pollMs);
  for (const child of running()) {
    say(`${child.name} (process ${child.pid}) did not leave; ending it`);
    process.kill(child.pid, "SIGKILL");
  }
  while (running().length > 0) await sleep(clock, pollMs);
  return found.length;
}
