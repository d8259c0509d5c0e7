/**
 * Why it exists: two services that want one port, or one path for a socket, find out at a start, and the second of them is the one that is missing.
 * Enforces: every port and socket of a host is in one list, each with the field that changes it; conflicts and paths that the system does not take are found before a start.
 * Forbids: a port that is open to the network unless the configuration says so.
 */
import { join } from "node:path";
import { parseConnectionUrl } from "ransomeye-db";
import { type Config, limits } from "ransomeye-kernel";
import { backupSocketName } from "../backup/backup_desk.ts";
import { redisUrl } from "../supervisor/bus_url.ts";
import { controlSocketName } from "../supervisor/control.ts";
import { splitAddress } from "../supervisor/gateway_address.ts";
import { metricsSocketName, registrySocketName, sealerSocketName } from "../supervisor/ipc.ts";
import { processNames } from "../supervisor/process_names.ts";
import { busHosts, isLoopback } from "./beside.ts";
import type { HostPlan } from "./plan.ts";
import type { ServiceName } from "./services.ts";

/** Something that can be connected to. */
export interface Endpoint {
  readonly service: ServiceName;
  readonly what: string;
  readonly kind: "tcp" | "unix";
  /** `host:port`, or a path. Port 0: any free one. */
  readonly address: string;
  /** The configuration's field for it; null where it follows from the data directory. */
  readonly field: string | null;
  /** Whether other hosts reach it. */
  readonly network: boolean;
}

/** Where Debian's servers listen by default; a URL of this host names the one that is used. */
const postgresPort = 5432;
const busPort = 6379;

/** All ports and sockets of the plan's services. `socketDir`: the system's folder for sockets. */
export function hostEndpoints(config: Config, plan: HostPlan, socketDir: string): Endpoint[] {
  const unix = (service: ServiceName, what: string, path: string, field: string | null = null): Endpoint => ({
    service,
    what,
    kind: "unix",
    address: path,
    field,
    network: false,
  });
  const found: Endpoint[] = [tcp("gateway", "signed batches of producers", config.gateway.listen, "gateway.listen")];
  if (config.enrolment.enabled) found.push(tcp("registry", "enrolment and renewal", config.enrolment.listen, "enrolment.listen"));
  for (const { name, supervised } of plan.services) {
    if (name === "postgres") {
      const { listenPort } = config.database;
      if (supervised) found.push(unix(name, "database", join(socketDir, "pg", `.s.PGSQL.${listenPort}`), "database.listen_port"));
      else found.push(...externalPostgres(config));
      continue;
    }
    if (name === "bus") {
      found.push(externalBus(config));
      continue;
    }
    if (!supervised && name !== "supervisor") continue;
    if (name === "registry") found.push(unix(name, "requests of commands and gateways", join(socketDir, registrySocketName)));
    if (name === "sealer") found.push(unix(name, "attestations, asked for by exports", join(socketDir, sealerSocketName)));
    if (name === "supervisor") found.push(unix(name, "requests of commands", join(socketDir, controlSocketName)));
    if (name === "supervisor" && config.database.url.isEmpty) found.push(unix(name, "backups", join(socketDir, backupSocketName)));
    const processes = name === "supervisor" ? [name] : processNames(name as Parameters<typeof processNames>[0], gatewaysOf(plan));
    for (const one of processes) found.push(unix(name, `metrics of ${one}`, join(socketDir, metricsSocketName(one))));
  }
  return found;
}

/** What of a list cannot be together, in words. */
export function endpointConflicts(endpoints: readonly Endpoint[]): string[] {
  const problems: string[] = [];
  for (const [n, one] of endpoints.entries()) {
    if (one.kind === "unix" && Buffer.byteLength(one.address) > limits.socketPathBytesMax)
      problems.push(`${one.address} (${one.what}) is longer than ${limits.socketPathBytesMax} bytes; choose a shorter data directory`);
    for (const other of endpoints.slice(n + 1)) {
      if (!collide(one, other)) continue;
      const fields = [one.field, other.field].filter((field) => field !== null);
      problems.push(
        `${one.service} (${one.what}) and ${other.service} (${other.what}) both want ${one.address}; change ${fields.length === 0 ? "the data directory" : fields.join(" or ")}`,
      );
    }
  }
  return problems;
}

function collide(one: Endpoint, other: Endpoint): boolean {
  if (one.kind !== other.kind) return false;
  if (one.kind === "unix") return one.address === other.address;
  const [a, b] = [splitAddress(one.address), splitAddress(other.address)];
  return a.port === b.port && a.port !== 0 && (a.host === b.host || isWildcard(a.host) || isWildcard(b.host));
}

function tcp(service: ServiceName, what: string, address: string, field: string): Endpoint {
  const { host } = splitAddress(address);
  return { service, what, kind: "tcp", address, field, network: !isLoopback(host) };
}

function externalPostgres(config: Config): Endpoint[] {
  const field = "database.url";
  if (config.database.url.isEmpty) return [tcp("postgres", "database", `127.0.0.1:${postgresPort}`, field)];
  const { host, port } = parseConnectionUrl(config.database.url.reveal());
  return host.startsWith("/")
    ? [{ service: "postgres", what: "database", kind: "unix", address: join(host, `.s.PGSQL.${port}`), field, network: false }]
    : [tcp("postgres", "database", hostPort(host, port), field)];
}

function externalBus(config: Config): Endpoint {
  const url = redisUrl(config) ?? `redis://127.0.0.1:${busPort}`;
  const [host = "127.0.0.1"] = busHosts(url);
  const what = "the log's server";
  if (host.startsWith("/")) return { service: "bus", what, kind: "unix", address: host, field: "bus.url", network: false };
  const port = Number(/:(\d+)(?:[,/?]|$)/.exec(url.replace(/^[a-z+]+:\/\/(?:[^@/]*@)?/, ""))?.[1] ?? busPort);
  return tcp("bus", what, hostPort(host, port), "bus.url");
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function gatewaysOf(plan: HostPlan): number {
  return plan.services.find(({ name }) => name === "gateway")?.processes ?? 0;
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
