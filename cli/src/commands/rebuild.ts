/**
 * Why it exists: rows that a wrong normaliser has made, or that somebody has touched, are made again from what was signed; an operator sees first what that changes.
 * Enforces: without --apply nothing changes; what is replaced is kept until it is let go; who did it is on record.
 * Forbids: the administrator's connection, and choosing single rows: a day is whole.
 */
import { discardRebuild, type Pool, type RebuildFinding, rebuildFindings, type RebuildRefusal, undoRebuild } from "ransomeye-db";
import { rebuildDay, type RebuildOutcome } from "ransomeye-engine";
import { recordingTelemetry } from "ransomeye-kernel";
import { CliError, type ExitName } from "../errors.ts";
import { formatTable, formatTimeUs } from "../terminal/format.ts";
import { onInterrupt } from "../terminal/interrupt.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import { userName } from "../terminal/user_name.ts";
import type { CommandContext, CommandSpec, OptionValues } from "./command.ts";
import { openAs, openReader } from "./context.ts";

/** Why a day is left as it is, in words that say what to do. */
const refusals: Readonly<Record<RebuildRefusal, string>> = {
  today: "it is not over",
  leaving: "retention is about to remove it",
  gone: "its batches are not there: retention has removed them, or nothing was received",
  unread: "the engine has not stored all of it yet; `ransomeye status` says how far it is",
  detached: "somebody has detached a table of it; `ransomeye db audit` names it",
  busy: "another rebuild is under way",
  kept: "what an earlier rebuild has replaced is still kept; --undo puts it back, --discard lets it go",
  none: "nothing is kept beside it",
  waiting: "somebody's transaction looks at a moment before the new rows were there, and goes on; try again when it is over",
  locked: "somebody's transaction holds a table of rows, and goes on; try again when it is over",
  unfolded: "the ledger's sums do not have all of it; `ransomeye audit` says why",
  moved: "it has batches that came while it was read; try again",
  held: "a legal hold keeps the day, and what it was before; `ransomeye hold list` shows it",
};

const findingShape = `{"table": string, "kind": "same" | "reversioned" | "changed" | "recovered" | "missing" | "refused" | "foreign" | "new" | "gone", "columns": [string],
 "version_was": n | null, "version_is": n | null, "events": n, "examples": [id]}`;

export const rebuildCommand: CommandSpec = {
  path: "rebuild",
  args: "[day]",
  summary: "make a day's rows again from its signed batches, show what differs, and put them into place",
  prose:
    "Reads every batch that was received on that day (UTC, YYYY-MM-DD), derives its rows, dead letters and gaps with the code of this release, and compares them with those that are stored: the same, the same by another version of the normaliser (reversioned), changed (in which columns), dead letters that are rows now (recovered), rows that are dead letters now (refused), rows that somebody removed (missing) and rows that no batch explains (foreign). Nothing changes without --apply. With it the day's rows are replaced in one moment: who reads finds the old ones or the new ones, and the ledger balances throughout; a long transaction of somebody's is waited for, a minute at most. What was replaced is kept until --undo puts it back or --discard lets it go, or retention removes the day. Messages that rows once caused (attacks) are not sent again. Without a day: what has been rebuilt, and what is kept.",
  options: [
    { flags: "--apply", help: "put the new rows into the place of the old ones" },
    { flags: "--undo", help: "put back what a rebuild has replaced" },
    { flags: "--discard", help: "let go what a rebuild has replaced; it is gone then" },
  ],
  examples: [
    { line: "ransomeye rebuild 2026-11-22", says: "What would differ. Exit code 1 if anything does." },
    {
      line: "ransomeye rebuild 2026-11-22 --apply",
      says: "After an upgrade that has corrected the normaliser, or when `audit` has found rows missing.",
    },
    { line: "ransomeye rebuild 2026-11-22 --discard", says: "The new rows have been looked at and are right." },
    { line: "ransomeye rebuild --json", says: "Who has rebuilt which day, and what is kept." },
  ],
  json: `{"day": day, "outcome": "same" | "different" | "replaced" | "undone" | "discarded", "findings": [${findingShape}]}
without a day: {"kept": [{"day": day, "state": "ready" | "replaced", "tables": [string], "made": ISO 8601, "findings": […]}],
 "records": [{"day": day, "action": "replace" | "undo" | "discard", "actor": string, "at": ISO 8601, "versions_before": [n], "versions_after": [n],
  "rows_before": n, "rows_after": n, "rows_changed": n, "dead_letters_before": n, "dead_letters_after": n}]}
ready: rows that an interrupted rebuild has left; the next one or --discard puts them away.`,
  exits: ["ok", "found", "usage", "config", "unreachable", "interrupted"],
  async run(context, [text], options) {
    const wish = wishOf(options);
    if (text === undefined) {
      if (wish !== "look") throw new CliError("CLI_USAGE", `--${wish} wants a day`);
      return await list(context);
    }
    const day = dayOf(text);
    await using rebuilder = await openAs(context, "ransomeye_rebuilder");
    if (wish === "undo") return await undo(context, rebuilder.pool, day);
    if (wish === "discard") return await discard(context, rebuilder.pool, day);
    return await rebuild(context, rebuilder.pool, day, wish === "apply");
  },
};

function wishOf(options: OptionValues): "look" | "apply" | "undo" | "discard" {
  const given = (["apply", "undo", "discard"] as const).filter((name) => options[name] === true);
  if (given.length > 1) throw new CliError("CLI_USAGE", "--apply, --undo and --discard exclude each other");
  return given[0] ?? "look";
}

function dayOf(text: string): string {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, text.length) !== text)
    throw new CliError("CLI_USAGE", `${text} is not a day: YYYY-MM-DD`);
  return text;
}

async function rebuild(context: CommandContext, pool: Pool, day: string, isApplied: boolean): Promise<ExitName> {
  const interrupt = onInterrupt();
  let outcome: RebuildOutcome;
  try {
    const { signal } = interrupt;
    const replaceAs = isApplied ? { replaceAs: userName() } : {};
    outcome = await rebuildDay({ pool, clock: context.clock, telemetry: recordingTelemetry(), day, signal, ...replaceAs });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    context.note(`interrupted; ${day} is as it was`);
    return "interrupted";
  } finally {
    interrupt.release();
  }
  if (outcome.kind === "refused" || outcome.kind === "given_up") throw refusal(day, outcome.why);
  const words = {
    same: `${day}: rows, dead letters and gaps are what its batches give`,
    different: `${day}: what is stored is not what its batches give; nothing was changed (--apply does)`,
    replaced: `${day}: replaced; what was there is kept until \`ransomeye rebuild ${day} --discard\``,
  };
  context.result(
    { day, outcome: outcome.kind, findings: outcome.findings.map(findingJson) },
    [words[outcome.kind], findingsText(outcome.findings)].join("\n"),
  );
  return outcome.kind === "different" ? "found" : "ok";
}

async function undo(context: CommandContext, pool: Pool, day: string): Promise<ExitName> {
  const { rows } = await pool.query<{ rebuild: number }>("SELECT rebuild FROM views.day_rebuilds WHERE day = $1::date", [day]);
  const kept = rows[0];
  if (kept === undefined) throw refusal(day, "none");
  const findings = await rebuildFindings(pool, kept.rebuild);
  const verdict = await undoRebuild({ pool, clock: context.clock, day, rebuild: kept.rebuild, actor: userName() });
  if (verdict !== "done") throw refusal(day, verdict);
  context.result({ day, outcome: "undone", findings: findings.map(findingJson) }, `${day}: the rows are those from before the rebuild`);
  return "ok";
}

async function discard(context: CommandContext, pool: Pool, day: string): Promise<ExitName> {
  const verdict = await discardRebuild(pool, day, userName());
  if (verdict !== "discarded") throw refusal(day, verdict);
  context.result({ day, outcome: "discarded", findings: [] }, `${day}: what was kept beside it is gone`);
  return "ok";
}

interface Kept {
  readonly day: string;
  readonly rebuild: number;
  readonly state: string;
  readonly tables: string[];
  readonly made: number;
}
interface Rebuilt {
  readonly day: string;
  readonly action: string;
  readonly actor: string;
  readonly at: number;
  readonly versions_before: readonly number[];
  readonly versions_after: readonly number[];
  readonly rows_before: number;
  readonly rows_after: number;
  readonly rows_changed: number;
  readonly dead_letters_before: number;
  readonly dead_letters_after: number;
}

async function list(context: CommandContext): Promise<ExitName> {
  await using reader = await openReader(context);
  const { pool } = reader;
  const kept = await pool.query<Kept>(
    "SELECT to_char(day, 'YYYY-MM-DD') AS day, rebuild, state, day_tables AS tables, made_at AS made FROM views.day_rebuilds ORDER BY day",
  );
  const records = await pool.query<Rebuilt>(
    `SELECT to_char(day, 'YYYY-MM-DD') AS day, action, actor, recorded_at AS at, versions_before, versions_after, rows_before, rows_after, rows_changed,
       dead_before AS dead_letters_before, dead_after AS dead_letters_after FROM views.rebuild_records ORDER BY id`,
  );
  const shown = [];
  for (const { rebuild: number, made, ...rest } of kept.rows)
    shown.push({ ...rest, made: formatTimeUs(made), findings: (await rebuildFindings(pool, number)).map(findingJson) });
  const text = [
    records.rows.length === 0
      ? "no day was rebuilt"
      : formatTable(
          ["day", "what", "by", "at", "normaliser", "rows before", "after", "changed", "dead letters before", "after"],
          records.rows.map((one) => [
            one.day,
            one.action,
            terminalSafe(one.actor),
            formatTimeUs(one.at),
            `${one.versions_before.join(",")} to ${one.versions_after.join(",")}`,
            String(one.rows_before),
            String(one.rows_after),
            String(one.rows_changed),
            String(one.dead_letters_before),
            String(one.dead_letters_after),
          ]),
        ),
    ...shown.map(({ day, state }) =>
      state === "replaced" ? `${day}: what was replaced is kept` : `${day}: an interrupted rebuild has left rows; --discard puts them away`,
    ),
  ];
  context.result({ kept: shown, records: records.rows.map((one) => ({ ...one, at: formatTimeUs(one.at) })) }, text.join("\n"));
  return "ok";
}

function findingJson({ table, kind, columns, versionWas, versionIs, events, examples }: RebuildFinding) {
  return { table, kind, columns, version_was: versionWas, version_is: versionIs, events, examples };
}

function findingsText(findings: readonly RebuildFinding[]): string {
  if (findings.length === 0) return "nothing was received";
  return formatTable(
    ["table", "what", "columns", "normaliser", "events", "for example"],
    findings.map(({ table, kind, columns, versionWas, versionIs, events, examples }) => [
      table,
      kind,
      columns.join(", "),
      versionWas === versionIs ? String(versionIs ?? "") : `${versionWas ?? "-"} to ${versionIs ?? "-"}`,
      String(events),
      kind === "same" ? "" : (examples[0] ?? ""),
    ]),
  );
}

function refusal(day: string, why: RebuildRefusal): CliError {
  return new CliError("CLI_REBUILD_REFUSED", `${day} is left as it is: ${refusals[why]}`);
}
