/**
 * Why: producers and gates talk over connections that are slow, stall and break.
 * Enforces: in each direction order is kept until the cut; what was under way at the cut is lost from some point on; each end hears of it at a time of its own.
 *   A producer may leave a wire of which its gate knows nothing yet: what it had sent still arrives there, late, when it has long gone on at another gate.
 * Forbids: delivery after the cut, and to a party that has died.
 */
import type { ClientMessage, ServerMessage } from "ransomeye-ingestion/protocol";
import { type Life, type Scheduler, between } from "./scheduler.ts";

/** One end of a wire. */
export interface End<M> {
  readonly life: Life;
  hear(message: M): void;
  closed(): void;
}

export interface WireFaults {
  delayMsMax: number;
}

export class Wire {
  readonly #scheduler: Scheduler;
  readonly #faults: WireFaults;
  readonly #client: End<ServerMessage>;
  #server: End<ClientMessage> | undefined;
  #upAtMs = 0;
  #downAtMs = 0;
  #cut = false;
  /** How much later everything arrives at the gate since the producer has left; 0 while it is there. */
  #lateMs = 0;

  constructor(scheduler: Scheduler, faults: WireFaults, client: End<ServerMessage>) {
    this.#scheduler = scheduler;
    this.#faults = faults;
    this.#client = client;
  }

  /** Nobody is at the other end, whether or not the gate knows. */
  get isDead(): boolean {
    return this.#cut || this.#lateMs > 0;
  }

  attach(server: End<ClientMessage>): void {
    this.#server = server;
  }

  /** A message to the gate. */
  up(message: ClientMessage): void {
    this.#upAtMs = this.#send(this.#upAtMs, () => this.#server, message);
  }

  /** A message to the producer. */
  down(message: ServerMessage): void {
    this.#downAtMs = this.#send(this.#downAtMs, () => this.#client, message);
  }

  /** The gate ends the stream: what it has sent still arrives, then the producer hears the end. */
  finish(): void {
    this.#server = undefined;
    const restMs = Math.max(0, this.#downAtMs - this.#scheduler.nowMs) + 1;
    this.#scheduler.in(restMs, "", () => this.cut());
  }

  /** Breaks the connection now. */
  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    const { random } = this.#scheduler;
    const server = this.#server;
    this.#client.life.in(between(random, 0, 200), "", () => this.#client.closed());
    server?.life.in(between(random, 0, 500), "", () => server.closed());
  }

  /** The producer gives up; the gate hears of it much later, and of everything that was under way before that. */
  leave(): void {
    if (this.isDead) return;
    const { random } = this.#scheduler;
    this.#lateMs = between(random, 200, 4000);
    this.#client.life.in(between(random, 0, 50), "", () => this.#client.closed());
    const server = this.#server;
    server?.life.in(this.#lateMs + between(random, 0, 4000), "", () => {
      this.#cut = true;
      server.closed();
    });
  }

  #send<M>(lastAtMs: number, end: () => End<M> | undefined, message: M): number {
    const { nowMs, random } = this.#scheduler;
    const atMs = Math.max(lastAtMs, nowMs + random.float() * this.#faults.delayMsMax);
    const arrive = (): void => {
      const to = end();
      if (this.#cut || to === undefined) return;
      // A stopped process finds what came meanwhile when it goes on; a dead one never.
      to.life.in(0, "", () => to.hear(message));
    };
    this.#scheduler.in(atMs - nowMs, "", () => {
      if (this.#lateMs === 0) arrive();
      else if (end() === this.#server) this.#scheduler.in(this.#lateMs, "", arrive);
    });
    return atMs;
  }
}
