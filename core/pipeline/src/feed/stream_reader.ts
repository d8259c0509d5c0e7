/**
 * Why it exists: many who look at one stream cost the log as much as one.
 * Enforces: reads on from its place at its own pace, whoever listens; survives the log being away: it goes on where it stood.
 * Forbids: waiting for listeners.
 */
import { type Clock, type RansomeyeError, sleep, type Telemetry } from "ransomeye-kernel";
import { busCallFailed } from "../events.ts";
import type { StreamName } from "../messages/message.ts";
import type { MessageLog } from "../messages/port.ts";
import { type FeedEntry, type Lane, readLanes, seekLanes } from "./lanes.ts";

const idleMsMin = 20;
const idleMsMax = 500;
const awayMsMin = 250;
const awayMsMax = 5000;
/** Entries of one priority that are read at once. */
const pageMax = 64;

/** An entry, and its bytes as JSON. */
export interface SizedEntry extends FeedEntry {
  readonly bytes: number;
}

/** Whoever is told. None of these may take long. */
export interface FeedListener {
  onEntries(entries: readonly SizedEntry[]): void;
  onMissed(stream: StreamName, messages: number): void;
  onAway(who: string, reason: string): void;
  onBack(who: string): void;
}

export interface ReadingOptions {
  readonly log: MessageLog;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export class StreamReader {
  readonly stream: StreamName;
  readonly listeners: Set<FeedListener> = new Set();
  /** Resolves when it stands at the end that the stream had then. Never rejects: it is tried until it works, or until `stop`. */
  readonly started: Promise<void>;
  readonly #o: ReadingOptions;
  readonly #stopped = new AbortController();
  #lanes: readonly Lane[] = [];
  readonly #running: Promise<void>;

  constructor(stream: StreamName, options: ReadingOptions) {
    this.stream = stream;
    this.#o = options;
    this.started = this.#persist("feed_seek", async () => {
      this.#lanes = await seekLanes(options.log, stream, Number.POSITIVE_INFINITY);
    });
    this.#running = this.started.then(() => this.#run());
  }

  /** Its places. */
  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error("nobody looks at this stream any more"));
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let idleMs = idleMsMin; !this.#stopped.signal.aborted; ) {
      await this.#persist("feed_read", async () => {
        const { entries, missed, more } = await readLanes(this.#o.log, this.#lanes, pageMax);
        for (const { stream, messages } of missed) for (const listener of this.listeners) listener.onMissed(stream, messages);
        const sized = entries.map((entry) => ({ ...entry, bytes: Buffer.byteLength(JSON.stringify(entry.message)) }));
        if (sized.length > 0) for (const listener of this.listeners) listener.onEntries(sized);
        idleMs = sized.length > 0 ? idleMsMin : Math.min(idleMsMax, idleMs * 2);
        if (more) idleMs = 0;
      });
      await this.#pause(idleMs);
      idleMs = Math.max(idleMsMin, idleMs);
    }
  }

  /** Does something until it works. */
  async #persist(call: string, work: () => Promise<void>): Promise<void> {
    for (let awayMs = awayMsMin; !this.#stopped.signal.aborted; awayMs = Math.min(awayMsMax, awayMs * 2)) {
      try {
        await work();
        for (const listener of this.listeners) listener.onBack(this.stream);
        return;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const code = (error as Partial<RansomeyeError>).code ?? "DEFECT";
        this.#o.telemetry.emit(busCallFailed, { call, code, server_code: null, frames: 0 });
        for (const listener of this.listeners) listener.onAway(this.stream, reason);
        await this.#pause(awayMs);
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(this.#o.clock, ms, this.#stopped.signal).catch(() => undefined);
  }
}
