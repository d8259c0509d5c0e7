/**
 * Why it exists: an acknowledgement travels with the message (style rule 6): whoever holds one can end it, and nobody else.
 * Enforces: a message ends once: acknowledged, rejected (to be tried again, or buried after the last time) or released; later words are told that
 * they are too late.
 * Forbids: knowing how messages are fetched.
 */
import type { Clock, Telemetry } from "ransomeye-kernel";
import { messageBuried, messageRetried } from "../events.ts";
import { deadLetterOf, retriesExceeded } from "./dead_letter.ts";
import { deliveriesMax } from "./delivery_machine.ts";
import type { Message, StreamName } from "./message.ts";
import type { StreamPayloads } from "./payloads.ts";
import type { Delivery, MessageLog, SettleOutcome, Settlement } from "./port.ts";

export type MessageOf<Stream extends StreamName> = Message<StreamPayloads[Stream]> & { readonly stream: Stream };

/** How a message ended: as wished; too late, for somebody else has it by now; or it stays, for the dead letters take nothing at the moment. */
export type Ending = SettleOutcome | "full";

export interface RejectOptions {
  /** Trying again would not help: into the dead letters at once. */
  readonly permanent?: boolean;
}

/** A message that is ours for the time of a lease, which is prolonged while we hold it. */
export interface Received<Stream extends StreamName> {
  readonly message: MessageOf<Stream>;
  /** This one included. */
  readonly deliveries: number;
  /** Aborts when the message is not ours any more: whatever is done from then on, somebody else does as well. */
  readonly signal: AbortSignal;
  acknowledge(): Promise<Ending>;
  /** It could not be handled: again after a back-off, and after the third retry into the dead letters. */
  reject(reason: string, options?: RejectOptions): Promise<Ending>;
  /** It was not begun: for somebody else, at once and uncounted. */
  release(): Promise<Ending>;
}

export interface HoldOptions {
  readonly log: MessageLog;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly member: string;
  /** Pauses before the first, second and third retry. */
  readonly retryDelaysMs: readonly number[];
}

/** Hears how far a delivery is, each once. */
export interface HeldListener {
  /** How it is to end has been said, or its lease is gone. */
  said(): void;
  /** The servers have answered. */
  ended(): void;
}

const leaseEnded = new Error("the lease of this message has ended");

/** One delivery in our hands. */
export class Held<Stream extends StreamName> implements Received<Stream> {
  readonly delivery: Delivery;
  readonly #o: HoldOptions;
  #lost: AbortController | undefined;
  #isLost = false;
  readonly #on: HeldListener;
  #ending: Promise<Ending> | undefined;

  constructor(delivery: Delivery, options: HoldOptions, on: HeldListener) {
    this.delivery = delivery;
    this.#o = options;
    this.#on = on;
  }

  get message(): MessageOf<Stream> {
    return this.delivery.message as MessageOf<Stream>;
  }

  get deliveries(): number {
    return this.delivery.deliveries;
  }

  get signal(): AbortSignal {
    this.#lost ??= new AbortController();
    if (this.#isLost) this.#lost.abort(leaseEnded);
    return this.#lost.signal;
  }

  get isEnded(): boolean {
    return this.#ending !== undefined;
  }

  acknowledge(): Promise<Ending> {
    return this.#end(() => this.#settle({ kind: "done" }));
  }

  reject(reason: string, { permanent = false }: RejectOptions = {}): Promise<Ending> {
    return this.#end(() => this.#reject(reason, permanent));
  }

  release(): Promise<Ending> {
    return this.#end(() => this.#settle({ kind: "release" }));
  }

  /** The lease is gone. */
  lost(): void {
    if (this.isEnded) return;
    this.#ending = Promise.resolve("fenced");
    this.#isLost = true;
    this.#lost?.abort(leaseEnded);
    this.#on.said();
    this.#on.ended();
  }

  async #reject(reason: string, permanent: boolean): Promise<Ending> {
    const { stream, group, message, deliveries, failures } = this.delivery;
    const { telemetry, clock, member, retryDelaysMs } = this.#o;
    const named = { stream, group, message_id: message.message_id, deliveries };
    if (!permanent && deliveries < deliveriesMax) {
      telemetry.emit(messageRetried, { ...named, reason });
      return this.#settle({ kind: "retry", reason, delayMs: retryDelaysMs[deliveries - 1] ?? retryDelaysMs.at(-1) ?? 0 });
    }
    const nowUs = clock.nowUs();
    const told: Delivery = { ...this.delivery, failures: [...failures, { atUs: nowUs, member, reason }] };
    return this.bury(told, permanent ? reason : retriesExceeded);
  }

  /** Puts the dead letter in its place. Where those take nothing the message stays, and comes again when its lease ends. */
  async bury(delivery: Delivery, reason: string): Promise<Ending> {
    const { log, telemetry, member, clock } = this.#o;
    const outcome = await log.bury(delivery, deadLetterOf(delivery, reason, { member, nowUs: clock.nowUs() }));
    const { stream, group, message, deliveries } = delivery;
    if (outcome === "settled") telemetry.emit(messageBuried, { stream, group, message_id: message.message_id, deliveries, reason });
    return outcome;
  }

  #settle(settlement: Settlement): Promise<Ending> {
    return this.#o.log.settle(this.delivery, settlement);
  }

  /** The first word counts; whoever says another hears how the first one ended. */
  #end(work: () => Promise<Ending>): Promise<Ending> {
    if (this.#ending === undefined) {
      this.#ending = work().finally(() => this.#on.ended());
      this.#on.said();
    }
    return this.#ending;
  }
}
