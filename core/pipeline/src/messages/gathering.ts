/**
 * Why it exists: natural group commit: what comes while a call is under way leaves with the next one, so that the cost of a flush is shared exactly when
 * there is something to share, and a lone item waits for nobody.
 * Enforces: one call for each key in flight, items in the order in which they came; a bound on a call.
 * Forbids: timers, and retries: whoever asked is told.
 */

/** Of one call. */
const itemsMax = 256;

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane<Item, Answer> {
  waiting: Waiting<Item, Answer>[];
  running: boolean;
}

export class Gathering<Item, Answer> {
  readonly #send: (key: string, items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #lanes = new Map<string, Lane<Item, Answer>>();

  /** `send` gives an answer for each item of one key, in order. */
  constructor(send: (key: string, items: readonly Item[]) => Promise<readonly Answer[]>) {
    this.#send = send;
  }

  add(key: string, item: Item): Promise<Answer> {
    const lane = this.#lanes.get(key) ?? { waiting: [], running: false };
    this.#lanes.set(key, lane);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ item, resolve, reject });
      if (lane.running) return;
      lane.running = true;
      // Whatever else is asked for in this turn comes along.
      process.nextTick(() => void this.#run(key, lane));
    });
  }

  async #run(key: string, lane: Lane<Item, Answer>): Promise<void> {
    while (lane.waiting.length > 0) {
      const taken = lane.waiting.splice(0, itemsMax);
      try {
        const answers = await this.#send(
          key,
          taken.map(({ item }) => item),
        );
        for (const [index, one] of taken.entries()) one.resolve(answers[index] as Answer);
      } catch (error) {
        for (const one of taken) one.reject(error);
      }
    }
    lane.running = false;
  }
}
