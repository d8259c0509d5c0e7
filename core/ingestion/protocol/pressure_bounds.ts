/**
 * Why: whoever tells a gateway of pressure and the gateway itself have to mean the same by a level.
 * Enforces: one set of bounds for all signals, as shares of the value at which producers pause.
 * Forbids: a signal with bounds of its own.
 */

/** Levels between which the states change, as shares of the value at which a signal pauses. */
export interface PressureBounds {
  readonly openBelowRatio: number;
  readonly throttleAtRatio: number;
  readonly pauseAtRatio: number;
}

/** The bounds in force, for every signal. */
export const pressureBounds: PressureBounds = Object.freeze({ openBelowRatio: 3 / 8, throttleAtRatio: 5 / 8, pauseAtRatio: 1 });
