/**
 * Why: a run that fails is over when somebody reads of it, and its data directory is gone.
 * Enforces: what the system said of itself, and what its processes logged as trouble, is kept in a few lines; whole logs where somebody asks for them.
 * Forbids: failing itself: a system that cannot answer is evidence, too.
 */
import { cp, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { allServers } from "./bus_servers.ts";
import type { Stage } from "./stage.ts";

const linesMax = 12;

/** What can be said of a system that has failed, one sentence a line. */
export async function evidenceOf({ system }: Stage): Promise<string[]> {
  const [status, metrics, audit, troubles] = await Promise.all([
    system.json<Record<string, unknown>>("status").catch(() => ({})),
    system.metrics("engine").catch(() => ""),
    system.json<Record<string, unknown>>("audit").catch(() => ({})),
    troublesIn(join(system.dataDir, "logs")).catch(() => []),
  ]);
  const stops = [...metrics.matchAll(/^\w*(engine_partitions?_stop\w+\S*) ([1-9]\d*)$/gm)].map(([, name, value]) => `${name} ${value}`);
  const said = (from: Record<string, unknown>, ...names: readonly string[]): string =>
    names.map((name) => `${name} ${JSON.stringify(from[name])}`).join(", ");
  return [
    `status: ${said(status, "paused", "stopped_partitions", "lag_batches", "gateways")}`,
    `audit: ${said(audit, "balanced", "idle", "accepted", "stored", "in_flight", "gaps_by_reason", "refused_by_code")}`,
    `engine: ${stops.length === 0 ? "no partition has stopped" : stops.join(", ")}`,
    ...troubles,
  ];
}

/** Copies the logs of the system and of its servers. */
export async function keepLogs({ system, servers }: Stage, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await cp(join(system.dataDir, "logs"), folder, { recursive: true });
  await cp(join(system.dataDir, "supervisor.log"), join(folder, "supervisor.log")).catch(() => undefined);
  for (const server of allServers(servers)) await cp(join(server.directory, "redis.log"), join(folder, `redis-${server.port}.log`));
}

/** Errors that processes logged, each kind once. */
async function troublesIn(logs: string): Promise<string[]> {
  const kinds = new Map<string, number>();
  for (const name of await readdir(logs)) {
    for (const line of (await readFile(join(logs, name), "utf8")).split("\n")) {
      if (!line.includes('"level":"error"')) continue;
      const { event, code, part, reason } = JSON.parse(line) as Record<string, unknown>;
      const kind = [name, event, code, part, reason]
        .filter((word) => word !== undefined)
        .map(String)
        .join(" ");
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
  }
  return [...kinds].slice(0, linesMax).map(([kind, times]) => `${kind}${times > 1 ? ` (${times} times)` : ""}`);
}
