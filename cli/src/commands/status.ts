/**
 * Why it exists: is it up, is it ready, how much comes in, and how long will the disk last (R-33).
 * Enforces: works in every phase; `--wait ready` returns only when rows can flow; a ledger that does not balance, a bus that is paused (R-33) or a
 * partition that has stopped (R-2) is said, with an exit code of its own.
 * Forbids: counting all rows: this is to be asked often. The running system counts, and its verdict is read here.
 */
import { utcDay } from "ransomeye-db";
import { diskFacts, sleep } from "ransomeye-kernel";
import type { ExitName } from "../errors.ts";
import { divergedPlaces } from "../queries/divergence.ts";
import { type QuarantineStatus, readGates, readQuarantine, type ShownGate, shownGates } from "../queries/gates.ts";
import { heldDays, legalHolds } from "../queries/holds.ts";
import { readLag } from "../queries/ledger.ts";
import { registryRequest } from "../registry/client.ts";
import type { ShownAuthority } from "../registry/requests.ts";
import { pausedReason } from "../queries/paused.ts";
import { bytesPerDay, daysStored } from "../queries/storage.ts";
import { readBusFile, shownServers } from "../supervisor/bus_file.ts";
import type { DataDir } from "../supervisor/data_dir.ts";
import { isRunning } from "../supervisor/process_facts.ts";
import { guestRoles, type RuntimeFile, readRuntime } from "../supervisor/runtime_file.ts";
import { formatBytes, formatSeconds, formatTable, formatTimeUs } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { type CommandContext, type CommandSpec, textOption } from "./command.ts";
import { openReader } from "./context.ts";
import { secondsOption } from "./audit.ts";

const waitDefaultS = "300";
const pollMs = 100;

export const statusCommand: CommandSpec = {
  path: "status",
  summary: "what runs, where producers connect, how much is stored and how long the disk lasts",
  options: [
    { flags: "--wait <state>", help: "wait until the system is ready: rows can flow", choices: ["ready"] },
    { flags: "--timeout <seconds>", help: `how long to wait (default ${waitDefaultS})` },
  ],
  examples: [
    { line: "ransomeye status", says: "At a glance." },
    { line: "ransomeye status --wait ready --json", says: "In a script, after starting the system in the background." },
  ],
  json: `{"running": boolean, "ready": boolean, "phase": "stopped" | "starting" | "ready" | "draining", "data_dir": string, "supervisor_pid": n | null,
 "uptime_seconds": n | null, "gateway": {"host": string, "port": n} | null,
 "roles": [{"role": string, "name": string, "pid": n | null, "restarts": n, "ready": boolean}],
 "postgres": {"embedded": boolean, "pid": n | null, "restarts": n} | null,
 "storage": {"bytes": n, "bytes_per_day": n, "days": [{"day": string, "bytes": n, "holds": [n]}],
   "holds": {"open": n, "days": n, "bytes": n}, "retention_bytes_max": n, "retention_days_max": n,
   "disk_free_bytes": n, "disk_total_bytes": n, "seconds_until_full": n | null} | null,
 "gateways": [{"gateway": string, "state": "open" | "throttled" | "paused" | "starting" | "silent", "reason": string, "sessions": n, "heard_us": n | null}],
 "quarantine": [{"producer": string, "gateway": string, "code": string, "since_us": n, "until_us": n}],
 "log_servers": string | null, "lag_batches": n | null, "paused": string | null, "stopped_partitions": [n], "ledger": {"balanced": boolean, "since_us": n} | null,
 "certificates": {"gateway_days": n, "root_days": n, "retiring_days": n | null, "producers_ending": n} | null}
certificates: whole days until they end; producers_ending counts active producers whose last one ends within 30 days.
ledger: what the running system's own counting says, and since when; null before the first count.
gateways: what each gateway process last said; it throttles or pauses its producers by buffer, append_latency, engine_lag, bus_lag or the bus's own reason.
starting: it is not ready yet or has not reported yet, producers keep their events; silent: it runs and has not reported for ten seconds.
quarantine: producers that flooded a gateway and are refused for a while; code is the last offence.
log_servers: where the frame log lies, if not in the database.
paused: why the bus takes nothing at the moment; producers keep what they have until it does.
holds: what legal holds keep; these bytes stand beside retention_bytes_max.
seconds_until_full: until retention begins to drop days or the disk's floor is reached, whichever is first, at today's rate; null if nothing comes in.`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    const dir = await context.dataDir();
    const ready =
      options["wait"] === "ready" ? await waitReady(context, dir, secondsOption(textOption(options, "timeout") ?? waitDefaultS)) : true;
    const runtime = await readRuntime(dir);
    const running = runtime !== undefined && isRunning(runtime.supervisor);
    const servers = running ? await readBusFile(dir) : undefined;
    const status = {
      ...processFacts(context, dir, running ? runtime : undefined),
      log_servers: servers === undefined ? null : shownServers(servers),
      ...(running ? await storedFacts(context, dir) : nothingStored),
      certificates: running ? await certificateDays(context, runtime) : null,
    };
    context.result(status, statusText(status));
    if (!running || !ready) return "unreachable" satisfies ExitName;
    const closed =
      status.paused !== null ||
      status.gateways.some(({ state }) => state === "paused" || state === "silent") ||
      status.quarantine.length > 0;
    const wrong = status.ledger?.balanced === false || closed || status.stopped_partitions.length > 0;
    return wrong ? "found" : "ok";
  },
};

type ProcessFacts = ReturnType<typeof processFacts>;
type StoredFacts = Awaited<ReturnType<typeof storedFacts>> | typeof nothingStored;

interface CertificateDays {
  readonly gateway_days: number;
  readonly root_days: number;
  readonly retiring_days: number | null;
  readonly producers_ending: number;
}

/** Days until this installation's certificates end; null where the registry cannot say. */
async function certificateDays(context: CommandContext, runtime: RuntimeFile): Promise<CertificateDays | null> {
  const days = (endUs: number): number => Math.floor((endUs - context.clock.nowUs()) / 86_400_000_000);
  try {
    const shown = (await registryRequest(runtime.registrySocket, { op: "authority" }, context.clock)) as ShownAuthority;
    return {
      gateway_days: days(shown.gateway_not_after_us),
      root_days: days(shown.not_after_us),
      retiring_days: shown.retiring === null ? null : days(shown.retiring.retires_us),
      producers_ending: shown.producers_ending,
    };
  } catch {
    return null;
  }
}

function certificateText({ gateway_days, root_days, retiring_days, producers_ending }: CertificateDays): string {
  const retiring = retiring_days === null ? "" : `, the one before it believed for ${retiring_days} days`;
  const ending = producers_ending === 0 ? "" : `; ${producers_ending} producers' end within 30 days: ransomeye producer list`;
  return `trust      gateway's ends in ${gateway_days} days, the authority's in ${root_days}${retiring}${ending}`;
}

const nothingStored = {
  storage: null,
  gateways: [] as readonly ShownGate[],
  quarantine: [] as readonly QuarantineStatus[],
  lag_batches: null,
  paused: null as string | null,
  stopped_partitions: [] as readonly number[],
};

function isReady(runtime: RuntimeFile): boolean {
  return runtime.phase === "ready" && runtime.children.every((child) => child.ready || guestRoles.some((guest) => guest === child.role));
}

async function waitReady(context: CommandContext, dir: DataDir, seconds: number): Promise<boolean> {
  const untilMs = context.clock.monotonicMs() + seconds * 1000;
  for (;;) {
    const runtime = await readRuntime(dir);
    if (runtime !== undefined && isRunning(runtime.supervisor) && isReady(runtime)) return true;
    if (context.clock.monotonicMs() >= untilMs) return false;
    await sleep(context.clock, pollMs);
  }
}

function processFacts(context: CommandContext, dir: DataDir, runtime: RuntimeFile | undefined) {
  return {
    running: runtime !== undefined,
    ready: runtime !== undefined && isReady(runtime),
    phase: runtime?.phase ?? ("stopped" as const),
    data_dir: dir.root,
    supervisor_pid: runtime?.supervisor.pid ?? null,
    uptime_seconds: runtime === undefined ? null : Math.round((context.clock.nowUs() - runtime.startedUs) / 1_000_000),
    gateway: runtime?.gateway ?? null,
    roles: (runtime?.children ?? []).map(({ role, name, pid, restarts, ready }) => ({ role, name, pid, restarts, ready })),
    postgres:
      runtime?.postgres == null
        ? null
        : { embedded: runtime.postgres.embedded, pid: runtime.postgres.pid, restarts: runtime.postgres.restarts },
    ledger: runtime?.ledger == null ? null : { balanced: runtime.ledger.balanced, since_us: runtime.ledger.sinceUs },
  };
}

async function storedFacts(context: CommandContext, dir: DataDir) {
  try {
    const config = await context.config();
    await using reader = await openReader(context);
    const days = await daysStored(reader.pool, context.clock.nowUs());
    const bytes = days.reduce((sum, day) => sum + day.bytes, 0);
    const held = heldDays(days, utcDay(context.clock.nowUs()));
    const open = (await legalHolds(reader.pool)).filter(({ releasedUs }) => releasedUs === null).length;
    const perDay = bytesPerDay(days, context.clock.nowUs());
    const disk = await diskFacts(reader.runtime.postgres?.embedded === true ? dir.postgres : dir.root);
    const floor = Math.max(config.disk.freeBytesMin, disk.totalBytes * config.disk.freeRatioMin);
    const room = Math.max(0, Math.min(config.retention.bytesMax - (bytes - held.bytes), disk.freeBytes - floor));
    return {
      storage: {
        bytes,
        bytes_per_day: perDay,
        days,
        holds: { open, ...held },
        retention_bytes_max: config.retention.bytesMax,
        retention_days_max: config.retention.daysMax,
        disk_free_bytes: disk.freeBytes,
        disk_total_bytes: disk.totalBytes,
        seconds_until_full: perDay === 0 ? null : Math.round((room / perDay) * 86_400),
      },
      gateways: shownGates(
        reader.runtime.children.filter(({ role }) => role === "gateway"),
        await readGates(reader.pool, context.clock.nowUs()),
        context.clock.nowUs(),
      ),
      quarantine: await readQuarantine(reader.pool, context.clock.nowUs()),
      lag_batches: await readLag(reader.pool),
      paused: await pausedReason(reader.pool),
      stopped_partitions: (await divergedPlaces(reader.pool)).map(({ part }) => part),
    };
  } catch {
    // Starting, or PostgreSQL on its way back: the rest of the status still holds.
    return nothingStored;
  }
}

function gatewayText({ gateway, state, reason, sessions }: ShownGate): string {
  const name = terminalSafe(gateway);
  if (state === "starting") return `producers  wait for ${name}, which is starting`;
  if (state === "silent") return `producers  unknown on ${name}: it has not reported for ten seconds`;
  return `producers  ${sessions} on ${name}, ${state}${state === "open" ? "" : `: ${terminalSafe(reason)}`}`;
}

interface ShownBeside {
  readonly log_servers: string | null;
  readonly certificates: CertificateDays | null;
}

function statusText(status: ProcessFacts & StoredFacts & ShownBeside): string {
  if (!status.running) return `not running  (data directory ${terminalSafe(status.data_dir)})`;
  const lines = [
    `${status.ready ? "ready" : status.phase}  data in ${terminalSafe(status.data_dir)}, up ${formatSeconds(status.uptime_seconds ?? 0)}`,
    `gateway    ${status.gateway === null ? "not yet" : `${status.gateway.host}:${status.gateway.port}`}`,
    `postgres   ${status.postgres === null ? "not yet" : status.postgres.embedded ? `embedded, process ${status.postgres.pid ?? "starting again"}, restarts ${status.postgres.restarts}` : "external"}`,
    ...(status.log_servers === null ? [] : [`log        on ${terminalSafe(status.log_servers)}`]),
    "",
    formatTable(
      ["name", "process", "restarts", "state"],
      status.roles.map((role) => [role.name, String(role.pid ?? "-"), String(role.restarts), role.ready ? "ready" : "starting"]),
    ),
  ];
  const { storage } = status;
  if (storage !== null) {
    lines.push(
      "",
      `stored     ${formatBytes(storage.bytes - storage.holds.bytes)} of ${formatBytes(storage.retention_bytes_max)}, about ${formatBytes(storage.bytes_per_day)} a day; disk free ${formatBytes(storage.disk_free_bytes)}`,
      storage.seconds_until_full === null
        ? "full in    unknown: nothing comes in"
        : `full in    ${formatSeconds(storage.seconds_until_full)} (then retention drops the oldest day, or the gateway pauses)`,
      `waiting    ${status.lag_batches ?? 0} signed batches between bus and rows`,
    );
  }
  if (storage !== null && storage.holds.open > 0)
    lines.push(
      `held       ${formatBytes(storage.holds.bytes)} in ${storage.holds.days} days, kept beside that by ${storage.holds.open} legal holds: ransomeye hold list`,
    );
  for (const gate of status.gateways) lines.push(gatewayText(gate));
  for (const { producer, gateway, code, until_us } of status.quarantine)
    lines.push(`QUARANTINE ${producer} at ${terminalSafe(gateway)} until ${formatTimeUs(until_us)}: ${terminalSafe(code)}`);
  if (status.certificates !== null) lines.push(certificateText(status.certificates));
  if (status.ledger !== null) lines.push(`ledger     ${status.ledger.balanced ? "balanced" : "NOT BALANCED: ransomeye audit says where"}`);
  if (status.paused !== null)
    lines.push(`PAUSED     ${terminalSafe(status.paused)}: the gateway takes nothing, producers keep their events`);
  if (status.stopped_partitions.length > 0)
    lines.push(
      `STOPPED    partitions ${status.stopped_partitions.join(", ")}: the log's history was rewritten; ransomeye reconcile says more`,
    );
  return lines.join("\n");
}
