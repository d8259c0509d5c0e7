/**
 * Why it exists: whether an agent keeps up must be seen without asking it: it may hang, or be gone.
 * Enforces: a small file, replaced atomically every other second, with the time of writing; whoever reads it says how old it is.
 * Forbids: contents of records.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, writeFileAtomic } from "ransomeye-kernel";
import type { FollowedState } from "ransomeye-shipper";
import { CliError } from "../errors.ts";
import type { DataDir } from "../supervisor/data_dir.ts";
import { isRunning, type ProcessName } from "../supervisor/process_facts.ts";
import { formatBytes, formatSeconds } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";

/** As `agent --status --json` prints it. */
export interface AgentStatus extends Omit<StatusFile, "process"> {
  readonly pid: number;
  readonly running: boolean;
}

/** What the file holds. */
export interface StatusFile {
  readonly process: ProcessName;
  readonly started_us: number;
  readonly written_us: number;
  readonly producers: readonly { readonly name: string; readonly producer: string; readonly kind: string }[];
  readonly spool_bytes: number;
  readonly obstacle: string | null;
  readonly lag_bytes: number;
  readonly paths: readonly {
    readonly path: string;
    readonly open: boolean;
    readonly blocked: string | null;
    readonly lag_bytes: number;
    readonly lag_ms: number;
  }[];
}

/** Older than this, an agent that runs hangs. */
const staleUs = 30_000_000;

function fileIn(dir: DataDir): string {
  return join(dir.root, "agent.json");
}

/** The status of paths that a follower tells; `refusedOf`: why what a path holds is not sent. */
export function statusOf(
  facts: Omit<StatusFile, "lag_bytes" | "paths">,
  states: readonly FollowedState[],
  refusedOf: (path: string) => string | undefined,
): StatusFile {
  const paths = states.map(({ path, open, blocked, lagBytes, lagMs }) => ({
    path,
    open,
    blocked: blocked ?? refusedOf(path) ?? null,
    lag_bytes: lagBytes,
    lag_ms: Math.round(lagMs),
  }));
  return { ...facts, lag_bytes: paths.reduce((sum, one) => sum + one.lag_bytes, 0), paths };
}

export async function writeStatus(dir: DataDir, status: StatusFile): Promise<void> {
  await writeFileAtomic(fileIn(dir), `${JSON.stringify(status)}\n`, 0o600);
}

/** What the agent of this data directory said last. @throws CliError CLI_NOT_RUNNING */
export async function readStatus(dir: DataDir): Promise<AgentStatus> {
  try {
    const { process, ...told } = JSON.parse(await readFile(fileIn(dir), "utf8")) as StatusFile;
    return { pid: process.pid, running: isRunning(process), ...told };
  } catch (cause) {
    throw new CliError("CLI_NOT_RUNNING", `no agent has run in ${dir.root}`, { cause });
  }
}

/** Whether the file is too old to be true. */
export function isStale(status: AgentStatus, clock: Clock): boolean {
  return clock.nowUs() - status.written_us > staleUs;
}

/** For people. */
export function statusText(status: AgentStatus, clock: Clock): string {
  const age = formatSeconds(Math.max(0, (clock.nowUs() - status.written_us) / 1e6));
  const files = `${status.paths.length} ${status.paths.length === 1 ? "file" : "files"}`;
  const lines = [
    !status.running
      ? `the agent (pid ${status.pid}) is not running; its last word, ${age} ago:`
      : isStale(status, clock)
        ? `no word from the agent (pid ${status.pid}) for ${age}: it hangs`
        : `the agent (pid ${status.pid}) follows ${files}, ${formatBytes(status.lag_bytes)} behind; spool ${formatBytes(status.spool_bytes)}`,
  ];
  for (const { name, producer, kind } of status.producers) lines.push(`  sends as ${name} (${kind}, ${producer})`);
  if (status.obstacle !== null) lines.push(`  ${status.obstacle}`);
  for (const { path, open, blocked, lag_bytes, lag_ms } of status.paths) {
    const lag = lag_bytes === 0 ? "up to date" : `${formatBytes(lag_bytes)} behind for ${formatSeconds(lag_ms / 1000)}`;
    lines.push(terminalSafe(`  ${path}: ${blocked ?? (open || lag_bytes > 0 ? lag : "not there")}`, 500));
  }
  return lines.join("\n");
}
