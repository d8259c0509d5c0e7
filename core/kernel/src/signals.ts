/**
 * Why: shutdown verbs mean what they say, and Ctrl-C reaches a whole terminal group, with npm handing it on once more.
 * Enforces: the first signal drains; another within a second of the one that was acted on is its echo; a later one destroys.
 * Forbids: closing anything here; the owner acts on the wish.
 */
import { type Clock, systemClock } from "./clock.ts";

/** How far the signals have come, and when the last one that was acted on arrived (monotonic). */
export interface SignalState {
  readonly phase: "running" | "draining" | "destroyed";
  readonly actedMs: number;
}

/** What a signal asks for. */
export type SignalWish = "drain" | "destroy" | "ignore";

/** Before any signal. */
export const noSignal: SignalState = Object.freeze({ phase: "running", actedMs: Number.NEGATIVE_INFINITY });

/** A signal this soon after the one that was acted on is the same one, delivered twice. */
export const sameSignalMsMax = 1000;

/** Decides about a signal that came at `nowMs` (monotonic). Pure. */
export function onSignal(state: SignalState, nowMs: number): { readonly state: SignalState; readonly wish: SignalWish } {
  if (state.phase === "destroyed" || nowMs - state.actedMs <= sameSignalMsMax) return { state, wish: "ignore" };
  if (state.phase === "running") return { state: { phase: "draining", actedMs: nowMs }, wish: "drain" };
  return { state: { phase: "destroyed", actedMs: nowMs }, wish: "destroy" };
}

/** Signals that ask a process to stop. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** Where signals come from: `process`, or an emitter in tests. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
}

export interface SignalOptions {
  readonly signals: readonly StopSignal[];
  /** Told of each signal that is no echo. */
  readonly onWish: (wish: "drain" | "destroy") => void;
  readonly clock?: Clock;
  readonly source?: SignalSource;
}

/** Listens until released; afterwards the signals mean what they meant before. */
export class SignalWatch {
  readonly #signals: readonly StopSignal[];
  readonly #clock: Clock;
  readonly #source: SignalSource;
  readonly #listener: () => void;
  #state = noSignal;

  constructor({ signals, onWish, clock = systemClock, source = process }: SignalOptions) {
    this.#signals = signals;
    this.#clock = clock;
    this.#source = source;
    this.#listener = () => {
      const { state, wish } = onSignal(this.#state, clock.monotonicMs());
      this.#state = state;
      if (wish !== "ignore") onWish(wish);
    };
    for (const signal of signals) source.on(signal, this.#listener);
  }

  /** True once a signal was acted on. */
  get stopping(): boolean {
    return this.#state.phase !== "running";
  }

  /** How long an echo may still come (ms). One that finds nobody listening any more counts as a death by signal. */
  get echoMs(): number {
    return Math.max(0, this.#state.actedMs + sameSignalMsMax - this.#clock.monotonicMs());
  }

  release(): void {
    for (const signal of this.#signals) this.#source.off(signal, this.#listener);
  }
}
