/**
 * Why it exists: what is wrong with this installation, before it hurts or after it did.
 * Enforces: every check says what it looked at and what to do; settings that would make a receipt a lie are a failure.
 * Forbids: changing anything.
 */
import type { ExitName } from "../errors.ts";
import {
  checkConfig,
  checkData,
  checkDatabase,
  checkDisk,
  checkNode,
  checkPort,
  checkProcesses,
  checkSettingsFiles,
} from "../doctor/checks.ts";
import type { Finding } from "../doctor/finding.ts";
import { checkMemory } from "../doctor/memory.ts";
import { printPlan } from "../doctor/plan.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import type { CommandSpec, OptionSpec } from "./command.ts";

/** What a plan is made for. */
export const machineOptions: readonly OptionSpec[] = [
  { flags: "--cores <n>", help: "for a machine with so many processors (default: this one)" },
  { flags: "--ram <bytes>", help: "for a machine with so much memory, such as 24GiB (default: this one)" },
  { flags: "--with <services>", help: "what runs on that host as units of their own: postgres, bus, agent, with commas" },
];

const planOptions: readonly OptionSpec[] = [
  { flags: "--plan", help: "say how the host is divided among its services, instead of checking" },
  ...machineOptions,
];

export const doctorCommand: CommandSpec = {
  path: "doctor",
  summary: "check this installation and say what is wrong and what to do about it",
  prose:
    "Looks at the Node.js version, the configuration, permissions of data directory and key files, PostgreSQL's durability settings (fsync, full_page_writes and synchronous_commit must not be off, data_sync_retry not on; an external server is asked also while nothing runs), checksums of its pages, memory, free disk, the gateway's port, the roles' processes and the clock. Works with the system running or not. With --plan it says instead how this host, or one that is described, is divided among all services: memory, processor, disk, PostgreSQL's settings, connections, ports and sockets. A start follows that plan; core/docs/data_plane.md, \"One host for all\".",
  options: planOptions,
  examples: [
    { line: "ransomeye doctor", says: "Exit code 1 if anything fails." },
    { line: "ransomeye doctor --json", says: "For monitoring." },
    { line: "ransomeye doctor --plan", says: "Who may have what on this host." },
    {
      line: "ransomeye doctor --plan --cores 2 --ram 24GiB --with bus,agent",
      says: "On another one, which also runs the log's server and an agent.",
    },
  ],
  json: `{"ok": boolean, "findings": [{"check": string, "level": "ok" | "warn" | "fail", "message": string, "next": string | null}]}
with --plan: {"cores": number, "memory_bytes": number, "reserve_bytes": number, "total_bytes": number,
  "services": [{"service": string, "processes": number, "supervised": boolean, "memory_high_bytes": number, "memory_max_bytes": number, "heap_mib_max": number | null, "cpu_weight": number, "io_weight": number, "oom_score": number, "nice": number}],
  "postgres_settings": {NAME: string}, "pools": {"per_process": {ROLE: number}, "reserved": number, "total": number, "max_connections": number},
  "disk": {"retention_bytes_max": number, "wal_bytes_max": number, "unread_bytes_max": number, "free_bytes_min": number}, "gateway_buffer_bytes_max": number, "open_files_max": number,
  "endpoints": [{"service": string, "what": string, "kind": "tcp" | "unix", "address": string, "field": string | null, "network": boolean}], "conflicts": [string]}
  total_bytes: memory_max_bytes of all processes, and reserve_bytes`,
  exits: ["ok", "found", "usage"],
  async run(context, _args, options) {
    if (options["plan"] === true) return (await printPlan(context, await context.config(), options)) ? "ok" : "found";
    const findings: Finding[] = [checkNode()];
    const config = await checkConfig(context, findings);
    if (config !== undefined) {
      findings.push(checkMemory(config));
      const dir = await context.dataDir();
      for (const check of [checkData, checkSettingsFiles, checkDisk, checkPort, checkProcesses, checkDatabase])
        findings.push(...(await check(context, dir, config)));
    }
    const ok = findings.every((finding) => finding.level !== "fail");
    const mark = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;
    const lines = findings.map(
      (f) => terminalSafe(`${mark[f.level]}  ${f.check}: ${f.message}`) + (f.next === null ? "" : `\n        ${terminalSafe(f.next)}`),
    );
    context.result({ ok, findings }, lines.join("\n"));
    return ok ? "ok" : ("found" satisfies ExitName);
  },
};
