/**
 * Why it exists: anybody may check, at any time, that nothing was lost.
 * Enforces: the sum is made from the tables again at each call; an imbalance leaves with its own exit code.
 * Forbids: repairing anything. Sums that somebody has looked into are made again on his word, and that is no repair of rows.
 */
import { rebuildLedger } from "ransomeye-db";
import { hasCode, sleep } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { type Ledger, readLag, readLedger } from "../queries/ledger.ts";
import { ledgerJson, ledgerText } from "../queries/ledger_text.ts";
import { producerNames } from "../queries/names.ts";
import { type CommandContext, type CommandSpec, textOption } from "./command.ts";
import { openAs, openReader, type Reader } from "./context.ts";

const pollMs = 100;

export const auditCommand: CommandSpec = {
  path: "audit",
  aliases: ["ledger"],
  summary: "add up the ledger: every sequence number a producer signed is stored, dead-lettered, declared a gap or in flight",
  prose:
    "`accepted` is what the bus has receipted, `stored` and `dead_lettered` are counted from the tables, `gaps` were declared by their producers (`spool_full`, `spool_age`: their own losses; `server_lost`: what a server had receipted and lost), `in_flight` is on the bus and not yet stored. `offered` is the producers' own signed count. Refused transmissions are counted beside the sum, and so are `duplicates`: batches that came once more (a lost receipt, a reconnect, a replay), by where they had been accepted first. `expired` is what retention has removed; it is contained in the other counts. All rows are counted again and held against the sums that were made as they came in, which the running system goes by: epochs of which the two differ are `differences`, and rows were removed, added or changed there after they had been counted (core/docs/data_plane.md). Once that has been looked into, `--rebuild-sums` makes the sums again from the rows as they are; what the old ones remembered is then gone.",
  options: [
    { flags: "--wait-idle <seconds>", help: "first wait until nothing is in flight, at most this long" },
    { flags: "--rebuild-sums", help: "make the ledger's sums again from the rows as they are, after a finding that has been looked into" },
  ],
  examples: [
    { line: "ransomeye audit", says: "The ledger of every producer, and whether it balances." },
    { line: "ransomeye audit --wait-idle 30 --json", says: "For a script: exit code 1 if anything is wrong." },
  ],
  json: `{"balanced": boolean, "idle": boolean, "offered": n, "accepted": n, "stored": n, "dead_lettered": n, "in_flight": n, "refused": n,
 "refused_by_code": {CODE: n}, "duplicates": n, "duplicates_by_code": {CODE: n}, "gaps": n, "gaps_by_reason": {REASON: n}, "expired": n, "imbalance": n, "misplaced_epochs": n,
 "sums_differ_epochs": n, "differences": [{"producer": uuid, "epoch": n, "stored": n, "dead_lettered": n, "gaps": n, "expired": n, "summed_stored": n,
   "summed_dead_lettered": n, "summed_gaps": n, "summed_expired": n}],
 "producers": [{"producer": uuid, "name": string | null, "kind": string | null, "offered": n, "accepted": n, "stored": n, "dead_lettered": n,
   "gaps": n, "expired": n, "in_flight": n, "imbalance": n, "misplaced_epochs": n, "sums_differ_epochs": n}]}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, _args, options) {
    const waitS = secondsOption(textOption(options, "waitIdle"));
    const untilMs = context.clock.monotonicMs() + waitS * 1000;
    await using reader = await withPatience(context, untilMs, () => openReader(context));
    if (options["rebuildSums"] === true) {
      await using keeper = await openAs(context, "ransomeye_keeper");
      await rebuildLedger(keeper.pool);
    }
    let idle: boolean;
    let ledger: Ledger;
    // While events go on coming in, what was idle a moment ago may not be so in the count: then once more.
    do {
      idle = waitS === 0 || (await waitIdle(context, reader, untilMs));
      ledger = await withPatience(context, untilMs, () => readLedger(reader.pool));
    } while (idle && ledger.in_flight > 0 && context.clock.monotonicMs() < untilMs);
    const names = await producerNames(reader.runtime.registrySocket, context.clock);
    context.result(ledgerJson(ledger, names), ledgerText(ledger, names));
    if (!idle) context.note(`still ${ledger.in_flight} in flight after ${waitS} s`);
    return ledger.balanced && idle ? "ok" : "found";
  },
};

/** Asks again until the deadline: who waits for an idle system may find its database starting again. */
async function withPatience<T>(context: CommandContext, untilMs: number, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (hasCode(error, "CLI_NOT_RUNNING") || context.clock.monotonicMs() >= untilMs) throw error;
      await sleep(context.clock, pollMs);
    }
  }
}

async function waitIdle(context: CommandContext, reader: Reader, untilMs: number): Promise<boolean> {
  for (;;) {
    const lag = await readLag(reader.pool).catch(() => undefined);
    if (lag === 0) return true;
    if (context.clock.monotonicMs() >= untilMs) return false;
    await sleep(context.clock, pollMs);
  }
}

/** Seconds as a number from 0 on. @throws CliError CLI_USAGE */
export function secondsOption(text: string | undefined): number {
  if (text === undefined) return 0;
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds < 0 || seconds > 86_400)
    throw new CliError("CLI_USAGE", `${text} is not a number of seconds from 0 to 86400`);
  return seconds;
}
