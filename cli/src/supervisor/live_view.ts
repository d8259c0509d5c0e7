/**
 * Why it exists: the line that `start` shows while it runs, and the ledger that it leaves behind.
 * Enforces: the figures are counted from the tables, so the line can say that something is wrong: each few seconds what has come since the last fold, now and
 * then all rows, which are held against the sums; either takes at most a few per cent of the time, however much is stored.
 * Forbids: keeping the system from stopping.
 */
import { type Connection, openPool, type Pool } from "ransomeye-db";
import { type Clock, recordingTelemetry, sleep } from "ransomeye-kernel";
import { type Ledger, type LedgerNow, readLag, readLedger, readLedgerNow } from "../queries/ledger.ts";
import { producerNames } from "../queries/names.ts";
import { ledgerJson, ledgerLine, ledgerText } from "../queries/ledger_text.ts";
import type { Console } from "./console.ts";
import type { IdleProbe } from "./until_idle.ts";

/** The pause between two counts: at least this, and this many times what the last count took. */
const pauseMsMin = 1000;
const pausePerCount = 20;
/** The same of a recount of all rows. */
export const recountPauseMsMin = 600_000;
const pausePerRecount = 50;

export interface LiveViewOptions {
  readonly clock: Clock;
  readonly connection: () => Connection;
  readonly registrySocket: () => string;
  readonly console: Console;
  readonly json: boolean;
  readonly stdout: NodeJS.WriteStream;
  /** Told after each count. */
  readonly onCounted: (balanced: boolean) => void;
  /** Told when a recount of all rows finds another number of epochs than the last in which they are not what the sums say. */
  readonly onSumsDiffer: (epochs: number) => void;
}

/** Reads and shows the ledger while the system runs. */
export class LiveView implements IdleProbe {
  readonly #o: LiveViewOptions;
  readonly #ended = new AbortController();
  #pool: Pool | undefined;
  #closing: Promise<void> | undefined;
  #ledger: LedgerNow | undefined;
  /** Of the last recount of all rows; undefined before the first. */
  #recounted: boolean | undefined;
  #sumsDifferEpochs = 0;
  #countedMs = 0;
  #rate = 0;
  #problem: string | undefined;
  /** Kept for the end, when the registry has left already. */
  #names: ReadonlyMap<string, string> = new Map();

  constructor(o: LiveViewOptions) {
    this.#o = o;
  }

  /** Whether the last count and the last recount added up; undefined before the first. */
  get balanced(): boolean | undefined {
    if (this.#recounted === false) return false;
    return this.#ledger?.balanced;
  }

  /** Begins to count and to show. */
  start(): void {
    this.#o.console.live((charsMax) => this.#line(charsMax));
    void this.#watch();
    void this.#recount();
  }

  async inFlight(): Promise<number | undefined> {
    return readLag(this.#open()).catch(() => undefined);
  }

  /** Counts all rows once more and prints the whole ledger. */
  async finalLedger(): Promise<void> {
    this.#ended.abort(new Error("stopping"));
    let ledger: Ledger;
    try {
      ledger = await readLedger(this.#open());
    } catch (error) {
      this.#o.console.say(`the final ledger cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    this.#recounted = ledger.balanced;
    this.#ledger = undefined;
    if (this.#o.json) this.#write({ type: "ledger", ledger: ledgerJson(ledger, this.#names) });
    else this.#o.stdout.write(`final ledger\n${ledgerText(ledger, this.#names)}\n`);
  }

  async close(): Promise<void> {
    this.#ended.abort(new Error("stopping"));
    await (this.#closing ??= this.#pool?.end());
  }

  #open(): Pool {
    this.#pool ??= openPool({
      connection: this.#o.connection(),
      max: 2,
      applicationName: "ransomeye supervisor",
      telemetry: recordingTelemetry(),
    });
    return this.#pool;
  }

  async #watch(): Promise<void> {
    const { clock } = this.#o;
    while (!this.#ended.signal.aborted) {
      const begunMs = clock.monotonicMs();
      try {
        const ledger = await readLedgerNow(this.#open());
        const passedS = (begunMs - this.#countedMs) / 1000;
        if (this.#ledger !== undefined && passedS > 0) this.#rate = (ledger.accepted - this.#ledger.accepted) / passedS;
        const producersBefore = this.#ledger?.producers;
        this.#ledger = ledger;
        this.#o.onCounted(this.balanced !== false);
        if (ledger.producers !== producersBefore) this.#names = await producerNames(this.#o.registrySocket(), clock);
        this.#countedMs = begunMs;
        this.#problem = undefined;
        if (this.#o.json) this.#writeStatus(ledger);
      } catch (error) {
        // PostgreSQL may be starting again; the supervisor says so.
        this.#problem = error instanceof Error ? error.message : String(error);
      }
      const tookMs = clock.monotonicMs() - begunMs;
      await sleep(clock, Math.max(pauseMsMin, tookMs * pausePerCount), this.#ended.signal).catch(() => undefined);
    }
  }

  /** All rows, at a pace that does not hurt; a partition that somebody has tampered with shows here. */
  async #recount(): Promise<void> {
    const { clock } = this.#o;
    let tookMs = 0;
    for (;;) {
      const ended = await sleep(clock, Math.max(recountPauseMsMin, tookMs * pausePerRecount), this.#ended.signal).then(
        () => false,
        () => true,
      );
      if (ended) return;
      const begunMs = clock.monotonicMs();
      try {
        const ledger = await readLedger(this.#open());
        this.#recounted = ledger.balanced;
        if (ledger.sums_differ_epochs > 0 && ledger.sums_differ_epochs !== this.#sumsDifferEpochs)
          this.#o.onSumsDiffer(ledger.sums_differ_epochs);
        this.#sumsDifferEpochs = ledger.sums_differ_epochs;
        this.#o.onCounted(this.balanced !== false);
      } catch {
        // PostgreSQL may be starting again; the count of the moment says so, and the next recount comes.
      }
      tookMs = clock.monotonicMs() - begunMs;
    }
  }

  #line(charsMax: number): string {
    const ledger = this.#ledger;
    if (ledger === undefined) return this.#problem === undefined ? "counting …" : `the ledger cannot be read now: ${this.#problem}`;
    const ageS = (this.#o.clock.monotonicMs() - this.#countedMs) / 1000;
    return ledgerLine({ ...ledger, balanced: this.balanced !== false }, this.#rate, ageS, charsMax);
  }

  #writeStatus({ accepted, stored, dead_lettered, gaps, in_flight }: LedgerNow): void {
    const balanced = this.balanced !== false;
    this.#write({ type: "status", rate: Math.round(this.#rate * 10) / 10, accepted, stored, dead_lettered, gaps, in_flight, balanced });
  }

  #write(value: Readonly<Record<string, unknown>>): void {
    this.#o.stdout.write(`${JSON.stringify({ time_us: this.#o.clock.nowUs(), ...value })}\n`);
  }
}
