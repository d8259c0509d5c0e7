/**
 * Why: Ctrl-C reaches a whole terminal group and npm may deliver it twice, so two signals close together are one wish.
 * Enforces: the first SIGTERM or SIGINT drains; another within a second is the same signal; a later one destroys.
 * Forbids: closing anything here; the lifetime knows how.
 */
import { type Clock, systemClock } from "./clock.ts";
import type { Lifetime } from "./lifetime.ts";

/** When the first signal came; undefined before it. */
export type SignalState = { readonly firstMs: number | undefined };

/** What a signal asks for. */
export type SignalWish = "drain" | "same" | "destroy";

/** A signal this soon after the first one is the first one delivered twice. */
export const sameSignalMsMax = 1000;

/** Decides about a signal that came at `nowMs` (monotonic). Pure. */
export function onSignal(state: SignalState, nowMs: number): { readonly state: SignalState; readonly wish: SignalWish } {
  if (state.firstMs === undefined) return { state: { firstMs: nowMs }, wish: "drain" };
  return { state, wish: nowMs - state.firstMs <= sameSignalMsMax ? "same" : "destroy" };
}

/** Where signals come from: `process`, or an emitter in tests. */
export interface SignalSource {
  on(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  off(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
}

export interface SignalOptions {
  readonly lifetime: Lifetime;
  readonly clock?: Clock;
  readonly source?: SignalSource;
  /** Told of each decision, and of the error where closing failed. */
  readonly onWish?: (wish: SignalWish, signal: string) => void;
  readonly onError?: (error: unknown) => void;
}

/** Lets SIGTERM and SIGINT end `lifetime`. Returns a function that stops listening. */
export function endOnSignals(options: SignalOptions): () => void {
  const { lifetime, clock = systemClock, source = process, onWish, onError } = options;
  let state: SignalState = { firstMs: undefined };
  const listen = (signal: "SIGINT" | "SIGTERM"): (() => void) => {
    const listener = (): void => {
      const decided = onSignal(state, clock.monotonicMs());
      state = decided.state;
      onWish?.(decided.wish, signal);
      if (decided.wish === "same") return;
      const closing = decided.wish === "drain" ? lifetime.drain() : lifetime.destroy();
      closing.catch((error: unknown) => onError?.(error));
    };
    source.on(signal, listener);
    return () => source.off(signal, listener);
  };
  const stops = [listen("SIGINT"), listen("SIGTERM")];
  return () => {
    for (const stop of stops) stop();
  };
}
