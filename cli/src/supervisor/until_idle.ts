/**
 * Why it exists: what was accepted before a stop shall be stored before it, if that is possible at all.
 * Enforces: the wait has a bound, and an end as soon as nobody wants to wait any more.
 * Forbids: taking "cannot be asked" for "nothing is left".
 */
import { type Clock, sleep } from "ransomeye-kernel";

/** Asked while the system drains. */
export interface IdleProbe {
  /** Sequence numbers accepted and not yet stored; undefined when it cannot be read now. */
  inFlight(): Promise<number | undefined>;
}

export interface IdleWait {
  readonly probe: IdleProbe;
  readonly clock: Clock;
  readonly boundMs: number;
  readonly givenUp: () => boolean;
  readonly say: (line: string) => void;
}

const pollMs = 100;

/** The gateway is closed, so what is in flight can only shrink. */
export async function untilIdle({ probe, clock, boundMs, givenUp, say }: IdleWait): Promise<void> {
  const untilMs = clock.monotonicMs() + boundMs;
  while (!givenUp() && clock.monotonicMs() < untilMs) {
    if ((await probe.inFlight()) === 0) return;
    await sleep(clock, pollMs);
  }
  if (!givenUp()) say("the engine still has accepted events to store; they are safe on the bus and will be stored after the next start");
}
