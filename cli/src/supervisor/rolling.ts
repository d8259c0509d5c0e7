/**
 * Why it exists: a role's processes can be started again while the system works: a new certificate, another Node, a process that has grown.
 * Enforces: one after the other, and the next only when the one before is ready: of several gateways all but one always serve, and the port is never
 * closed. A process that does not come back stops the restart; the others have not been touched.
 * Forbids: ending a process before it has answered what it had accepted, within its bound.
 */
import { type Clock, type Timer } from "ransomeye-kernel";
import { CliError } from "../errors.ts";

/** A process as the restart needs it. */
export interface Restartable {
  readonly name: string;
  /** Drains and starts again; resolves when it is ready, with whether it had left by itself. */
  restart(boundMs: number): Promise<boolean>;
}

/** How long a process may take from its start to being ready. */
export const readyMsMax = 60_000;

/** Restarts `processes` in their order. @throws CliError CLI_NOT_READY for the first that does not become ready in time */
export async function restartOneByOne(
  processes: readonly Restartable[],
  o: { readonly clock: Clock; readonly drainMsMax: number; readonly say: (message: string) => void },
): Promise<void> {
  for (const child of processes) {
    o.say(`${child.name} finishes its work`);
    const left = await within(o.clock, o.drainMsMax + readyMsMax, child);
    o.say(left ? `${child.name} is back` : `${child.name} is back; it had not finished within ${o.drainMsMax} ms and was ended`);
  }

  function within(clock: Clock, ms: number, child: Restartable): Promise<boolean> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = clock.setTimer(ms, () => reject(new CliError("CLI_NOT_READY", `${child.name} did not become ready again; its log says why`)));
    });
    return Promise.race([child.restart(o.drainMsMax), late]).finally(() => timer?.cancel());
  }
}
