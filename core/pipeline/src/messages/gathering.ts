/**
 * Why it exists: natural group commit: what comes while a call is under way leaves with the next one, so that the cost of a flush is shared exactly when
 * there is something to share, and a lone item waits for nobody.
 * Enforces: one call for each key in flight, unless one of another kind is made meanwhile; items in the order in which they came; a bound on a call.
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
  readonly waiting: Waiting<Item, Answer>[];
  /** Under way, or about to be. */
  calls: number;
}

/** Items that leave with a call of another kind. Whoever takes them along answers for them; a call that fails has failed for them too. */
export interface Passengers<Item, Answer> {
  readonly items: readonly Item[];
  /** An answer for each, in order. */
  readonly answer: (answers: readonly Answer[]) => void;
  readonly fail: (error: unknown) => void;
}

export class Gathering<Item, Answer> {
  readonly #send: (key: string, items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #lanes = new Map<string, Lane<Item, Answer>>();

  /** `send` gives an answer for each item of one key, in order. */
  constructor(send: (key: string, items: readonly Item[]) => Promise<readonly Answer[]>) {
    this.#send = send;
  }

  add(key: string, item: Item): Promise<Answer> {
    const lane = this.#lane(key);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ item, resolve, reject });
      this.#runSoon(key, lane);
    });
  }

  /** A call of another kind: what waits leaves with it, and what comes while it is under way leaves with the next one. */
  async accompany<Told>(key: string, call: (passengers: Passengers<Item, Answer> | undefined) => Promise<Told>): Promise<Told> {
    const lane = this.#lane(key);
    const passengers = lane.waiting.length === 0 ? undefined : leaving(lane);
    lane.calls += 1;
    try {
      return await call(passengers);
    } catch (error) {
      passengers?.fail(error);
      throw error;
    } finally {
      lane.calls -= 1;
      // Not before whoever has been answered has had his turn: he may be about to make the next one.
      process.nextTick(() => this.#runSoon(key, lane));
    }
  }

  #lane(key: string): Lane<Item, Answer> {
    const lane = this.#lanes.get(key) ?? { waiting: [], calls: 0 };
    this.#lanes.set(key, lane);
    return lane;
  }

  #runSoon(key: string, lane: Lane<Item, Answer>): void {
    if (lane.calls > 0 || lane.waiting.length === 0) return;
    lane.calls = 1;
    // Whatever else is asked for in this turn comes along.
    process.nextTick(() => void this.#run(key, lane));
  }

  async #run(key: string, lane: Lane<Item, Answer>): Promise<void> {
    while (lane.waiting.length > 0) {
      const { items, answer, fail } = leaving(lane);
      await this.#send(key, items).then(answer, fail);
    }
    lane.calls -= 1;
  }
}

function leaving<Item, Answer>(lane: Lane<Item, Answer>): Passengers<Item, Answer> {
  const taken = lane.waiting.splice(0, itemsMax);
  return {
    items: taken.map(({ item }) => item),
    answer: (answers) => {
      for (const [index, one] of taken.entries()) one.resolve(answers[index] as Answer);
    },
    fail: (error) => {
      for (const one of taken) one.reject(error);
    },
  };
}
