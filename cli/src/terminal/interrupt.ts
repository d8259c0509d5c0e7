/**
 * Why it exists: Ctrl-C during a long run should end it in good order.
 * Enforces: the first signal aborts, a later one (not its echo) ends the process at once; afterwards the signals mean what they meant before.
 * Forbids: swallowing a second request to stop.
 */
import { EXITS } from "../errors.ts";
import { systemClock } from "ransomeye-kernel";
import { noSignal, onSignal } from "../supervisor/signals.ts";

/** Listens for SIGINT and SIGTERM until released. */
export function onInterrupt(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  let state = noSignal;
  const listener = (): void => {
    const next = onSignal(state, systemClock.monotonicMs());
    state = next.state;
    if (next.action === "drain") controller.abort(new Error("interrupted"));
    // What is spooled is safe: it is the same as a crash, and --resume goes on.
    if (next.action === "destroy") process.exit(EXITS.interrupted.code);
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, listener);
  return {
    signal: controller.signal,
    release() {
      for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, listener);
    },
  };
}
