/**
 * How long producers gather events before they sign, from what arrives and from what does not.
 *
 * Why: 50,000 producers that each send a frame a second would cost more in signatures than in events.
 * Enforces: longer while more frames come than the gate wants to verify, back to the configured time when not; and no longer still before those who were told
 *   have had the time to do it: what arrives until then was gathered before.
 * Forbids: clocks; time arrives with ticks.
 */
import type { GatewaySettings } from "../config/validation.ts";
import { nextLingerMs } from "./backpressure.ts";
import { type Account, outstanding } from "./buffer.ts";
import type { Session } from "./session_state.ts";

/** Frames below this share of the largest could be larger. */
const smallFrameRatio = 0.25;
/** Share of the ticks at which peers wait, from which on the gate is too slow for what comes: half of them, for it shares its cores with others. */
const drowningRatio = 0.5;
/** Time for producers to heed a longer linger, at most: who waited for the whole of a long one would watch an overload grow. */
const heededMsMax = 5000;
/** Share of the frames that the gate wants to verify, below which frames are not what it is slow with: to gather longer would help nobody. */
const drowningFramesRatio = 0.25;

/**
 * How long producers gather before they sign: from the frames that arrive, and from those that do not arrive because the gate is slower than
 * its producers. Arrivals alone would never show an overload by small frames: the gate would be too busy with them to count many.
 */
export class Linger {
  readonly #settings: Pick<GatewaySettings, "lingerMsMin" | "framesPerSecondTarget" | "frameCostBytesMax">;
  #ms: number;
  #frames = 0;
  #bytes = 0;
  #events = 0;
  #ticks = 0;
  #waits = 0;
  /** Time since it grew last. */
  #steadyMs = Number.POSITIVE_INFINITY;

  constructor(settings: Pick<GatewaySettings, "lingerMsMin" | "framesPerSecondTarget" | "frameCostBytesMax">) {
    this.#settings = settings;
    this.#ms = settings.lingerMsMin;
  }

  get ms(): number {
    return this.#ms;
  }

  /** The linger of a kind: who speaks for many waits shorter, never below the configured time. */
  msFor(weight: number): number {
    return Math.max(this.#settings.lingerMsMin, Math.round(this.#ms / weight));
  }

  /** A frame has come; its cost is what it changed in its session's account. */
  frame(before: Account, after: Account): void {
    this.#frames += 1;
    this.#bytes += after.spentBytesTotal - before.spentBytesTotal;
    this.#events += after.spentEventsTotal - before.spentEventsTotal;
  }

  /** A tick, at which peers wait for the gate or do not. */
  tick(peersWait: boolean): void {
    this.#ticks += 1;
    if (peersWait) this.#waits += 1;
  }

  /** The linger for the next while, from the last `seconds`. `waitingEvents` count as frames of the size that has lately come. */
  update(seconds: number, waitingEvents: number): void {
    const { lingerMsMin, framesPerSecondTarget, frameCostBytesMax } = this.#settings;
    const waitingFrames = (waitingEvents * this.#frames) / Math.max(1, this.#events);
    const framesPerSecond = (this.#frames + waitingFrames) / seconds;
    // Frames that are full already would not grow by waiting longer.
    const small = this.#frames > 0 && this.#bytes / this.#frames < frameCostBytesMax * smallFrameRatio;
    const many = framesPerSecond >= framesPerSecondTarget * drowningFramesRatio;
    const drowning = small && many && this.#waits >= this.#ticks * drowningRatio;
    const load = drowning ? Math.max(framesPerSecond, 2 * framesPerSecondTarget) : framesPerSecond;
    const nextMs = nextLingerMs(this.#ms, load, framesPerSecondTarget, lingerMsMin);
    this.#steadyMs += seconds * 1000;
    if (nextMs <= this.#ms) this.#ms = nextMs;
    else if (this.#steadyMs >= Math.min(this.#ms, heededMsMax)) {
      this.#ms = nextMs;
      this.#steadyMs = 0;
    }
    this.#frames = this.#bytes = this.#events = this.#ticks = this.#waits = 0;
  }
}

/** Events that producers have announced and that have not come: wanted, or granted beyond the floor that every session keeps. */
export function waitingEvents(sessions: Iterable<{ readonly session: Session }>, floorEvents: number): number {
  let events = 0;
  for (const { session } of sessions) events += session.want.events + Math.max(0, outstanding(session.account).events - floorEvents);
  return events;
}
