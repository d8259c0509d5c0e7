/**
 * Why it exists: a start may find a server that an earlier, killed supervisor left behind, or what a killed server left behind.
 * Enforces: only a postmaster that is provably ours (pid, start time, data directory, our mark in its arguments) and whose supervisor
 * is gone is stopped; remains of a killed one are waited for, bounded.
 * Forbids: touching a server that somebody else started or still looks after; removing postmaster.pid while anything lives in the cluster.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep, type Telemetry } from "ransomeye-kernel";
import { DbError } from "../errors.ts";
import { serverTakenOver, serverWaitsForRemains } from "../events.ts";
import { type ProcessFacts, processesIn, processFacts, signalProcess } from "./processes.ts";

const pollMs = 50;
/** Remains of a killed postmaster leave by themselves, at the latest when their statement ends. */
const remainsMsMax = 15_000;
/** A clean stop writes a checkpoint. */
const takeOverMsMax = 120_000;

/** Our mark: a setting of a class that PostgreSQL lets anybody define, so that it stands in the postmaster's arguments. */
const markName = "ransomeye.supervisor";

/** The argument that marks a postmaster as started by this process. */
export async function supervisorMark(): Promise<string> {
  const self = await processFacts(process.pid);
  return `${markName}=${process.pid}.${self?.startTime ?? 0}`;
}

/** What postmaster.pid says; undefined if there is none or if it is not whole yet. */
export async function readPidFile(clusterDirectory: string): Promise<{ pid: number; status: string } | undefined> {
  const text = await readFile(join(clusterDirectory, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  const pid = Number(lines[0]);
  return Number.isInteger(pid) && pid > 0 ? { pid, status: lines[7]?.trim() ?? "" } : undefined;
}

/**
 * Makes the cluster free for a new postmaster.
 * @throws DbError DB_DATA_DIR_IN_USE if somebody else's server, or one that is still looked after, holds it
 */
export async function clearTheWay(clusterDirectory: string, context: { clock: Clock; telemetry: Telemetry }): Promise<void> {
  const noted = await readPidFile(clusterDirectory);
  if (noted === undefined) return;
  const facts = await processFacts(noted.pid);
  if (facts !== undefined && facts.workingDirectory === clusterDirectory && isPostmaster(facts)) {
    await takeOver(facts, clusterDirectory, context);
  } else if (facts === undefined && process.platform !== "linux" && signalProcessSafely(noted.pid)) {
    // No /proc to prove anything with: never guess.
    throw inUse(noted.pid, clusterDirectory, "a process of that number lives, and this platform cannot show which");
  }
  await waitForRemains(clusterDirectory, context);
  // PostgreSQL removes a stale file itself, unless its pid was given to another process of this user (after a reboot):
  // nothing lives in the directory now, so the file is stale whatever that process is.
  if (process.platform === "linux") await rm(join(clusterDirectory, "postmaster.pid"), { force: true });
}

/** The postmaster keeps its arguments; its children overwrite theirs with a title. */
function isPostmaster(facts: ProcessFacts): boolean {
  return facts.argv.includes("-D");
}

async function takeOver(facts: ProcessFacts, clusterDirectory: string, context: { clock: Clock; telemetry: Telemetry }): Promise<void> {
  const mark = facts.argv.find((argument) => argument.startsWith(`${markName}=`));
  if (mark === undefined) throw inUse(facts.pid, clusterDirectory, "it was not started by RansomEye");
  const [pid, startTime] = mark
    .slice(markName.length + 1)
    .split(".")
    .map(Number);
  const supervisor = await processFacts(pid ?? 0);
  if (supervisor !== undefined && supervisor.startTime === startTime) {
    throw inUse(facts.pid, clusterDirectory, `process ${pid} started it and still looks after it`);
  }
  context.telemetry.emit(serverTakenOver, { pid: facts.pid, data_directory: clusterDirectory });
  signalProcess(facts.pid, "SIGINT");
  const gone = await waitUntil(context.clock, takeOverMsMax, async () => (await processFacts(facts.pid))?.startTime !== facts.startTime);
  if (!gone) throw inUse(facts.pid, clusterDirectory, "it is ours, but did not stop");
}

async function waitForRemains(clusterDirectory: string, context: { clock: Clock; telemetry: Telemetry }): Promise<void> {
  const remains = async (): Promise<ProcessFacts[]> => (await processesIn(clusterDirectory)).filter((facts) => facts.pid !== process.pid);
  const begun = context.clock.monotonicMs();
  const first = await remains();
  if (first.length === 0) return;
  const report = (processes: number): void =>
    context.telemetry.emit(serverWaitsForRemains, {
      data_directory: clusterDirectory,
      waited_ms: Math.round(context.clock.monotonicMs() - begun),
      processes,
    });
  report(first.length);
  const gone = async (): Promise<boolean> => (await remains()).length === 0;
  if (await waitUntil(context.clock, remainsMsMax, gone)) return;
  // Their postmaster is dead, so nothing that they still do can be acknowledged to anybody; SIGQUIT ends them without a word.
  const late = await remains();
  report(late.length);
  for (const facts of late) signalProcess(facts.pid, "SIGQUIT");
  if (!(await waitUntil(context.clock, remainsMsMax, gone))) {
    throw inUse(late[0]?.pid ?? 0, clusterDirectory, "it remains of a postmaster that was killed, and does not end");
  }
}

/** Polls `condition` until it holds or `msMax` have gone by; says which. */
export async function waitUntil(clock: Clock, msMax: number, condition: () => Promise<boolean>): Promise<boolean> {
  const end = clock.monotonicMs() + msMax;
  while (!(await condition())) {
    if (clock.monotonicMs() >= end) return false;
    await sleep(clock, pollMs);
  }
  return true;
}

function signalProcessSafely(pid: number): boolean {
  try {
    return signalProcess(pid, 0);
  } catch {
    return true;
  }
}

function inUse(pid: number, clusterDirectory: string, why: string): DbError {
  return new DbError("DB_DATA_DIR_IN_USE", `Process ${pid} uses ${clusterDirectory}: ${why}.`, { fields: { pid } });
}
