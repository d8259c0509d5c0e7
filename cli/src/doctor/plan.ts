/**
 * Why it exists: before services share a host, somebody wants to know whether they fit, and who has what (`ransomeye doctor --plan`).
 * Enforces: what is printed is the plan that a start on that machine follows; ports and sockets that cannot be together are named.
 * Forbids: changing or measuring anything.
 */
import { resolve } from "node:path";
import { type Config, diskFacts, machineFacts, parseBytes } from "ransomeye-kernel";
import type { CommandContext, OptionValues } from "../commands/command.ts";
import { textOption } from "../commands/command.ts";
import { CliError } from "../errors.ts";
import { besideOf } from "../host/beside.ts";
import { type Endpoint, endpointConflicts, hostEndpoints } from "../host/endpoints.ts";
import { type Beside, type HostInput, type HostPlan, requirePlan } from "../host/plan.ts";
import { formatBytes, formatTable } from "../terminal/format.ts";

/** Where sockets lie is known at a start; this is as long as it gets. */
const socketDirPattern = "/tmp/ransomeye-4294967295-0123456789ab";
/** A socket path is never longer than a system takes. */
const endpointCharsMax = 120;
const besideNames: readonly Beside[] = ["postgres", "bus", "agent"];

/** What a plan's options mean; used by all commands that make one. @throws CliError CLI_USAGE */
export async function planInput(config: Config, options: OptionValues): Promise<HostInput> {
  const machine = machineFacts();
  const ram = textOption(options, "ram");
  const memoryBytes = ram === undefined ? machine.memoryBytes : parseBytes(ram);
  if (memoryBytes === undefined) throw new CliError("CLI_USAGE", `--ram ${ram}: bytes were expected, such as 24GiB`);
  const given = textOption(options, "cores");
  const cores = given === undefined ? machine.cores : Number(given);
  if (!Number.isInteger(cores) || cores < 1 || cores > 4096)
    throw new CliError("CLI_USAGE", `--cores ${given}: a whole number from 1 was expected`);
  const disk = await diskFacts(config.dataDir).catch(() => diskFacts("."));
  return { cores, memoryBytes, diskFreeBytes: disk.freeBytes, config, beside: besideOf(config, besideOption(textOption(options, "with"))) };
}

function besideOption(text: string | undefined): Beside[] {
  return (text ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "")
    .map((name) => {
      const known = besideNames.find((one) => one === name);
      if (known === undefined) throw new CliError("CLI_USAGE", `--with ${name}: one of ${besideNames.join(", ")} was expected`);
      return known;
    });
}

/** Prints the plan; true if nothing is in another's way. @throws CliError CLI_HOST_TOO_SMALL, CLI_USAGE */
export async function printPlan(context: CommandContext, config: Config, options: OptionValues): Promise<boolean> {
  const plan = requirePlan(await planInput(config, options));
  const endpoints = hostEndpoints(config, plan, socketDirPattern);
  const conflicts = endpointConflicts(endpoints);
  context.result(planJson(plan, endpoints, conflicts), planText(plan, endpoints, conflicts, resolve(config.dataDir)));
  return conflicts.length === 0;
}

/** The shape that `--json` documents. */
export function planJson(plan: HostPlan, endpoints: readonly Endpoint[], conflicts: readonly string[]): object {
  return {
    cores: plan.cores,
    memory_bytes: plan.memoryBytes,
    reserve_bytes: plan.reserveBytes,
    total_bytes: plan.totalBytes,
    services: plan.services.map((s) => ({
      service: s.name,
      processes: s.processes,
      supervised: s.supervised,
      memory_high_bytes: s.memoryHighBytes,
      memory_max_bytes: s.memoryMaxBytes,
      heap_mib_max: s.heapMibMax,
      cpu_weight: s.cpuWeight,
      io_weight: s.ioWeight,
      oom_score: s.oomScore,
      nice: s.nice,
    })),
    postgres_settings: plan.postgresSettings,
    pools: {
      per_process: plan.pools.perProcess,
      reserved: plan.pools.reserved,
      total: plan.pools.total,
      max_connections: plan.pools.serverMax,
    },
    disk: {
      retention_bytes_max: plan.disk.retentionBytesMax,
      wal_bytes_max: plan.disk.walBytesMax,
      unread_bytes_max: plan.disk.unreadBytesMax,
      free_bytes_min: plan.disk.freeBytesMin,
    },
    gateway_buffer_bytes_max: plan.gatewayBufferBytesMax,
    open_files_max: plan.openFilesMax,
    endpoints,
    conflicts,
  };
}

function planText(plan: HostPlan, endpoints: readonly Endpoint[], conflicts: readonly string[], dataDir: string): string {
  const rows = plan.services.map((s) => [
    s.processes === 1 ? s.name : `${s.name} × ${s.processes}`,
    formatBytes(s.memoryHighBytes),
    formatBytes(s.memoryMaxBytes),
    s.heapMibMax === null ? "-" : `${s.heapMibMax} MiB`,
    String(s.cpuWeight),
    String(s.ioWeight),
    String(s.oomScore),
    String(s.nice),
    s.supervised ? "ransomeye start" : "a unit of its own",
  ]);
  const sum = formatBytes(plan.totalBytes);
  const settings = Object.entries(plan.postgresSettings).map(([name, value]) => `  ${name} = ${value}`);
  const { perProcess, reserved, total, serverMax } = plan.pools;
  const pools = [...Object.entries(perProcess).map(([role, n]) => `${role} ${n}`), `reserved ${reserved}`].join(", ");
  return [
    `${plan.cores} ${plan.cores === 1 ? "core" : "cores"}, ${formatBytes(plan.memoryBytes)} of memory; data in ${dataDir}`,
    "",
    "Each process may have (memory: slowed above high, ended above max):",
    columns(["service", "high", "max", "heap", "cpu weight", "io weight", "oom score", "nice", "started by"], rows),
    `For the kernel, its page cache and whoever logs in: ${formatBytes(plan.reserveBytes)}. All together ${sum} of ${formatBytes(plan.memoryBytes)}.`,
    `A gateway's buffer holds ${formatBytes(plan.gatewayBufferBytesMax)}. A process may open ${plan.openFilesMax} files and sockets.`,
    "",
    `Connections to PostgreSQL, by process: ${pools}; all together ${total} of max_connections ${serverMax}.`,
    ...(settings.length === 0 ? [] : ["PostgreSQL's settings for this machine:", ...settings]),
    "",
    `On disk: stored days ${formatBytes(plan.disk.retentionBytesMax)}, PostgreSQL's log ${formatBytes(plan.disk.walBytesMax)}, unread messages of a stream ${formatBytes(plan.disk.unreadBytesMax)} at most; ${formatBytes(plan.disk.freeBytesMin)} stay free.`,
    "",
    "Ports and sockets:",
    columns(
      ["service", "what", "where", "reachable", "field"],
      endpoints.map((e) => [e.service, e.what, e.address, e.network ? "from the network" : "from this host", e.field ?? "-"]),
    ),
    ...conflicts.map((conflict) => `CONFLICT  ${conflict}`),
  ].join("\n");
}

function columns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return formatTable(head, rows, endpointCharsMax).replace(/^/gm, "  ");
}
