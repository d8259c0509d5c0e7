/**
 * Why it exists: what a court or an investigation needs must outlive retention, and who decided that must be on record.
 * Enforces: whoever places or releases a hold says why; what the hold came too late for is said at once, with an exit code of its own.
 * Forbids: changing or removing a hold: a release is a row of its own.
 */
import { daySizes, instantSql, utcDay } from "ransomeye-db";
import { CliError } from "../errors.ts";
import { goneDays, heldDays, type HeldDays, type LegalHold, legalHolds } from "../queries/holds.ts";
import { producerNames, registeredProducers } from "../queries/names.ts";
import { formatBytes, formatTable, formatTimeUs } from "../terminal/format.ts";
import { userName } from "../terminal/user_name.ts";
import { type CommandContext, type CommandSpec, type OptionValues, textOption } from "./command.ts";
import { openAs, openReader, type Reader } from "./context.ts";
import { parseTime } from "./time.ts";

const reasonCharsMax = 500;
/** More days than this are told as a range; --json has them all. */
const goneNamedMax = 7;

const holdShape = `{"hold": n, "producer": uuid | null, "from": ISO 8601 | null, "until": ISO 8601 | null, "reason": string, "actor": string, "placed": ISO 8601,
 "released": {"at": ISO 8601, "by": string, "reason": string} | null, "days": n, "bytes": n}`;

const holdAddCommand: CommandSpec = {
  path: "hold add",
  summary: "keep what was received in a range of time from retention, of one producer or of all",
  prose:
    "A legal hold keeps days: each day (UTC) in which the producer sent anything that was received in the range stays whole, with what others sent on it, until the hold is released. Days before and behind it go as ever. Held days are queried, exported and verified like any other; once days behind them have gone they cannot be replayed from the log. Their bytes stand beside retention.bytes_max. Days of the range that retention had taken before are named, and the exit code is 1. Who placed the hold is the user that runs this command. Holds and releases are kept for ever; nobody changes them.",
  options: [
    { flags: "--producer <producer>", help: "only this one's, by name or id" },
    { flags: "--everyone", help: "all producers'" },
    { flags: "--since <time>", help: "received not before (default: from the beginning)" },
    { flags: "--until <time>", help: "received before (default: open-ended, what is yet to come is held too)" },
    { flags: "--reason <text>", help: "why; it is kept with the hold" },
  ],
  examples: [
    {
      line: "ransomeye hold add --producer ws-ada --since 7d --reason 'case 2026-17'",
      says: "A week of one machine, and what it sends from now on.",
    },
    {
      line: "ransomeye hold add --everyone --since 2026-11-02 --until 2026-11-05 --reason 'incident 4, order of 6 November'",
      says: "Three days of everybody.",
    },
  ],
  json: `${holdShape.slice(0, -1)}, "gone": [day]}
gone: days of the range that retention had taken before.`,
  exits: ["ok", "found", "usage", "config", "unreachable", "not_found"],
  async run(context, _args, options) {
    await using reader = await openReader(context);
    const wish = await wishOf(context, reader, options);
    await using custodian = await openAs(context, "ransomeye_custodian");
    const instant = (n: number): string => `CASE WHEN $${n}::bigint IS NOT NULL THEN ${instantSql(`$${n}`)} END`;
    const { rows } = await custodian.pool.query<{ id: number }>(
      `SELECT ops.hold_place($1::uuid, ${instant(2)}, ${instant(3)}, $4, $5) AS id`,
      [wish.producer, wish.fromUs, wish.untilUs, wish.reason, userName()],
    );
    const hold = (await legalHolds(reader.pool)).find(({ id }) => id === rows[0]?.id);
    if (hold === undefined) throw new CliError("CLI_HOLD_NOT_FOUND", "the hold was placed, and cannot be read");
    const kept = heldDays(await daySizes(reader.pool), utcDay(context.clock.nowUs()), hold.id);
    const gone = await goneDays(reader.pool, hold);
    const lines = [`hold ${hold.id} keeps ${kept.days} days so far, ${formatBytes(kept.bytes)}`];
    if (gone.length > 0)
      lines.push(
        `it came too late for ${gone.length > goneNamedMax ? `${gone.length} days from ${gone[0]} to ${gone.at(-1)}` : gone.join(", ")}: retention had taken what they held, and the sealer has signed that`,
      );
    context.result({ ...holdJson(hold, kept), gone }, lines.join("\n"));
    return gone.length === 0 ? "ok" : "found";
  },
};

const holdListCommand: CommandSpec = {
  path: "hold list",
  summary: "show legal holds, and what they keep",
  options: [{ flags: "--all", help: "also those that were released" }],
  examples: [
    { line: "ransomeye hold list", says: "Open holds, with days and bytes that each keeps." },
    { line: "ransomeye hold list --all --json", says: "The whole history: who placed and who released what, when and why." },
  ],
  json: `{"holds": [${holdShape}]}
days and bytes: what the hold keeps now; a day may be kept by several.`,
  exits: ["ok", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    await using reader = await openReader(context);
    const holds = (await legalHolds(reader.pool)).filter(({ releasedUs }) => options["all"] === true || releasedUs === null);
    const sizes = await daySizes(reader.pool);
    const names = await producerNames(reader.runtime.registrySocket, context.clock);
    const today = utcDay(context.clock.nowUs());
    const shown = holds.map((hold) => ({ hold, kept: heldDays(sizes, today, hold.id) }));
    context.result(
      { holds: shown.map(({ hold, kept }) => holdJson(hold, kept)) },
      shown.length === 0
        ? "there is no hold"
        : formatTable(
            ["hold", "of", "from", "until", "days", "bytes", "placed by", "reason", "released"],
            shown.map(({ hold, kept }) => [
              String(hold.id),
              hold.producer === null ? "everyone" : (names.get(hold.producer) ?? hold.producer),
              hold.fromUs === null ? "the beginning" : formatTimeUs(hold.fromUs),
              hold.untilUs === null ? "open" : formatTimeUs(hold.untilUs),
              String(kept.days),
              formatBytes(kept.bytes),
              hold.actor,
              hold.reason,
              hold.releasedUs === null ? "no" : `${formatTimeUs(hold.releasedUs)} by ${hold.releasedBy}: ${hold.releaseReason}`,
            ]),
          ),
    );
    return "ok";
  },
};

const holdReleaseCommand: CommandSpec = {
  path: "hold release",
  args: "<hold>",
  summary: "end a legal hold; retention may take the days that no other hold keeps",
  options: [{ flags: "--reason <text>", help: "why; it is kept with the release" }],
  examples: [
    { line: "ransomeye hold release 3 --reason 'case 2026-17 closed'", says: "The hold's row stays, with the release beside it." },
  ],
  json: holdShape,
  exits: ["ok", "usage", "config", "unreachable", "not_found"],
  async run(context, [text = ""], options) {
    if (!/^[1-9]\d{0,14}$/.test(text)) throw new CliError("CLI_USAGE", `${text} is not the number of a hold`);
    const reason = reasonOf(options);
    await using custodian = await openAs(context, "ransomeye_custodian");
    const { rows } = await custodian.pool.query<{ done: boolean }>("SELECT ops.hold_release($1, $2, $3) AS done", [
      text,
      reason,
      userName(),
    ]);
    await using reader = await openReader(context);
    const hold = (await legalHolds(reader.pool)).find(({ id }) => id === Number(text));
    if (hold === undefined) throw new CliError("CLI_HOLD_NOT_FOUND", `there is no hold ${text}`);
    if (rows[0]?.done !== true)
      throw new CliError("CLI_HOLD_NOT_FOUND", `hold ${text} was released on ${formatTimeUs(hold.releasedUs ?? 0)} by ${hold.releasedBy}`);
    context.result(holdJson(hold, { days: 0, bytes: 0 }), `hold ${text} is released`);
    return "ok";
  },
};

export const holdCommands: readonly CommandSpec[] = [holdAddCommand, holdListCommand, holdReleaseCommand];

interface Wish {
  readonly producer: string | null;
  readonly fromUs: number | null;
  readonly untilUs: number | null;
  readonly reason: string;
}

async function wishOf(context: CommandContext, reader: Reader, options: OptionValues): Promise<Wish> {
  const named = textOption(options, "producer");
  if ((named === undefined) === (options["everyone"] !== true))
    throw new CliError("CLI_USAGE", "whose events are to be kept: --producer or --everyone, one of the two");
  const time = (name: string): number | null => {
    const text = textOption(options, name);
    return text === undefined ? null : parseTime(text, context.clock.nowUs());
  };
  const [fromUs, untilUs] = [time("since"), time("until")];
  if (fromUs !== null && untilUs !== null && fromUs >= untilUs) throw new CliError("CLI_USAGE", "--since must be before --until");
  const reason = reasonOf(options);
  if (named === undefined) return { producer: null, fromUs, untilUs, reason };
  const known = await registeredProducers(reader.runtime.registrySocket, context.clock);
  const found = known.find(({ id, name }) => id === named.toLowerCase() || name === named);
  if (found === undefined) throw new CliError("CLI_IDENTITY_MISSING", `no producer is called ${named}`);
  return { producer: found.id, fromUs, untilUs, reason };
}

function reasonOf(options: OptionValues): string {
  const reason = (textOption(options, "reason") ?? "").trim();
  // As the database has it: a reason is printed as one line.
  if (reason === "" || reason.length > reasonCharsMax || /\p{Cc}/u.test(reason))
    throw new CliError("CLI_USAGE", `--reason is needed: one line of at most ${reasonCharsMax} characters; it is kept for ever`);
  return reason;
}

function holdJson(hold: LegalHold, { days, bytes }: HeldDays) {
  const time = (us: number | null): string | null => (us === null ? null : formatTimeUs(us));
  const { id, producer, fromUs, untilUs, reason, actor, placedUs, releasedUs, releasedBy, releaseReason } = hold;
  const released = releasedUs === null ? null : { at: formatTimeUs(releasedUs), by: releasedBy, reason: releaseReason };
  return {
    hold: id,
    producer,
    from: time(fromUs),
    until: time(untilUs),
    reason,
    actor,
    placed: formatTimeUs(placedUs),
    released,
    days,
    bytes,
  };
}
