/**
 * Why it exists: services that share a host share its memory, its processors and its connections; who has how much is derived once, from the machine (DB-5, R-30).
 * Enforces: what all may have together and a reserve are no more than the machine has; the supervisor starts its processes with these very figures, and PostgreSQL
 * with settings from the function that the plan asks.
 * Forbids: measuring; the plan is of bounds, and says the same of a machine that is described as of the one it runs on.
 */
import { serverSettings } from "ransomeye-db";
import type { Config } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { connectionBudget, reservedConnections, roleConnections, serverConnections } from "../supervisor/connection_budget.ts";
import { gatewayProcesses } from "../supervisor/process_names.ts";
import { formatBytes } from "../terminal/format.ts";
import { connectionBytes, type ServiceName, serviceNames, services, type ServiceSpec } from "./services.ts";

const mib = 1024 * 1024;
const gib = 1024 * mib;

/** What the plan is made for. */
export interface HostInput {
  readonly cores: number;
  readonly memoryBytes: number;
  /** Bytes that are free where the database lies: how much of its log PostgreSQL may keep. */
  readonly diskFreeBytes: number;
  readonly config: Config;
  /** Services that run on this host as units of their own: not as children of the supervisor. */
  readonly beside: readonly Beside[];
}

/** What may run beside `ransomeye start`. `postgres` where `database.url` names one of this host. */
export type Beside = "postgres" | "bus" | "agent";

/** What each process of a service may have. */
export interface ServicePlan extends ServiceSpec {
  readonly name: ServiceName;
  /** How many processes (of PostgreSQL and the bus: servers). All figures are for one. */
  readonly processes: number;
  /** Whether the supervisor starts it. */
  readonly supervised: boolean;
  /** Bound of the heap in MiB; null where it is no Node.js process. */
  readonly heapMibMax: number | null;
  /** Above it the kernel takes memory back and slows the service. */
  readonly memoryHighBytes: number;
  /** Above it the kernel ends a process of the service. */
  readonly memoryMaxBytes: number;
}

/** Who may open how many database connections. */
export interface PoolPlan {
  readonly perProcess: Readonly<Record<string, number>>;
  /** For commands, the live view, an administrator, and superusers. */
  readonly reserved: number;
  readonly total: number;
  /** What the server allows; for an external one: what it has to allow at least. */
  readonly serverMax: number;
}

/** What the disk below the data directory has to hold, in bytes. */
export interface DiskPlan {
  /** Stored days (`retention.bytes_max`). */
  readonly retentionBytesMax: number;
  /** PostgreSQL's own log (`max_wal_size`), of the embedded server. */
  readonly walBytesMax: number;
  /** Messages of one stream that wait for groups (`streams.unread_bytes_max`); publishers are told when it is full. */
  readonly unreadBytesMax: number;
  /** Stays free, or `disk.free_ratio_min` of the disk where that is more: gateways pause before it is touched. */
  readonly freeBytesMin: number;
}

/** Who has what on one host. */
export interface HostPlan {
  readonly cores: number;
  readonly memoryBytes: number;
  /** For the kernel, its page cache beyond the services' own, and whoever logs in. */
  readonly reserveBytes: number;
  readonly services: readonly ServicePlan[];
  /** `memoryMaxBytes` of all processes and the reserve. */
  readonly totalBytes: number;
  /** Memory that this machine needs; more than it has where the plan does not fit. */
  readonly neededBytes: number;
  readonly fits: boolean;
  readonly gatewayBufferBytesMax: number;
  readonly pools: PoolPlan;
  readonly disk: DiskPlan;
  /** What PostgreSQL is told over what it derives from the machine by itself: others have their part of it. */
  readonly postgresOverrides: Readonly<Record<string, string>>;
  /** Its settings that follow from the machine; without what is the same everywhere or depends on the data directory. */
  readonly postgresSettings: Readonly<Record<string, string>>;
  /** Files and sockets that one process may open: a gateway's sessions, and what any process needs beside them. */
  readonly openFilesMax: number;
}

/** The kernel, sshd, journald and what else a host runs; and part of the page cache. */
function reserveOf(memoryBytes: number): number {
  return wholeMib(Math.max(512 * mib, Math.min(memoryBytes / 16, 8 * gib)));
}

/** Of PostgreSQL: a backend with its caches and a sort or two. */
const backendBytes = 8 * mib;
/** Pages of its files that PostgreSQL must be able to keep beside its own buffers: what was just written is read at once. */
const pageCacheBytesMin = 128 * mib;
/** Pages, locks and other shared memory beside the buffers, by buffer. */
const sharedOverhead = 1.05;

/** The settings that depend on the machine, as the embedded server gets them. */
const machineSettings = [
  "max_connections",
  "shared_buffers",
  "effective_cache_size",
  "maintenance_work_mem",
  "max_wal_size",
  "min_wal_size",
  "autovacuum_max_workers",
  "max_parallel_workers_per_gather",
  "max_parallel_maintenance_workers",
] as const;

const filesBesideSessions = 4096;

/** Who has what. Where the machine is too small, what each needs at least, and `fits` is false. */
export function planHost(input: HostInput): HostPlan {
  const made = distribute(input);
  if (made.fits) return made;
  // Reserve and PostgreSQL's buffers grow with the machine, but by less than it does.
  let neededBytes = made.totalBytes;
  while (!distribute({ ...input, memoryBytes: neededBytes }).fits) neededBytes += 64 * mib;
  return { ...made, neededBytes };
}

/** The same for a machine that has to suffice. @throws CliError CLI_HOST_TOO_SMALL with what it needs */
export function requirePlan(input: HostInput): HostPlan {
  const plan = planHost(input);
  if (plan.fits) return plan;
  const gateway = plan.services.find(({ name }) => name === "gateway");
  throw new CliError(
    "CLI_HOST_TOO_SMALL",
    `the services of this host need ${formatBytes(plan.neededBytes)} of memory and it has ${formatBytes(input.memoryBytes)}; ` +
      `each of ${gateway?.processes ?? 0} gateway process(es) may have ${formatBytes(gateway?.memoryMaxBytes ?? 0)}, ${formatBytes(input.config.gateway.sessionsMax * connectionBytes)} of them for ${input.config.gateway.sessionsMax} sessions`,
  );
}

function distribute(input: HostInput): HostPlan {
  const { cores, memoryBytes, config } = input;
  const reserveBytes = reserveOf(memoryBytes);
  const gateways = gatewayProcesses(config.gateway.processes, cores);
  const present = serviceNames.filter((name) => isPresent(name, input));
  const pools = poolsOf(config, gateways);
  const connections = { max_connections: String(pools.serverMax) };
  const settings = machineSettingsOf(input, connections);
  const postgresMin = present.includes("postgres") ? postgresBytesMin(settings, pools.total) : 0;

  const others = present.filter((name) => name !== "postgres");
  const count = (name: ServiceName): number => (name === "gateway" ? gateways : 1);
  const sum = (bytesOf: (name: ServiceName) => number): number => others.reduce((total, name) => total + count(name) * bytesOf(name), 0);
  const leastBytes = sum((name) => besideHeapBytes(name, config) + heapMib(name, 0) * mib);
  const mostBytes = sum((name) => besideHeapBytes(name, config) + heapMib(name, 1) * mib);
  const availableBytes = memoryBytes - reserveBytes - postgresMin;
  // One factor for all heaps: the largest that fits. Whole MiB below it, so that sums stay sums.
  const room = mostBytes === leastBytes ? 1 : Math.max(0, Math.min(1, (availableBytes - leastBytes) / (mostBytes - leastBytes)));
  const othersBytes = sum((name) => besideHeapBytes(name, config) + heapMib(name, room) * mib);
  const postgresBytes = Math.max(postgresMin, wholeMib(availableBytes - othersBytes) + postgresMin);

  // What the server believes to be cached of its files cannot be more than its control group keeps.
  const cacheBytes = wholeMib(Math.min(memoryBytes / 2, postgresBytes));
  const overrides = present.includes("postgres") ? { ...connections, effective_cache_size: `${cacheBytes / mib}MB` } : {};
  const planned = present.map((name): ServicePlan => {
    const isPostgres = name === "postgres";
    const heap = heapMib(name, room);
    const memoryMaxBytes = isPostgres ? postgresBytes : besideHeapBytes(name, config) + heap * mib;
    return {
      name,
      ...services[name],
      processes: count(name),
      supervised: name === "postgres" ? !input.beside.includes("postgres") : name !== "bus" && name !== "agent",
      heapMibMax: services[name].heapMib === undefined ? null : heap,
      memoryHighBytes: memoryMaxBytes - wholeMib(memoryMaxBytes / 16),
      memoryMaxBytes,
    };
  });
  const totalBytes = reserveBytes + planned.reduce((total, { processes, memoryMaxBytes: max }) => total + processes * max, 0);
  return {
    cores,
    memoryBytes,
    reserveBytes,
    services: planned,
    totalBytes,
    neededBytes: Math.min(memoryBytes, totalBytes),
    fits: totalBytes <= memoryBytes,
    gatewayBufferBytesMax: config.gateway.bufferBytesMax,
    pools,
    disk: {
      retentionBytesMax: config.retention.bytesMax,
      walBytesMax: present.includes("postgres") ? bytesOf(settings, "max_wal_size") : 0,
      unreadBytesMax: Math.max(config.streams.unreadBytesMax, config.streams.bytesMax),
      freeBytesMin: config.disk.freeBytesMin,
    },
    postgresOverrides: overrides,
    postgresSettings: machineSettingsOf(input, overrides),
    openFilesMax: 2 ** Math.ceil(Math.log2(config.gateway.sessionsMax + filesBesideSessions)),
  };
}

/** Whether a service runs on this host. */
function isPresent(name: ServiceName, { config, beside }: HostInput): boolean {
  switch (name) {
    case "postgres":
      return config.database.url.isEmpty || beside.includes("postgres");
    case "bus":
    case "agent":
      return beside.includes(name);
    case "forensics":
    case "demo":
      return config[name].enabled;
    default:
      return true;
  }
}

function heapMib(name: ServiceName, room: number): number {
  const { heapMib: bounds } = services[name];
  return bounds === undefined ? 0 : bounds.min + Math.floor((bounds.max - bounds.min) * room);
}

/** What a process may have beside its heap; of a gateway its buffer and its connections, too. */
function besideHeapBytes(name: ServiceName, { gateway }: Config): number {
  const growing = name === "gateway" ? gateway.bufferBytesMax + gateway.sessionsMax * connectionBytes : 0;
  return services[name].besideHeapMib * mib + Math.ceil(growing / mib) * mib;
}

function poolsOf(config: Config, gateways: number): PoolPlan {
  const total = connectionBudget(config, gateways);
  return { perProcess: roleConnections(config), reserved: reservedConnections, total, serverMax: serverConnections(total) };
}

function machineSettingsOf(
  { cores, memoryBytes, diskFreeBytes }: HostInput,
  overrides: Readonly<Record<string, string>>,
): Record<string, string> {
  const all = serverSettings({
    machine: { cores, memoryBytes },
    disk: { freeBytes: diskFreeBytes, totalBytes: diskFreeBytes },
    socketDirectory: "",
    port: 0,
    overrides,
  });
  return Object.fromEntries(machineSettings.map((name) => [name, all[name] ?? ""]));
}

/** What PostgreSQL takes when every connection of the budget and every worker is at work. */
function postgresBytesMin(settings: Readonly<Record<string, string>>, connections: number): number {
  const megabytes = (name: string): number => bytesOf(settings, name);
  // A worker of its own for each table that is vacuumed, and one index that somebody makes.
  const maintenance = (Number(settings["autovacuum_max_workers"]) + 1) * megabytes("maintenance_work_mem");
  const own = megabytes("shared_buffers") * sharedOverhead + connections * backendBytes + maintenance + pageCacheBytesMin;
  return wholeMib(own) + services.postgres.besideHeapMib * mib;
}

/** A setting of whole megabytes, in bytes. */
function bytesOf(settings: Readonly<Record<string, string>>, name: string): number {
  return Number((settings[name] ?? "").replace(/MB$/, "")) * mib;
}

function wholeMib(bytes: number): number {
  return Math.floor(bytes / mib) * mib;
}
