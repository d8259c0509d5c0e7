/**
 * Why it exists: nobody sits in front of the ledger; that it does not balance has to be said by the system itself.
 * Enforces: what has been stored is folded into the sums often enough that a question counts 200,000 rows at most, as far as the past tells and folding stays cheap; after each fold the
 * ledger is asked, shown as metrics, and each finding that is another one than the last is an alarm.
 * Forbids: repairing anything.
 */
import { foldLedger, type Pool } from "ransomeye-db";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { ledgerFolded, ledgerImbalance, ledgerUnbalanced, ledgerUnbalancedEpochs } from "../events.ts";
import { readLedgerNow } from "../queries/ledger.ts";
import { foldPauseMs } from "./keeper_rules.ts";

export interface LedgerWatchOptions {
  /** Of the keeper's role. */
  readonly pool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export class LedgerWatch {
  readonly #o: LedgerWatchOptions;
  #foldedMs: number | undefined;
  #pauseMs = 0;
  /** The last finding, in words; empty while the ledger balances. */
  #told = "";

  constructor(o: LedgerWatchOptions) {
    this.#o = o;
  }

  /** Folds and looks, if it is time; to be asked more often than that. */
  async round(): Promise<void> {
    const { pool, clock, telemetry } = this.#o;
    const begunMs = clock.monotonicMs();
    if (this.#foldedMs !== undefined && begunMs - this.#foldedMs < this.#pauseMs) return;
    const { epochs, folded } = await foldLedger(pool);
    const endedMs = clock.monotonicMs();
    const tookMs = endedMs - begunMs;
    // The first fold of a process may have had much to make up for, and tells nothing of how fast events come in.
    this.#pauseMs =
      this.#foldedMs === undefined
        ? foldPauseMs({ folded: 0, overMs: 0, tookMs })
        : foldPauseMs({ folded, overMs: begunMs - this.#foldedMs, tookMs });
    this.#foldedMs = begunMs;
    telemetry.emit(ledgerFolded, { epochs, folded, ms: Math.round(tookMs) });
    await this.#look();
  }

  async #look(): Promise<void> {
    const { pool, telemetry } = this.#o;
    const { balanced, imbalance, misplaced_epochs, unbalanced_epochs } = await readLedgerNow(pool);
    telemetry.set(ledgerImbalance, imbalance);
    telemetry.set(ledgerUnbalancedEpochs, unbalanced_epochs);
    const finding = balanced ? "" : `${imbalance} ${misplaced_epochs} ${unbalanced_epochs}`;
    if (finding !== "" && finding !== this.#told) telemetry.emit(ledgerUnbalanced, { imbalance, misplaced_epochs, unbalanced_epochs });
    this.#told = finding;
  }
}
