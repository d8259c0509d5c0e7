/**
 * Why it exists: the database enforces who may do what, so somebody has to be able to check the database (DB-2), also somebody who trusts none of us.
 * Enforces: held against the ownership matrix and against a database that this release has just made; every difference is named; a difference has its own exit code.
 * Forbids: repairing anything, and any right but the reader's.
 */
import { auditDatabase, type Drift, openReference } from "ransomeye-db";
import { recordingTelemetry } from "ransomeye-kernel";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import type { CommandSpec } from "./command.ts";
import { openReader } from "./context.ts";

/** A view's whole question is in the JSON. */
const lineCharsMax = 400;

export const dbAuditCommand: CommandSpec = {
  path: "db audit",
  summary: "hold the database's catalogue against the ownership matrix and this release, and name every difference",
  prose:
    "Compares rights, owners, roles and their memberships, tables, days, indexes, triggers, views, functions and the settings that receipts rest on. What should be comes from the matrix (core/docs/reference/ownership.md) and from a database that this release makes for the purpose, on a server of its own that is gone afterwards; that takes some seconds and about 60 MB below the temporary directory. Nothing is changed. `ransomeye start` puts rights and owners right; what else differs somebody has to understand first. This checks what the database enforces, and `ransomeye audit` what it holds.",
  options: [],
  examples: [
    { line: "ransomeye db audit", says: "What differs; exit code 1 if anything does." },
    { line: "ransomeye db audit --json", says: "For a script that runs every night." },
  ],
  json: `{"clean": boolean, "log": "here" | "elsewhere", "differences": [{"object": string, "found": string | null, "wanted": string | null}]}
log: where the log lies, for rights follow it; found is null where something is missing, wanted where something is too much`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context) {
    await using reader = await openReader(context);
    const live = await reader.pool.connect();
    try {
      const { rows } = await live.query<{ log_elsewhere: boolean }>("SELECT log_elsewhere FROM views.log");
      const log = rows[0]?.log_elsewhere === true ? "elsewhere" : "here";
      const { clock, random } = context;
      const reference = await openReference({ log, telemetry: recordingTelemetry(), clock, random });
      try {
        const differences = await auditDatabase({ live, reference: reference.client, log });
        context.result({ clean: differences.length === 0, log, differences }, auditText(differences));
        return differences.length === 0 ? "ok" : "found";
      } finally {
        await reference.close();
      }
    } finally {
      live.release();
    }
  },
};

function auditText(differences: readonly Drift[]): string {
  if (differences.length === 0) return "the database is as this release makes it";
  const safe = (text: string): string => terminalSafe(text, lineCharsMax);
  const parts = differences.map(
    ({ object, found, wanted }) => `${safe(object)}\n  found      ${safe(found ?? "nothing")}\n  should be  ${safe(wanted ?? "nothing")}`,
  );
  return `${parts.join("\n")}\n\n${differences.length} ${differences.length === 1 ? "difference" : "differences"}`;
}
