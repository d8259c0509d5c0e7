/**
 * Why: tests of load need producers that send as fast as they may and never faster.
 * Enforces: credit as the contract has it: totals that only grow, in bytes and events, never overstepped; a Credit that grants nothing is not one more.
 * Forbids: use outside tests, and waiting through a pause: the test is told instead.
 */
import type { TestConversation } from "./test_gate.ts";

export class Spender {
  readonly #conversation: TestConversation;
  #credit: { readonly bytes: number; readonly events: number };
  #spent = { bytes: 0, events: 0 };

  constructor(conversation: TestConversation) {
    const { creditBytesTotal, creditEventsTotal } = conversation.welcome;
    this.#conversation = conversation;
    this.#credit = { bytes: creditBytesTotal, events: creditEventsTotal };
  }

  /** Sends the next frame of its chain once credit covers it; `framesToCome` such frames, this one included, are asked for. */
  async send(count: number, payload: Buffer, framesToCome = 1): Promise<"sent" | "paused"> {
    const { chain, say } = this.#conversation;
    const { header, signature } = chain.peek(payload, count).message;
    const cost = { bytes: header.length + signature.length + payload.length, events: count };
    if (!this.#covers(cost)) {
      const bytes = framesToCome * cost.bytes - (this.#credit.bytes - this.#spent.bytes);
      const events = framesToCome * cost.events - (this.#credit.events - this.#spent.events);
      say({ kind: "demand", bytes: Math.max(0, bytes), events: Math.max(0, events), oldestUs: 0, frameBytes: 0 });
    }
    while (!this.#covers(cost)) if (!(await this.#granted())) return "paused";
    this.#spent = { bytes: this.#spent.bytes + cost.bytes, events: this.#spent.events + cost.events };
    say(chain.next(count, payload).message);
    return "sent";
  }

  #covers(cost: { readonly bytes: number; readonly events: number }): boolean {
    return this.#spent.bytes + cost.bytes <= this.#credit.bytes && this.#spent.events + cost.events <= this.#credit.events;
  }

  /** Waits for the next word about credit; false where it is a pause. */
  async #granted(): Promise<boolean> {
    const said = await this.#conversation.client.next("credit", "throttle");
    if (said.kind === "throttle") return said.state !== "paused";
    this.#credit = { bytes: said.bytesTotal, events: said.eventsTotal };
    return true;
  }
}
