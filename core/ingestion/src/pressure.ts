/**
 * What the whole gate tells its producers: the backpressure state and the linger.
 *
 * Why: buffer, bus and rate of frames are facts of the gate, not of a session.
 * Enforces: PAUSED while the bus takes no frames, with the bus's own reason; otherwise the state of the buffer's level, with hysteresis.
 * Forbids: pausing everybody because one connection broke once.
 */
import type { BusPressure } from "ransomeye-pipeline";
import { nextLingerMs, nextPressure } from "./backpressure.ts";
import type { GatewaySettings } from "../config/validation.ts";
import { type Account, outstanding } from "./buffer.ts";
import type { Session, Throttling } from "./session_state.ts";

/** Frames below this share of the largest could be larger. */
const smallFrameRatio = 0.25;
/** Share of the ticks between which peers had to wait, from which on the gate is too slow for what comes. */
const drowningRatio = 0.9;
const retryMsMin = 1000;
/** Appends that fail this often in a row mean that the bus is gone, not that one connection was. */
const failuresUntilPause = 2;

/** The gate's state, from signals. Deterministic. */
export class Pressure {
  /** Partitions whose frames went back to their queue, and why. */
  readonly #blocked = new Map<number, string>();
  #bus: BusPressure = { paused: null, retryAfterMs: 0, backlogEntries: 0 };
  #now: Throttling = Object.freeze({ state: "open", reason: "", retryAfterMs: 0 });

  get now(): Throttling {
    return this.#now;
  }

  /** What the bus says of itself. */
  heard(bus: BusPressure): void {
    this.#bus = bus;
  }

  /** An append was answered; `reason` where frames were put off. */
  answered(part: number, reason: string | undefined): void {
    if (reason === undefined) this.#blocked.delete(part);
    else this.#blocked.set(part, reason);
  }

  /** An append got no answer, for the `failures`th time in a row. */
  failed(part: number, failures: number): void {
    if (failures >= failuresUntilPause) this.#blocked.set(part, "bus_unavailable");
  }

  /** The state at this level of the buffer; true when it has changed. */
  update(level: number): boolean {
    const reason = this.#bus.paused ?? firstOf(this.#blocked);
    const { state: before, reason: toldReason } = this.#now;
    const state = nextPressure(before, level, reason !== undefined);
    const why = state === "open" ? "" : (reason ?? "buffer");
    if (state === before && why === toldReason) return false;
    this.#now = Object.freeze({ state, reason: why, retryAfterMs: state === "open" ? 0 : Math.max(this.#bus.retryAfterMs, retryMsMin) });
    return true;
  }
}

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

  constructor(settings: Pick<GatewaySettings, "lingerMsMin" | "framesPerSecondTarget" | "frameCostBytesMax">) {
    this.#settings = settings;
    this.#ms = settings.lingerMsMin;
  }

  get ms(): number {
    return this.#ms;
  }

  /** A frame has come; its cost is what it changed in its session's account. */
  frame(before: Account, after: Account): void {
    this.#frames += 1;
    this.#bytes += after.spentBytesTotal - before.spentBytesTotal;
    this.#events += after.spentEventsTotal - before.spentEventsTotal;
  }

  /** Some time has passed, in which peers had to wait for the gate, or had not. */
  tick(peersWaited: boolean): void {
    this.#ticks += 1;
    if (peersWaited) this.#waits += 1;
  }

  /** The linger for the next while, from the last `seconds`. `waitingEvents` count as frames of the size that has lately come. */
  update(seconds: number, waitingEvents: number): void {
    const { lingerMsMin, framesPerSecondTarget, frameCostBytesMax } = this.#settings;
    const waitingFrames = (waitingEvents * this.#frames) / Math.max(1, this.#events);
    const framesPerSecond = (this.#frames + waitingFrames) / seconds;
    // Frames that are full already would not grow by waiting longer.
    const small = this.#frames > 0 && this.#bytes / this.#frames < frameCostBytesMax * smallFrameRatio;
    const drowning = small && this.#waits >= this.#ticks * drowningRatio;
    this.#ms = nextLingerMs(
      this.#ms,
      drowning ? Math.max(framesPerSecond, 2 * framesPerSecondTarget) : framesPerSecond,
      framesPerSecondTarget,
      lingerMsMin,
    );
    this.#frames = this.#bytes = this.#events = this.#ticks = this.#waits = 0;
  }
}

/** Events that producers have announced and that have not come: wanted, or granted beyond the floor that every session keeps. */
export function waitingEvents(sessions: Iterable<{ readonly session: Session }>, floorEvents: number): number {
  let events = 0;
  for (const { session } of sessions) events += session.want.events + Math.max(0, outstanding(session.account).events - floorEvents);
  return events;
}

function firstOf(map: ReadonlyMap<number, string>): string | undefined {
  for (const value of map.values()) return value;
  return undefined;
}
