/**
 * Why it exists: natural group commit for messages: what is published while a call is under way leaves with the next one, so that the cost of a flush is
 * shared exactly when there is something to share, and a lone message waits for nobody.
 * Enforces: one call for each stream in flight, so that messages are stored in the order in which they were published; bounds on a call.
 * Forbids: timers, and retries: whoever published is told.
 */
import type { Message, StreamName } from "./message.ts";
import type { PublishOutcome } from "./port.ts";

/** Of one call. */
const messagesMax = 256;

interface Waiting {
  readonly message: Message;
  readonly resolve: (outcome: PublishOutcome) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  waiting: Waiting[];
  running: boolean;
}

export class PublishQueue {
  readonly #send: (stream: StreamName, messages: readonly Message[]) => Promise<readonly PublishOutcome[]>;
  readonly #lanes = new Map<StreamName, Lane>();

  /** `send` stores messages of one stream, in order. */
  constructor(send: (stream: StreamName, messages: readonly Message[]) => Promise<readonly PublishOutcome[]>) {
    this.#send = send;
  }

  publish(message: Message): Promise<PublishOutcome> {
    const lane = this.#lanes.get(message.stream) ?? { waiting: [], running: false };
    this.#lanes.set(message.stream, lane);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ message, resolve, reject });
      if (!lane.running) void this.#run(message.stream, lane);
    });
  }

  async #run(stream: StreamName, lane: Lane): Promise<void> {
    lane.running = true;
    while (lane.waiting.length > 0) {
      const taken = lane.waiting.splice(0, messagesMax);
      try {
        const outcomes = await this.#send(
          stream,
          taken.map(({ message }) => message),
        );
        for (const [index, one] of taken.entries()) one.resolve(outcomes[index] as PublishOutcome);
      } catch (error) {
        for (const one of taken) one.reject(error);
      }
    }
    lane.running = false;
  }
}
