/**
 * What the whole gate tells its producers: the backpressure state.
 *
 * Why: the buffer's level, the bus's answers and the engine's lag are facts of the gate, not of a session (ING-6).
 * Enforces: five signals, each with a value at which it pauses and hysteresis of its own; the gate is in the worst of their states and says which signal
 *   put it there. PAUSED at once while the bus takes no frames or is not heard of, with the bus's own reason. After a pause credit returns by doubling.
 * Forbids: pausing everybody because one connection broke once, and any clock of its own.
 */
import type { BusPressure } from "ransomeye-pipeline";
import type { GatewaySettings } from "../config/validation.ts";
import type { ThrottleState } from "../protocol/lib.ts";
import { bufferPauseRatio, nextPressure } from "./backpressure.ts";
import type { Throttling } from "./session_state.ts";

const retryMsMin = 1000;
/** Appends that fail this often in a row mean that the bus is gone, not that one connection was. */
const failuresUntilPause = 2;
/** Weight of the newest append in the running mean of their times. */
const appendMeanWeight = 0.2;
/** While nothing is appended, a slow past is forgotten by half in this time. */
const appendHalfLifeMs = 1000;

/** Bytes that this gate may have in appends, until when. */
export interface InFlightLease {
  readonly bytes: number;
  readonly untilMs: number;
}

/** What the gate knows of itself at one moment. */
export interface GateLevels {
  readonly heldBytes: number;
  /** Age of the oldest append that the bus has not answered; 0 without one. */
  readonly oldestAppendMs: number;
  /** Whether frames wait for an append. */
  readonly waiting: boolean;
}

/** The signals, in the order in which a reason is told when several are equally bad. */
type PressureSignal = "buffer" | "append_latency" | "bus_lag" | "engine_lag" | "server";
const worse: Readonly<Record<ThrottleState, number>> = Object.freeze({ open: 0, throttled: 1, paused: 2 });

/** The gate's state, from signals. Deterministic. */
export class Pressure {
  readonly #settings: Pick<GatewaySettings, "bufferBytesMax" | "appendMsMax" | "busBacklogFramesMax" | "engineLagMsMax">;
  readonly #states = new Map<PressureSignal, ThrottleState>();
  /** Partitions whose frames went back to their queue, and why. */
  readonly #blocked = new Map<number, string>();
  #bus: BusPressure | undefined;
  #lease: InFlightLease = Object.freeze({ bytes: 0, untilMs: 0 });
  #appendMeanMs = 0;
  #updatedMs = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #now: Throttling = Object.freeze({ state: "open", reason: "", retryAfterMs: 0 });

  constructor(settings: Pick<GatewaySettings, "bufferBytesMax" | "appendMsMax" | "busBacklogFramesMax" | "engineLagMsMax">) {
    this.#settings = settings;
  }

  get now(): Throttling {
    return this.#now;
  }

  /** Until when the gate was last paused; `nowMs` while it is. */
  pausedUntilMs(nowMs: number): number {
    return this.#now.state === "paused" ? nowMs : this.#pausedUntilMs;
  }

  /** Bytes that may be on their way to the bus now; none once the lease has run out. */
  inFlightBytes(nowMs: number): number {
    return nowMs < this.#lease.untilMs ? this.#lease.bytes : 0;
  }

  /** What the bus says of itself, in answer to a question asked at `askedMs`: the lease runs from then on. */
  heard(bus: BusPressure, askedMs: number): void {
    this.#bus = bus;
    this.#lease = Object.freeze({ bytes: bus.inFlightBytesMax, untilMs: askedMs + bus.leaseMs });
  }

  /** An append was answered after `tookMs`; `reason` where frames were put off. */
  answered(part: number, tookMs: number, reason: string | undefined): void {
    this.#appendMeanMs += (tookMs - this.#appendMeanMs) * appendMeanWeight;
    if (reason === undefined) this.#blocked.delete(part);
    else this.#blocked.set(part, reason);
  }

  /** An append got no answer, for the `failures`th time in a row. */
  failed(part: number, failures: number): void {
    if (failures >= failuresUntilPause) this.#blocked.set(part, "bus_unavailable");
  }

  /** The state at these levels; true when it has changed. */
  update(levels: GateLevels, nowMs: number): boolean {
    const { state, reason } = this.#worst(levels, nowMs);
    this.#pausedUntilMs = this.pausedUntilMs(nowMs);
    const { state: before, reason: toldReason } = this.#now;
    if (state === before && reason === toldReason) return false;
    this.#now = Object.freeze({ state, reason, retryAfterMs: state === "open" ? 0 : Math.max(this.#bus?.retryAfterMs ?? 0, retryMsMin) });
    return true;
  }

  #worst(levels: GateLevels, nowMs: number): { readonly state: ThrottleState; readonly reason: string } {
    let state: ThrottleState = "open";
    let reason = "";
    for (const [signal, level] of this.#levels(levels, nowMs)) {
      const next = nextPressure(this.#states.get(signal) ?? "open", level);
      this.#states.set(signal, next);
      if (worse[next] <= worse[state]) continue;
      state = next;
      // The server says itself what it suffers from; once that is over, only that it did.
      reason = signal === "server" ? (this.#bus?.strain?.name ?? signal) : signal;
    }
    const busReason = this.#busReason(nowMs);
    return busReason === undefined ? { state, reason } : { state: "paused", reason: busReason };
  }

  /** Each signal as a share of the value at which it pauses. */
  #levels({ heldBytes, oldestAppendMs, waiting }: GateLevels, nowMs: number): readonly (readonly [PressureSignal, number])[] {
    const { bufferBytesMax, appendMsMax, busBacklogFramesMax, engineLagMsMax } = this.#settings;
    if (oldestAppendMs === 0 && !waiting) this.#appendMeanMs *= 0.5 ** (Math.max(0, nowMs - this.#updatedMs) / appendHalfLifeMs);
    this.#updatedMs = nowMs;
    return [
      ["buffer", heldBytes / (bufferPauseRatio * bufferBytesMax)],
      ["append_latency", Math.max(this.#appendMeanMs, oldestAppendMs) / appendMsMax],
      ["engine_lag", (this.#bus?.backlogMs ?? 0) / engineLagMsMax],
      ["bus_lag", (this.#bus?.backlogEntries ?? 0) / busBacklogFramesMax],
      ["server", this.#bus?.strain?.level ?? 0],
    ];
  }

  #busReason(nowMs: number): string | undefined {
    const { paused } = this.#bus ?? { paused: null };
    if (paused !== null) return paused;
    for (const reason of this.#blocked.values()) return reason;
    return nowMs < this.#lease.untilMs ? undefined : "bus_unavailable";
  }
}

/**
 * Credit after a pause: were all of the buffer handed out at once, a fleet that has waited a minute would answer with one burst, and the bus would be
 * where it was. What may be in use begins small and doubles each second until it is the whole buffer.
 */
export class Ramp {
  readonly #bytesMin: number;
  readonly #bytesMax: number;
  #bytes: number;
  #atMs = 0;

  constructor({ rampBytesMin, bufferBytesMax }: Pick<GatewaySettings, "rampBytesMin" | "bufferBytesMax">) {
    this.#bytesMin = rampBytesMin;
    this.#bytesMax = bufferBytesMax;
    this.#bytes = bufferBytesMax;
  }

  /** Bytes beyond all floors that may be granted or held. Grows while the gate is not paused. */
  bytes(state: ThrottleState, nowMs: number): number {
    const seconds = Math.max(0, nowMs - this.#atMs) / 1000;
    this.#atMs = nowMs;
    this.#bytes = state === "paused" ? this.#bytesMin : Math.min(this.#bytesMax, this.#bytes * 2 ** Math.min(seconds, 60));
    return this.#bytes;
  }
}
