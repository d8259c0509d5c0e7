/**
 * What the registry's silence means for open sessions.
 *
 * Why: a gate that hears of no revocation any more may not go on trusting for ever.
 * Enforces: beyond the bound sessions end, a share of them each tick, so that a fleet leaves within a minute and not as one wave; said once.
 * Forbids: clocks; the age arrives with ticks.
 */
import * as events from "./events.ts";
import { type GateEffect, note } from "./gate_signals.ts";

/** Share of the sessions that one tick ends. */
const paceRatio = 0.02;

/** The watch. Deterministic. */
export class RegistryWatch {
  readonly #ageMsMax: number;
  #stale = false;

  constructor(settings: { readonly registryStaleMsMax: number }) {
    this.#ageMsMax = settings.registryStaleMsMax;
  }

  /** How many of `sessions` are to end now, and what is to be said. */
  check(ageMs: number, sessions: number): { readonly end: number; readonly said: readonly GateEffect[] } {
    const stale = ageMs > this.#ageMsMax;
    const said =
      stale && !this.#stale ? [note(events.registryStale, { age_ms: Math.round(Math.min(ageMs, Number.MAX_SAFE_INTEGER)), sessions })] : [];
    this.#stale = stale;
    return { end: stale ? Math.ceil(sessions * paceRatio) : 0, said };
  }
}
