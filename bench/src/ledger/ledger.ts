/**
 * Why: the ledger is asked every few seconds for as long as the system runs, at 50,000 producers and any number of rows; that is a claim about cost (DP-13).
 * Enforces: each round asks both ledgers of the same rows, one right after the other, and both must say the same; medians of the rounds' ratios.
 * Forbids: a best round.
 */
import type { Pool } from "ransomeye-db";
import { openTestServer } from "ransomeye-db/testing";
import { openResult } from "ransomeye-tests";
import type { LedgerOptions } from "./options.ts";
import { type LedgerFigures, ledgerPage, type LedgerRound, ledgerText, type StockFigures } from "./page.ts";
import { comeIn, makeStock } from "./stock.ts";

/** How much of the rows is stored for the first measurement: what does not grow with them shows. */
const shares = [0.2, 1] as const;

/** Measures and prints; gives the exit code. */
export async function ledgerBench(options: LedgerOptions): Promise<number> {
  const { rows, result } = options;
  const keep =
    result === undefined
      ? undefined
      : await openResult<LedgerFigures>({ path: result, script: "bench", append: false, pageOf: ledgerPage });
  const stocks: StockFigures[] = [];
  for (const share of shares) stocks.push(await measured(options, Math.round(rows * share)));
  await keep?.({ stocks });
  process.stdout.write(`${ledgerText({ stocks })}\n`);
  return stocks.every(({ rounds }) => rounds.every(({ agreed }) => agreed)) ? 0 : 1;
}

/** All rounds on a server of its own, with so many rows. */
async function measured({ producers, fresh, rounds: roundsMax }: LedgerOptions, wanted: number): Promise<StockFigures> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const server = await openTestServer({ settings: { shared_buffers: "512MB", max_wal_size: "8GB" } });
  try {
    const database = await server.database();
    const keeper = database.rolePool("ransomeye_keeper", 1);
    const { pool } = database;
    const rows = await makeStock(pool, producers, wanted);
    say(`${rows} rows of ${producers} producers are stored`);
    const { ms: firstFoldMs } = await timed(keeper, "SELECT * FROM ops.ledger_fold()");
    const rounds: LedgerRound[] = [];
    for (let round = 1; round <= roundsMax; round += 1) {
      rounds.push(await oneRound(pool, keeper, fresh));
      say(`round ${round}: ${JSON.stringify(rounds.at(-1))}`);
    }
    return { producers, rows, firstFoldMs, rounds };
  } finally {
    await server.close();
  }
}

async function oneRound(pool: Pool, keeper: Pool, fresh: number): Promise<LedgerRound> {
  const client = await pool.connect();
  let came: number;
  try {
    came = await comeIn(client, fresh);
  } finally {
    client.release();
  }
  const question = "SELECT stored, imbalance, misplaced_epochs FROM views.ledger_live";
  const now = await timed(pool, question);
  const recount = await timed(pool, "SELECT stored, imbalance, misplaced_epochs FROM views.ledger");
  const [nowBlocks, recountBlocks] = [await blocks(pool, "views.ledger_live"), await blocks(pool, "views.ledger")];
  const fold = await timed(keeper, "SELECT epochs, folded FROM ops.ledger_fold()");
  const folded = await timed(pool, question);
  const audit = await timed(pool, "SELECT count(*) FILTER (WHERE sums_differ) AS differ FROM views.ledger_audit");
  const isEven = now.row["imbalance"] === 0 && now.row["misplaced_epochs"] === 0;
  const agreed =
    isEven && JSON.stringify(now.row) === JSON.stringify(recount.row) && audit.row["differ"] === 0 && fold.row["folded"] === came;
  return {
    ...{
      came,
      agreed,
      nowBlocks,
      recountBlocks,
      nowMs: now.ms,
      recountMs: recount.ms,
      foldMs: fold.ms,
      foldedMs: folded.ms,
      auditMs: audit.ms,
    },
    epochs: Number(fold.row["epochs"]),
  };
}

async function timed(pool: Pool, sql: string): Promise<{ readonly ms: number; readonly row: Readonly<Record<string, unknown>> }> {
  const begun = process.hrtime.bigint();
  const { rows } = await pool.query<Record<string, unknown>>(sql);
  return { ms: Number(process.hrtime.bigint() - begun) / 1e6, row: rows[0] ?? {} };
}

async function blocks(pool: Pool, view: string): Promise<number> {
  const { rows } = await pool.query<{ "QUERY PLAN": { Plan: Record<string, number> }[] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM ${view}`,
  );
  const plan = rows[0]?.["QUERY PLAN"][0]?.Plan ?? {};
  return (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
}
