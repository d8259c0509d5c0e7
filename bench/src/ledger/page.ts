/**
 * Why: the figures of the ledger bench for people.
 * Enforces: the page and the terminal show the same tables, made from the rounds; ratios are of questions asked one right after the other.
 * Forbids: figures of its own.
 */
import type { Page, Part, Table } from "ransomeye-tests";
import { median } from "../stats.ts";
import { textTable } from "../text_table.ts";

export interface LedgerRound {
  /** Rows that came in before it. */
  readonly came: number;
  /** The ledger of the sums, before and after the fold, and the recount, in milliseconds. */
  readonly nowMs: number;
  readonly foldedMs: number;
  readonly recountMs: number;
  /** Recount and sums side by side. */
  readonly auditMs: number;
  readonly foldMs: number;
  /** Sums that the fold touched. */
  readonly epochs: number;
  /** Pages of 8 KiB that a question looked at. */
  readonly nowBlocks: number;
  readonly recountBlocks: number;
  /** Both balanced and said the same. */
  readonly agreed: boolean;
}

/** What was measured with so many rows stored. */
export interface StockFigures {
  readonly producers: number;
  readonly rows: number;
  readonly firstFoldMs: number;
  readonly rounds: readonly LedgerRound[];
}

export interface LedgerFigures {
  /** From few rows to many. */
  readonly stocks: readonly StockFigures[];
}

/** The page. */
export function ledgerPage(parts: readonly Part<LedgerFigures>[]): Page {
  return {
    title: "What the ledger costs",
    lead: "A database with rows of many producers, once with a fifth of them and once with all. In each round some more come in, of every other producer; then the ledger of the sums is asked, all rows are recounted, what came is folded, and the ledger is asked once more. Ratios are medians of the rounds' ratios.",
    tables: parts.flatMap(({ figures }) => tables(figures)),
  };
}

/** The same for a terminal. */
export function ledgerText(figures: LedgerFigures): string {
  return tables(figures).map(textTable).join("\n\n");
}

function tables({ stocks }: LedgerFigures): Table[] {
  return [...stocks.map(stockTable), growthTable(stocks)];
}

/** What becomes of each question when there are more rows. */
function growthTable(stocks: readonly StockFigures[]): Table {
  const [few, many] = [stocks[0], stocks.at(-1)];
  const times = (of: (round: LedgerRound) => number): string =>
    (median(many?.rounds.map(of) ?? []) / median(few?.rounds.map(of) ?? [])).toFixed(2);
  return {
    caption: `With ${((many?.rows ?? 0) / (few?.rows ?? 1)).toFixed(1)} times the rows, times the cost`,
    head: ["question", "time", "pages read"],
    rows: [
      ["recount of all rows", times(({ recountMs }) => recountMs), times(({ recountBlocks }) => recountBlocks)],
      ["ledger of the sums", times(({ nowMs }) => nowMs), times(({ nowBlocks }) => nowBlocks)],
      ["fold", times(({ foldMs }) => foldMs), ""],
    ],
  };
}

function stockTable({ producers, rows, firstFoldMs, rounds }: StockFigures): Table {
  const ratio = (of: (round: LedgerRound) => number): string => median(rounds.map(of)).toFixed(4);
  const ms = (of: (round: LedgerRound) => number): string => `${median(rounds.map(of)).toFixed(0)} ms`;
  const { came, epochs } = rounds[0] ?? { came: 0, epochs: 0 };
  return {
    caption: `${rows} rows of ${producers} producers`,
    head: ["question", "took", "÷ recount", "pages read ÷ recount"],
    rows: [
      ["recount of all rows", ms((round) => round.recountMs), "1", "1"],
      [
        `ledger of the sums, ${came} rows since the last fold`,
        ms((round) => round.nowMs),
        ratio((round) => round.nowMs / round.recountMs),
        ratio((round) => round.nowBlocks / round.recountBlocks),
      ],
      ["ledger of the sums, right after a fold", ms((round) => round.foldedMs), ratio((round) => round.foldedMs / round.recountMs), ""],
      ["audit: recount and sums side by side", ms((round) => round.auditMs), ratio((round) => round.auditMs / round.recountMs), ""],
      [
        `fold of ${came} rows into the sums of ${epochs} producers`,
        ms((round) => round.foldMs),
        ratio((round) => round.foldMs / round.recountMs),
        "",
      ],
      [
        "first fold, of all rows",
        `${firstFoldMs.toFixed(0)} ms`,
        (firstFoldMs / median(rounds.map(({ recountMs }) => recountMs))).toFixed(4),
        "",
      ],
    ],
    notes: [rounds.every(({ agreed }) => agreed) ? "Both ledgers balanced and said the same in each round." : "THE LEDGERS DID NOT AGREE."],
  };
}
