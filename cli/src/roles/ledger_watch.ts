/**
 * Why it exists: nobody sits in front of the ledger; that it does not balance has to be said by the system itself.
 * Enforces: what has been stored is folded into the sums at the pace at which it comes; after a fold, now and then, the ledger is asked, shown as metrics, and each finding that
 * is another one than the last is an alarm.
 * Forbids: repairing anything.
 */
import { LedgerFolder, type Pool } from "ransomeye-db";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { ledgerFolded, ledgerImbalance, ledgerUnbalanced, ledgerUnbalancedEpochs } from "../events.ts";
import { readLedgerNow } from "../queries/ledger.ts";

export interface LedgerWatchOptions {
  /** Of the keeper's role. */
  readonly pool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Between two looks; and so many times what the last one took, for with many producers it is the sums that cost. */
const lookMsMin = 10_000;
const lookShare = 50;

export class LedgerWatch {
  readonly #o: LedgerWatchOptions;
  readonly #folder: LedgerFolder;
  #lookMs = -Infinity;
  /** The last finding, in words; empty while the ledger balances. */
  #told = "";

  constructor(o: LedgerWatchOptions) {
    this.#o = o;
    this.#folder = new LedgerFolder(o.pool, o.clock);
  }

  /** Folds and looks, if it is time; to be asked more often than that. */
  async round(): Promise<void> {
    const { clock, telemetry } = this.#o;
    const fold = await this.#folder.round();
    if (fold === undefined) return;
    telemetry.emit(ledgerFolded, { epochs: fold.epochs, folded: fold.folded, ms: Math.round(fold.tookMs) });
    const begunMs = clock.monotonicMs();
    if (begunMs < this.#lookMs) return;
    await this.#look();
    const tookMs = clock.monotonicMs() - begunMs;
    this.#lookMs = begunMs + Math.max(lookMsMin, tookMs * lookShare);
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
