/**
 * Why it exists: two supervisors over one data directory would be two truths.
 * Enforces: one owner at a time; a lock whose owner is gone (kill -9, power cut) is taken over without a hand.
 * Forbids: trusting a process id without its start time.
 */
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { hasCode } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { isRunning, type ProcessName, thisProcess } from "./process_facts.ts";

let drafts = 0;

/** Takes the lock; the function returned gives it back. @throws CliError CLI_ALREADY_RUNNING */
export async function acquireLock(path: string): Promise<() => Promise<void>> {
  const mine = JSON.stringify(thisProcess());
  drafts += 1;
  const draft = `${path}.${process.pid}.${drafts}`;
  await writeFile(draft, mine, { mode: 0o600 });
  try {
    while (!(await claim(draft, path))) {
      const text = await readFile(path, "utf8").catch(() => undefined);
      if (text === undefined) continue;
      const owner = parseOwner(text);
      if (owner !== undefined && isRunning(owner))
        throw new CliError("CLI_ALREADY_RUNNING", `process ${owner.pid} runs this data directory`, { fields: { pid: owner.pid } });
      await removeStale(path, text);
    }
  } finally {
    await rm(draft, { force: true });
  }
  return async () => {
    if ((await readFile(path, "utf8").catch(() => "")) === mine) await rm(path, { force: true });
  };
}

/** `link` fails where the name exists, so of two that try at once one wins. */
async function claim(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new CliError("CLI_PERMISSION", `cannot create ${path}`, { cause: error });
  }
}

/**
 * Removes a dead owner's lock: one process at a time, under a lock of its own kind, and only the very lock that was seen. Moving away whatever lies
 * there would sometimes catch the fresh lock of another starter, and for a moment the name would be free for a third.
 */
async function removeStale(path: string, stale: string): Promise<void> {
  let release: () => Promise<void>;
  try {
    release = await acquireLock(`${path}.takeover`);
  } catch (error) {
    // Somebody is at it; the next look shows the outcome.
    if (hasCode(error, "CLI_ALREADY_RUNNING")) return;
    throw error;
  }
  try {
    if ((await readFile(path, "utf8").catch(() => undefined)) === stale) await rm(path, { force: true });
  } finally {
    await release();
  }
}

function parseOwner(text: string): ProcessName | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProcessName>;
    return typeof value.pid === "number" && typeof value.startTime === "string"
      ? { pid: value.pid, startTime: value.startTime }
      : undefined;
  } catch {
    return undefined;
  }
}
