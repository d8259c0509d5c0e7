/**
 * Why it exists: one member of one group: it fetches what is due, keeps it leased while it is worked on, and hands it out one at a time.
 * Enforces: at most `leasedMax` messages are held that nobody has said the end of, the most urgent handed out first; leases are prolonged well before they end, and a message whose lease
 * is gone says so; what cannot be handled at all (used up, or not what its stream's schema says) goes to the dead letters without being handed out.
 * Forbids: pushing: nothing is fetched that nobody asks for, but for what keeps the next asker from waiting.
 */
import { invariant, type RansomeyeError, sleep } from "ransomeye-kernel";
import { busCallFailed, messagesMissing } from "../events.ts";
import { retriesExceeded } from "./dead_letter.ts";
import type { StreamName } from "./message.ts";
import { payloadProblems } from "./payloads.ts";
import type { Delivery, Taken } from "./port.ts";
import { Held, type HoldOptions } from "./received.ts";

/** A message of the highest priority waits behind at most so many that are out already. Those whose end is on its way to the servers hold nobody up. */
export const leasedMax = 64;

const idleMsMin = 2;
const idleMsMax = 250;
const failedMs = 500;
/** One for all: without it each pause would end with an error of its own. */
const woken = new Error("there may be something to do");

export interface SubscriptionOptions extends HoldOptions {
  readonly stream: StreamName;
  readonly group: string;
  readonly leaseMs: number;
  /** Messages that are held at once, fetched and not said to be ended. */
  readonly prefetch: number;
}

export class Subscription<Stream extends StreamName> {
  readonly #o: SubscriptionOptions;
  /** Leased, for all that the servers have said. */
  readonly #held = new Set<Held<Stream>>();
  /** Of them those that somebody has yet to end. */
  readonly #open = new Set<Held<Stream>>();
  #ready: Held<Stream>[] = [];
  readonly #closed = new AbortController();
  readonly #ended = new AbortController();
  /** Fetches under way. One for all who wait, or two where the log answers them in order: what is handed out later is later in its log. */
  readonly #fetching = new Set<Promise<number | null>>();
  /** Messages that they ask for. */
  #asked = 0;
  /** Everything that was asked for so far has been received. */
  #received: Promise<unknown> = Promise.resolve();
  /** One pause for all who wait. */
  #idling: Promise<void> | undefined;
  #pause = new AbortController();
  /** Something may have come since the last fetch began. */
  #isWoken = false;
  #isFull = false;
  /** The last fetch was given as many as it asked for. */
  #hasMore = false;
  readonly #keeping: Promise<void>;

  constructor(options: SubscriptionOptions) {
    invariant(options.prefetch >= 1 && options.prefetch <= leasedMax, "a member holds 1 to 64 messages");
    this.#o = options;
    this.#keeping = this.#keep();
  }

  /** Something may have been published. */
  wake(): void {
    this.#isWoken = true;
    this.#pause.abort(woken);
  }

  /** The next message; undefined once the subscription is closed. */
  async next(): Promise<Held<Stream> | undefined> {
    let idleMs = idleMsMin;
    while (!this.#closed.signal.aborted) {
      const next = this.#ready.shift();
      if (next !== undefined && !next.isEnded) {
        this.#fetchAhead();
        return next;
      }
      if (next !== undefined) continue;
      const [underWay] = this.#fetching;
      const dueMs = await (underWay ?? this.#fetch(this.#room));
      if (this.#ready.length > 0 || this.#fetching.size > 0) continue;
      this.#idling ??= this.#idle(Math.max(idleMsMin, Math.min(idleMs, dueMs ?? idleMs))).finally(() => (this.#idling = undefined));
      await this.#idling;
      idleMs = Math.min(idleMsMax, idleMs * 2);
    }
    return undefined;
  }

  /** Takes no more; what was not begun goes back, what was begun may still be ended. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new Error("the subscription is closed"));
    this.#pause.abort(woken);
    // What is on its way is leased to us already.
    await this.#received;
    const unbegun = this.#ready;
    this.#ready = [];
    await Promise.allSettled(unbegun.map((held) => held.release()));
    this.#endIfEmpty();
    await this.#keeping;
  }

  /** Where there was more than room for it, a half of what is held is worked on while the other half is on its way. */
  #fetchAhead(): void {
    const { prefetch, log } = this.#o;
    const half = Math.ceil(prefetch / 2);
    const most = log.takesInOrder ? 2 : 1;
    while (this.#hasMore && !this.#closed.signal.aborted && this.#fetching.size < most && this.#room >= half) void this.#fetch(half);
  }

  /** The next ones are asked for while the ends of the last are on their way, and not where servers have yet to answer to as many as that again. */
  get #room(): number {
    const { prefetch } = this.#o;
    return Math.min(prefetch - this.#open.size, 2 * prefetch - this.#held.size) - this.#asked;
  }

  /** Fetches so many; gives when something is due by itself. */
  #fetch(max: number): Promise<number | null> {
    this.#isWoken = false;
    this.#isFull = max <= 0;
    if (this.#isFull) return Promise.resolve(null);
    this.#asked += max;
    const fetching: Promise<number | null> = this.#take(max).finally(() => {
      this.#asked -= max;
      this.#fetching.delete(fetching);
    });
    this.#fetching.add(fetching);
    return fetching;
  }

  #take(max: number): Promise<number | null> {
    const { log, stream, group, member, leaseMs } = this.#o;
    const before = this.#received;
    const taking = log.take(stream, group, member, { max, leaseMs }).then(
      async (taken) => {
        await before;
        return this.#receiveAll(taken, max);
      },
      (error: unknown) => {
        this.#hasMore = false;
        this.#failed("take", error);
        return failedMs;
      },
    );
    this.#received = Promise.all([before, taking]);
    return taking;
  }

  /** Gives when something is due by itself. */
  async #receiveAll({ deliveries, missing, nextDueMs }: Taken, max: number): Promise<number | null> {
    const { stream, group, telemetry } = this.#o;
    for (const { priority, fromOff, toOff } of missing)
      telemetry.emit(messagesMissing, { stream, group, priority, from_off: fromOff, to_off: toOff, messages: toOff - fromOff + 1 });
    this.#hasMore = deliveries.length === max;
    // What could not be buried comes again when its lease ends.
    for (const delivery of deliveries) await this.#receive(delivery).catch((error: unknown) => this.#failed("bury", error));
    this.#ready.sort((a, b) => b.message.priority - a.message.priority);
    if (this.#ready.length > 0) this.#pause.abort(woken);
    return nextDueMs;
  }

  async #receive(delivery: Delivery): Promise<void> {
    const { stream, group } = this.#o;
    // Whoever waits for room need not wait for the clock.
    const hasRoom = (): void => {
      if (this.#isFull) this.wake();
      this.#fetchAhead();
    };
    const held: Held<Stream> = new Held(delivery, this.#o, {
      said: () => {
        this.#open.delete(held);
        hasRoom();
      },
      ended: () => {
        this.#held.delete(held);
        this.#endIfEmpty();
        hasRoom();
      },
    });
    const { message } = delivery;
    if (message.redriven !== undefined && message.redriven.group !== group) {
      await held.acknowledge();
      return;
    }
    const problems = payloadProblems(stream, message.payload);
    if (delivery.exhausted || problems.length > 0) {
      await held.bury(delivery, delivery.exhausted ? retriesExceeded : `the payload is not what ${stream} says: ${problems.join("; ")}`);
      return;
    }
    this.#held.add(held);
    this.#open.add(held);
    this.#ready.push(held);
  }

  /** Prolongs the leases of everything that is held, until closed and empty. */
  async #keep(): Promise<void> {
    const { log, clock, leaseMs } = this.#o;
    while (!this.#ended.signal.aborted) {
      await sleep(clock, leaseMs / 3, this.#ended.signal).catch(() => undefined);
      const held = [...this.#held];
      if (held.length === 0) continue;
      try {
        const kept = await log.extend(
          held.map(({ delivery }) => delivery),
          leaseMs,
        );
        const still = new Set(kept);
        for (const one of held) if (!still.has(one.delivery)) one.lost();
      } catch (error) {
        this.#failed("extend", error);
      }
    }
  }

  /** Closed, and everything that was begun has ended: no lease is left to be kept. */
  #endIfEmpty(): void {
    if (this.#closed.signal.aborted && this.#held.size === 0) this.#ended.abort(new Error("nothing is held any more"));
  }

  async #idle(ms: number): Promise<void> {
    if (this.#isWoken || this.#closed.signal.aborted) return;
    this.#pause = new AbortController();
    await sleep(this.#o.clock, ms, this.#pause.signal).catch(() => undefined);
  }

  #failed(call: string, error: unknown): void {
    const code = (error as Partial<RansomeyeError>).code ?? "DEFECT";
    this.#o.telemetry.emit(busCallFailed, { call, code, server_code: null, frames: 0 });
  }
}
