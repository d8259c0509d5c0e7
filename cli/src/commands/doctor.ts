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
import { terminalSafe } from "../terminal/terminal_safe.ts";
import type { CommandSpec } from "./command.ts";

export const doctorCommand: CommandSpec = {
  path: "doctor",
  summary: "check this installation and say what is wrong and what to do about it",
  prose:
    "Looks at the Node.js version, the configuration, permissions of data directory and key files, PostgreSQL's durability settings (fsync, full_page_writes and synchronous_commit must not be off; an external server is asked also while nothing runs), memory, free disk, the gateway's port, the roles' processes and the clock. Works with the system running or not.",
  options: [],
  examples: [
    { line: "ransomeye doctor", says: "Exit code 1 if anything fails." },
    { line: "ransomeye doctor --json", says: "For monitoring." },
  ],
  json: `{"ok": boolean, "findings": [{"check": string, "level": "ok" | "warn" | "fail", "message": string, "next": string | null}]}`,
  exits: ["ok", "found", "usage"],
  async run(context) {
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
