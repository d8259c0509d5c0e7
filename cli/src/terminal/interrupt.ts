/**
 * Why it exists: Ctrl-C during a long run should end it in good order.
 * Enforces: the first signal aborts, a later one (not its echo) ends the process at once; afterwards the signals mean what they meant before.
 * Forbids: swallowing a second request to stop.
 */
import { SignalWatch } from "ransomeye-kernel";
import { EXITS, type ExitName } from "../errors.ts";

/** Listens for SIGINT and SIGTERM until released. */
export function onInterrupt(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const watch = new SignalWatch({
    signals: ["SIGINT", "SIGTERM"],
    onWish: (wish) => {
      // What is spooled is safe: it is the same as a crash, and --resume goes on.
      if (wish === "destroy") process.exit(EXITS.interrupted.code);
      controller.abort(new Error("interrupted"));
    },
  });
  return { signal: controller.signal, release: () => watch.release() };
}

/** Runs work that a signal ends; whatever it throws when that has come is the interruption. */
export async function interruptible(work: (signal: AbortSignal) => Promise<ExitName>): Promise<ExitName> {
  const interrupt = onInterrupt();
  try {
    return await work(interrupt.signal);
  } catch (error) {
    if (interrupt.signal.aborted) return "interrupted";
    throw error;
  } finally {
    interrupt.release();
  }
}
