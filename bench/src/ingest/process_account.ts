/**
 * Why: "14 CPU seconds per million events" is a sum; whoever wants to lower it must see which process spends it.
 * Enforces: every process of the system is in exactly one line, PostgreSQL's backends by the process they serve, the load generator apart.
 * Forbids: sampling; these are the kernel's counters before and after.
 */
import type { Client } from "ransomeye-db";
import { cpuSecondsOf, cpuSecondsOfTree, peakMemoryBytes } from "../cpu_account.ts";
import type { BenchSystem } from "../load/bench_system.ts";

/** CPU seconds by line of the account. */
export type CpuLines = ReadonlyMap<string, number>;

export const generatorLine = "generator (SDK)";
export const gatewayLine = "gateway";
export const engineLine = "engine";
const othersLine = "supervisor, registry, keeper, sealer, forensics trigger";
export const indexerLine = "indexer";
/** PostgreSQL's lines begin with this. */
export const postgresPrefix = "PostgreSQL: ";
export const gatewayBackends: string = `${postgresPrefix}backends of the gateway`;
export const engineBackends: string = `${postgresPrefix}backends of the engine`;
export const indexerBackends: string = `${postgresPrefix}backends of the indexer`;

/** Counters at this moment; subtract two of them with `cpuBetween`. */
export async function cpuNow(system: BenchSystem, looker: Client, generatorPid: number): Promise<CpuLines> {
  const lines = new Map<string, number>();
  const add = (line: string, seconds: number): void => void lines.set(line, (lines.get(line) ?? 0) + seconds);
  add(gatewayLine, cpuSecondsOf(system.pidOf("gateway")));
  add(engineLine, cpuSecondsOf(system.pidOf("engine")));
  for (const role of ["registry", "keeper", "sealer", "forensics"]) add(othersLine, cpuSecondsOf(system.pidOf(role)));
  add(othersLine, cpuSecondsOf(system.runtime.supervisor.pid));
  add(indexerLine, cpuSecondsOf(system.pidOf("indexer")));
  const { rows } = await looker.query<{ pid: number; application_name: string; own: boolean }>(
    "SELECT pid, application_name, pid = pg_backend_pid() AS own FROM pg_stat_activity WHERE backend_type = 'client backend'",
  );
  let named = 0;
  for (const { pid, application_name: name, own } of rows) {
    const seconds = cpuSecondsOf(pid);
    named += seconds;
    // The bench's own looking is not the system's work.
    if (own || name.startsWith("bench")) continue;
    add(
      name.includes("gateway")
        ? gatewayBackends
        : name.includes("engine")
          ? engineBackends
          : name.includes("indexer")
            ? indexerBackends
            : `${postgresPrefix}other backends`,
      seconds,
    );
  }
  add(`${postgresPrefix}WAL, checkpoints, vacuum and ended backends`, cpuSecondsOfTree(system.postgresPid) - named);
  add(generatorLine, cpuSecondsOf(generatorPid));
  return lines;
}

export function cpuBetween(before: CpuLines, after: CpuLines): CpuLines {
  return new Map([...after].map(([line, seconds]) => [line, Math.max(0, seconds - (before.get(line) ?? 0))]));
}

/** Everything but the generator. */
export function systemSeconds(lines: CpuLines): number {
  return [...lines].reduce((sum, [line, seconds]) => (line === generatorLine ? sum : sum + seconds), 0);
}

/** Peak resident memory in MiB by process, as the kernel saw it since each began. */
export function peakMemoryMib(system: BenchSystem, generatorPid: number): Readonly<Record<string, number>> {
  const mib = (pid: number): number => Math.round(peakMemoryBytes(pid) / 1024 / 1024);
  return {
    gateway: mib(system.pidOf("gateway")),
    engine: mib(system.pidOf("engine")),
    registry: mib(system.pidOf("registry")),
    keeper: mib(system.pidOf("keeper")),
    forensics: mib(system.pidOf("forensics")),
    supervisor: mib(system.runtime.supervisor.pid),
    generator: mib(generatorPid),
  };
}
