/**
 * Why it exists: shutdown verbs mean what they say: the first signal drains, a later one destroys.
 * Enforces: a second signal within a second is the same signal: a terminal sends Ctrl-C to the whole group and npm hands it on once more.
 * Forbids: I/O; the supervisor acts on the answer.
 */

/** A signal this soon after the one that was acted on is its echo. */
export const echoMs = 1000;

export interface SignalState {
  readonly phase: "running" | "draining" | "destroyed";
  readonly actedMs: number;
}

export const noSignal: SignalState = Object.freeze({ phase: "running", actedMs: Number.NEGATIVE_INFINITY });

/** What a signal at `nowMs` (monotonic) means. */
export function onSignal(
  state: SignalState,
  nowMs: number,
): { readonly state: SignalState; readonly action: "drain" | "destroy" | "ignore" } {
  if (state.phase === "destroyed" || nowMs - state.actedMs <= echoMs) return { state, action: "ignore" };
  if (state.phase === "running") return { state: { phase: "draining", actedMs: nowMs }, action: "drain" };
  return { state: { phase: "destroyed", actedMs: nowMs }, action: "destroy" };
}
