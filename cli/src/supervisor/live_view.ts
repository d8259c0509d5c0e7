/**
 * Why it exists: the line that `start` shows while it runs, and the ledger that it leaves behind.
 * Enforces: the figures are recounted from the tables, so the line can say that something is wrong; the counting takes at most a few per cent of
 * the time, however much is stored.
 * Forbids: keeping the system from stopping.
 */
import { type Connection, openPool, type Pool } from "ransomeye-db";
import { type Clock, recordingTelemetry, sleep } from "ransomeye-kernel";
import { type Ledger, readLag, readLedger } from "../queries/ledger.ts";
import { producerNames } from "../queries/names.ts";
import { ledgerJson, ledgerLine, ledgerText } from "../queries/ledger_text.ts";
import type { Console } from "./console.ts";
import type { IdleProbe } from "./supervisor.ts";

/** The pause between two counts: at least this, and this many times what the last count took. */
const pauseMsMin = 1000;
const pausePerCount = 20;

export interface LiveViewOptions {
  readonly clock: Clock;
  readonly connection: () => Connection;
  readonly registrySocket: () => string;
  readonly console: Console;
  readonly json: boolean;
  readonly stdout: NodeJS.WriteStream;
  /** Told after each count. */
  readonly onCounted: (balanced: boolean) => void;
}

/** Reads and shows the ledger while the system runs. */
export class LiveView implements IdleProbe {
  readonly #o: LiveViewOptions;
  readonly #ended = new AbortController();
  #pool: Pool | undefined;
  #ledger: Ledger | undefined;
  #countedMs = 0;
  #rate = 0;
  #problem: string | undefined;
  /** Kept for the end, when the registry has left already. */
  #names: ReadonlyMap<string, string> = new Map();

  constructor(o: LiveViewOptions) {
    this.#o = o;
  }

  /** Whether the last count added up; undefined before the first. */
  get balanced(): boolean | undefined {
    return this.#ledger?.balanced;
  }

  /** Begins to count and to show. */
  start(): void {
    this.#o.console.live((charsMax) => this.#line(charsMax));
    void this.#watch();
  }

  async inFlight(): Promise<number | undefined> {
    return readLag(this.#open()).catch(() => undefined);
  }

  /** Counts once more and prints the whole ledger. */
  async finalLedger(): Promise<void> {
    this.#ended.abort(new Error("stopping"));
    try {
      this.#ledger = await readLedger(this.#open());
    } catch (error) {
      this.#o.console.say(`the final ledger cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    if (this.#o.json) this.#write({ type: "ledger", ledger: ledgerJson(this.#ledger, this.#names) });
    else this.#o.stdout.write(`final ledger\n${ledgerText(this.#ledger, this.#names)}\n`);
  }

  async close(): Promise<void> {
    this.#ended.abort(new Error("stopping"));
    await this.#pool?.end();
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
        const ledger = await readLedger(this.#open());
        const passedS = (begunMs - this.#countedMs) / 1000;
        if (this.#ledger !== undefined && passedS > 0) this.#rate = (ledger.accepted - this.#ledger.accepted) / passedS;
        this.#ledger = ledger;
        this.#o.onCounted(ledger.balanced);
        if (ledger.producers.some(({ producer }) => !this.#names.has(producer)))
          this.#names = await producerNames(this.#o.registrySocket(), clock);
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

  #line(charsMax: number): string {
    const ledger = this.#ledger;
    if (ledger === undefined) return this.#problem === undefined ? "counting …" : `the ledger cannot be read now: ${this.#problem}`;
    const ageS = (this.#o.clock.monotonicMs() - this.#countedMs) / 1000;
    return ledgerLine(ledger, this.#rate, ageS, charsMax);
  }

  #writeStatus(ledger: Ledger): void {
    const { accepted, stored, dead_lettered, gaps, in_flight, balanced } = ledger;
    this.#write({ type: "status", rate: Math.round(this.#rate * 10) / 10, accepted, stored, dead_lettered, gaps, in_flight, balanced });
  }

  #write(value: Readonly<Record<string, unknown>>): void {
    this.#o.stdout.write(`${JSON.stringify({ time_us: this.#o.clock.nowUs(), ...value })}\n`);
  }
}
