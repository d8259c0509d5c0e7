/**
 * Why it exists: shipping a file twice is two runs and stores it twice; going on with an interrupted run stores each record once.
 * Enforces: the checkpoint is the SDK's cursor, kept in the same durable write as the frame that it stands behind (rule 10 of style: data and
 * cursor commit together); the run's own file only says what was being shipped.
 * Forbids: a checkpoint that could be ahead of, or behind, what was spooled.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";

/** What one run ships. */
export interface Run {
  readonly version: 1;
  readonly run: string;
  readonly startedUs: number;
  /** Absolute paths, or `-`. */
  readonly inputs: readonly string[];
  readonly format: string | null;
  readonly producer: string | null;
  readonly raw: boolean;
  /** Whose logs these are, and how local times are meant, where the records do not say. */
  readonly host?: string | null;
  readonly zoneMinutes?: number | null;
  readonly rejects: string | null;
  /** Names of the identities used so far; each one's spool holds its own cursor. */
  readonly identities: readonly string[];
  readonly finished: boolean;
}

/** How far a run has come, as the cursor carries it. */
export interface Checkpoint {
  readonly run: string;
  /** Index into the run's inputs, and records of that input consumed. */
  readonly input: number;
  readonly record: number;
  readonly spooled: number;
  readonly invalid: number;
  readonly refused: number;
  readonly mismatched: number;
  readonly rejectsBytes: number;
}

const keptFinished = 100;

/** Saves the run. */
export async function saveRun(folder: string, run: Run): Promise<void> {
  await writeFileAtomic(join(folder, `${run.run}.json`), `${JSON.stringify(run, null, 2)}\n`, 0o600);
}

/** The named run, or the latest unfinished one. @throws CliError CLI_RUN_NOT_FOUND */
export async function findRun(folder: string, name: string | undefined): Promise<Run> {
  const runs = await listRuns(folder);
  const found = name === undefined ? runs.find((run) => !run.finished) : runs.find((run) => run.run === name);
  if (found === undefined)
    throw new CliError("CLI_RUN_NOT_FOUND", name === undefined ? "no run was interrupted" : `there is no run ${name}`);
  if (found.finished) throw new CliError("CLI_RUN_NOT_FOUND", `run ${found.run} was finished; ship again for a new one`);
  return found;
}

/** All runs, newest first. */
export async function listRuns(folder: string): Promise<Run[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".json"));
  const runs = await Promise.all(
    names.map(async (name) => {
      try {
        const value = JSON.parse(await readFile(join(folder, name), "utf8")) as Run;
        return value.version === 1 ? [value] : [];
      } catch {
        return [];
      }
    }),
  );
  return runs.flat().sort((a, b) => b.startedUs - a.startedUs);
}

/** Finished runs beyond the newest hundred, whose files may go. */
export function outlived(runs: readonly Run[]): readonly Run[] {
  return runs.filter((run) => run.finished).slice(keptFinished);
}

/** The cursor's text. */
export function encodeCheckpoint(checkpoint: Checkpoint): string {
  return JSON.stringify(checkpoint);
}

/** The furthest of the cursors that belong to this run: inputs are shipped one after the other, so later means further. */
export function furthest(run: string, cursors: readonly (string | undefined)[]): Checkpoint {
  let best: Checkpoint = { run, input: 0, record: 0, spooled: 0, invalid: 0, refused: 0, mismatched: 0, rejectsBytes: 0 };
  for (const text of cursors) {
    const found = text === undefined ? undefined : parseCheckpoint(text);
    if (found?.run !== run) continue;
    if (found.input > best.input || (found.input === best.input && found.record > best.record)) best = found;
  }
  return best;
}

function parseCheckpoint(text: string): Checkpoint | undefined {
  try {
    const value = JSON.parse(text) as Checkpoint;
    return typeof value.run === "string" && Number.isSafeInteger(value.input) && Number.isSafeInteger(value.record) ? value : undefined;
  } catch {
    return undefined;
  }
}
