/**
 * Why it exists: what a contract test needs beside the port: control over time and over what only operators may do.
 */
import type { Clock, Timer } from "ransomeye-kernel";
import type { Bus, BusControl, PressureQuestion } from "../src/bus.ts";
import type { Chain } from "../src/testing/frames.ts";

export interface Subject {
  readonly bus: Bus;
  readonly control: BusControl;
  /** A second, independent way in, as another gate or engine would have. */
  readonly other: Bus;
  /** Makes every lease of the group expire. */
  readonly expireLeases: (group: string) => Promise<void>;
  readonly noteStored: (producer: string, epoch: number, seq: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

export type OpenSubject = (options?: { readonly epochOpeningsPerDayMax?: number }) => Promise<Subject>;

export const how = { gateway: "gate-1", incarnation: "00000000-0000-4000-9000-000000000001", registryVersion: 7 } as const;
export const keyId = "0123456789abcdef";

/** A gate's question about pressure; each incarnation is a gate of its own. */
export function ask(incarnation: number, wantBytes = 0): PressureQuestion {
  return { gateway: how.gateway, incarnation: `00000000-0000-4000-9000-${String(incarnation).padStart(12, "0")}`, wantBytes };
}

/** Opens the producer's next epoch and lets the chain go on in it. */
export async function openChain(bus: Pick<Bus, "openEpoch">, chain: Chain): Promise<number> {
  const opening = await bus.openEpoch({
    producer: chain.producer,
    expectedEpoch: chain.epoch,
    keyId,
    registryVersion: how.registryVersion,
  });
  if (opening.kind !== "opened") throw new Error(`the epoch was not opened: ${opening.kind}`);
  chain.opened(opening.epoch, opening.prev);
  return opening.part;
}

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #us = 1_750_000_000_000_000;

  nowUs(): number {
    return this.#us;
  }

  monotonicMs(): number {
    return this.#us / 1000;
  }

  setTimer(): Timer {
    throw new Error("the bus sets no timers");
  }

  moveMs(ms: number): void {
    this.#us += ms * 1000;
  }
}
