/**
 * Why it exists: publishers of a stream share calls, and while the servers judge one call the next is on its way.
 * Enforces: at most two calls of a stream under way, bounded by messages and by bytes; what is taken of one publisher's messages is in the order in which he
 * asked: what a full stream has turned away is asked for again, once there is room, only where nothing that came after it has been taken.
 * Forbids: timers; and asking again for what a failed call may have done.
 */
import { jsonBytes, type Message, type StreamName } from "../messages/message.ts";
import type { PublishOutcome } from "../messages/port.ts";

const callsMax = 2;
/** Of one call. A message that is larger goes alone. */
const messagesMax = 128;
const bytesMax = 2 * 1024 * 1024;
/** So few are not divided between two calls. */
const undivided = 8;

export interface PublishingOptions {
  /** Gives an outcome for each, in order, or why that one failed. They may be told `full` from one on, and then to the last. */
  readonly send: (stream: StreamName, messages: readonly Message[]) => Promise<readonly (PublishOutcome | Error)[]>;
  /** Called while nothing of the stream is under way; false where there is none to be made. */
  readonly makeRoom: (stream: StreamName) => Promise<boolean>;
}

interface Asked {
  readonly message: Message;
  readonly resolve: (outcome: PublishOutcome) => void;
  readonly reject: (error: unknown) => void;
}

interface TurnedAway {
  readonly asked: Asked;
  readonly outcome: PublishOutcome;
  /** Number of its call. */
  readonly nth: number;
}

interface Lane {
  readonly stream: StreamName;
  waiting: Asked[];
  /** Until they have been answered nothing else leaves. */
  turnedAway: TurnedAway[];
  /** Messages of the calls under way, by call. */
  readonly underWay: Set<readonly Asked[]>;
  /** Calls so far, and the last of them of which something was taken. */
  calls: number;
  taken: number;
  isAboutToRun: boolean;
}

export class Publishing {
  readonly #o: PublishingOptions;
  readonly #lanes = new Map<StreamName, Lane>();

  constructor(options: PublishingOptions) {
    this.#o = options;
  }

  add(message: Message): Promise<PublishOutcome> {
    const lane = this.#lane(message.stream);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ message, resolve, reject });
      this.#runSoon(lane);
    });
  }

  #lane(stream: StreamName): Lane {
    const known = this.#lanes.get(stream);
    if (known !== undefined) return known;
    const lane: Lane = { stream, waiting: [], turnedAway: [], underWay: new Set(), calls: 0, taken: 0, isAboutToRun: false };
    this.#lanes.set(stream, lane);
    return lane;
  }

  /** Not before whoever asks in this turn has asked. */
  #runSoon(lane: Lane): void {
    if (lane.isAboutToRun) return;
    lane.isAboutToRun = true;
    process.nextTick(() => {
      lane.isAboutToRun = false;
      this.#run(lane);
    });
  }

  #run(lane: Lane): void {
    while (lane.turnedAway.length === 0 && lane.waiting.length > 0 && lane.underWay.size < callsMax) {
      const [other] = lane.underWay;
      // Calls of one size keep both sides busy; a small one would answer at once, and what comes meanwhile would wait for the large one.
      if (other !== undefined && lane.waiting.length < other.length / 2) return;
      const share = Math.ceil(lane.waiting.length / (callsMax - lane.underWay.size));
      void this.#call(lane, leaving(lane, Math.max(share, undivided)));
    }
  }

  async #call(lane: Lane, asked: readonly Asked[]): Promise<void> {
    lane.calls += 1;
    const nth = lane.calls;
    lane.underWay.add(asked);
    try {
      const messages = asked.map(({ message }) => message);
      told(lane, nth, asked, await this.#o.send(lane.stream, messages));
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
    lane.underWay.delete(asked);
    if (lane.underWay.size === 0 && lane.turnedAway.length > 0) await this.#makeRoom(lane);
    this.#runSoon(lane);
  }

  /** For what was turned away, which then goes before all others; or it is told so. */
  async #makeRoom(lane: Lane): Promise<void> {
    try {
      const hasRoom = await this.#o.makeRoom(lane.stream);
      const turnedAway = lane.turnedAway.toSorted((a, b) => a.nth - b.nth);
      lane.turnedAway = [];
      if (hasRoom) lane.waiting = [...turnedAway.map(({ asked }) => asked), ...lane.waiting];
      else for (const { asked, outcome } of turnedAway) asked.resolve(outcome);
    } catch (error) {
      for (const { asked } of lane.turnedAway) asked.reject(error);
      lane.turnedAway = [];
    }
  }
}

function told(lane: Lane, nth: number, asked: readonly Asked[], outcomes: readonly (PublishOutcome | Error)[]): void {
  if (outcomes.some((outcome) => !(outcome instanceof Error) && outcome.kind === "published")) lane.taken = Math.max(lane.taken, nth);
  for (const [index, one] of asked.entries()) {
    const outcome = outcomes[index] as PublishOutcome | Error;
    if (outcome instanceof Error) one.reject(outcome);
    else if (outcome.kind === "full") lane.turnedAway.push({ asked: one, outcome, nth });
    else one.resolve(outcome);
  }
  // Where somebody else has made room between two calls those of the first may not follow those of the second.
  const isOvertaken = (one: TurnedAway): boolean => one.nth < lane.taken;
  for (const { asked: one, outcome } of lane.turnedAway.filter(isOvertaken)) one.resolve(outcome);
  lane.turnedAway = lane.turnedAway.filter((one) => !isOvertaken(one));
}

/** Takes so many of what waits, or as many of them as one call may have. */
function leaving(lane: Lane, most: number): readonly Asked[] {
  let [count, bytes] = [0, 0];
  for (const { message } of lane.waiting) {
    bytes += jsonBytes(message);
    if (count > 0 && (count >= most || count >= messagesMax || bytes > bytesMax)) break;
    count += 1;
  }
  return lane.waiting.splice(0, count);
}
