/**
 * Why it exists: where systemd runs a host, it divides it: slices for what runs as units of its own, and for the supervisor a group that it divides itself (control_groups.ts).
 * Enforces: every figure in a unit is the plan's; what a unit may do beyond its work is taken from it.
 * Forbids: options that Node.js or PostgreSQL cannot live with; where one is missing that is expected, the unit says why.
 */
import type { HostPlan, ServicePlan } from "./plan.ts";
import { type ServiceName, services } from "./services.ts";

const mib = 1024 * 1024;
const installed = "/opt/ransomeye";

/** Slices by the services that have one; the supervisor's children share `core`. */
const sliceOf = { postgres: "db", bus: "bus", agent: "agent" } as const;

/** Processes and threads of the supervisor's unit: eleven or so for each Node.js process, and one for each connection to PostgreSQL. */
export const tasksMax = 1024;

/** Files for systemd by name, for a plan. */
export function unitFiles(plan: HostPlan): Readonly<Record<string, string>> {
  const files: Record<string, string> = { "ransomeye.service": serviceUnit(plan), "ransomeye.slice": wholeSlice(plan) };
  files["ransomeye-core.slice"] = slice(
    plan,
    "what `ransomeye start` runs",
    plan.services.filter(({ supervised }) => supervised),
  );
  for (const [name, part] of Object.entries(sliceOf) as [keyof typeof sliceOf, string][]) {
    const found = plan.services.find((one) => one.name === name && !one.supervised);
    if (found !== undefined) files[`ransomeye-${part}.slice`] = slice(plan, found.does, [found]);
  }
  for (const [path, text] of dropIns(plan)) files[path] = text;
  return files;
}

/** For units of others: into their slice, and among the last that a host short of memory ends. */
function dropIns(plan: HostPlan): [string, string][] {
  const found: [string, string][] = [];
  const dropIn = (unit: string, service: ServicePlan, part: string, more: readonly string[]): void => {
    found.push([
      `${unit}.d/ransomeye.conf`,
      [
        ...heading(plan),
        "[Service]",
        `Slice=ransomeye-${part}.slice`,
        "OOMPolicy=continue",
        `OOMScoreAdjust=${service.oomScore}`,
        ...more,
        "",
      ].join("\n"),
    ]);
  };
  const of = (name: ServiceName): ServicePlan | undefined => plan.services.find((one) => one.name === name && !one.supervised);
  const postgres = of("postgres");
  if (postgres !== undefined)
    dropIn("postgresql@.service", postgres, sliceOf.postgres, [
      "# The postmaster last; a backend as any other process.",
      "Environment=PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0",
    ]);
  const bus = of("bus");
  for (const unit of ["valkey-server.service", "redis-server.service"]) if (bus !== undefined) dropIn(unit, bus, sliceOf.bus, []);
  return found;
}

function heading({ cores, memoryBytes }: HostPlan): string[] {
  return [
    `# Made by \`ransomeye host units\` for a host with ${cores} cores and ${memoryBytes / mib} MiB; for another one make them anew.`,
    "# What the figures mean: core/docs/reference/one_host.md.",
  ];
}

function wholeSlice(plan: HostPlan): string {
  const all = plan.totalBytes - plan.reserveBytes;
  return [
    ...heading(plan),
    "[Unit]",
    "Description=RansomEye and what it needs",
    "",
    "[Slice]",
    "# What is left is the kernel's, its page cache's and whoever logs in.",
    `MemoryMax=${all / mib}M`,
    "",
  ].join("\n");
}

/** Weights add up, so that services share the processors as if each stood alone; the supervisor divides its slice's further. */
function slice(plan: HostPlan, what: string, members: readonly ServicePlan[]): string {
  const sum = (of: (service: ServicePlan) => number): number => members.reduce((total, one) => total + one.processes * of(one), 0);
  return [
    ...heading(plan),
    "[Unit]",
    `Description=RansomEye: ${what}`,
    "",
    "[Slice]",
    `CPUWeight=${sum(({ cpuWeight }) => cpuWeight)}`,
    `IOWeight=${sum(({ ioWeight }) => ioWeight)}`,
    `MemoryHigh=${sum(({ memoryHighBytes }) => memoryHighBytes) / mib}M`,
    `MemoryMax=${sum(({ memoryMaxBytes }) => memoryMaxBytes) / mib}M`,
    "",
  ].join("\n");
}

function serviceUnit(plan: HostPlan): string {
  const heap = plan.services.find(({ name }) => name === "supervisor")?.heapMibMax;
  const start = `${installed}/cli/bin/ransomeye.js start --no-demo --data-dir /var/lib/ransomeye --config %d/config.yaml --set supervisor.control_groups=true`;
  return [
    ...heading(plan),
    '# How to install it: core/docs/data_plane.md, "One host for all".',
    "[Unit]",
    "Description=RansomEye data plane",
    `Documentation=file://${installed}/core/docs/data_plane.md`,
    "Wants=network-online.target",
    "After=network-online.target postgresql.service valkey-server.service redis-server.service",
    "StartLimitIntervalSec=10min",
    "StartLimitBurst=5",
    "",
    "[Service]",
    "Type=notify",
    "# The word is sent by systemd-notify, a process beside the main one.",
    "NotifyAccess=all",
    `ExecStart=/usr/bin/env node --max-old-space-size=${heap} ${start}`,
    "# The configuration may name a database's password: root's file, shown to this service alone.",
    "LoadCredential=config.yaml:/etc/ransomeye/config.yaml",
    "User=ransomeye",
    "StateDirectory=ransomeye",
    "StateDirectoryMode=0700",
    "# Sockets; /tmp is private below, and commands of other sessions would not find them there.",
    "RuntimeDirectory=ransomeye",
    "RuntimeDirectoryMode=0700",
    "UMask=0077",
    "Restart=always",
    "RestartSec=5",
    "# A wrong command line or configuration does not become right by itself.",
    "RestartPreventExitStatus=2 3",
    "# Crash recovery of the database may take its time.",
    "TimeoutStartSec=15min",
    "# Longer than all steps of a drain (supervisor.drain_ms_max each).",
    "TimeoutStopSec=5min",
    "# A sign of life comes three times as often, and only while all that rows need is ready.",
    "WatchdogSec=3min",
    "# Roles stop on the supervisor's word, in the order that loses nothing (R-22).",
    "KillMode=mixed",
    "",
    "# Its share of the host; below this unit the supervisor makes a group for each process.",
    "Slice=ransomeye-core.slice",
    "Delegate=cpu io memory pids",
    `TasksMax=${tasksMax}`,
    `LimitNOFILE=${plan.openFilesMax}`,
    "# One process that is ended for memory comes back by itself; the others go on.",
    "OOMPolicy=continue",
    "# The lowest of its processes; the supervisor raises it for the others.",
    `OOMScoreAdjust=${Math.min(...Object.values(services).map(({ oomScore }) => oomScore))}`,
    "",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "# Not ProtectControlGroups: the supervisor writes into the group that Delegate= gives it, and may write into no other.",
    "ProtectControlGroups=no",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "KeyringMode=private",
    "# Not MemoryDenyWriteExecute: V8 writes the machine code that it runs.",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n");
}
