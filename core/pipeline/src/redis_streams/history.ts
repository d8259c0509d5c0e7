/**
 * Why it exists: a server that has lost the end of its log looks like any other; who knows a position that it must hold can tell.
 * Enforces: a position is the same only with hash and received time; offsets that had a receipt never come a second time from the same hands.
 * Forbids: forgetting: a log that was found to lack something is the same log only when it holds that again.
 */
import type { Position } from "../bus.ts";
import { BusError } from "../errors.ts";
import type { BusPlace } from "./bus_place.ts";
import { logLostReason } from "./log_lost.ts";
import { bytesOf, listOf, numberOf, textOf } from "./replies.ts";
import { scripts } from "./scripts.ts";

/** Whether the log still holds what stood at a position. */
export async function comparePosition(
  { servers, keys, generation, partitions }: BusPlace,
  position: Position,
): Promise<"same" | "diverged" | "trimmed"> {
  const { part, off, receivedUs, hash } = position;
  if (position.generation !== generation || part >= partitions) return "diverged";
  const state = keys.partitionState(part);
  const [reply] = await servers.read(state, [{ script: scripts.place, keys: [state, keys.log(part)], args: [String(off)] }]);
  const [found, lowOff, lowUs, lowHash, us, entryHash] = listOf(reply);
  if (textOf(found) !== generation) return "diverged";
  if (off < numberOf(lowOff)) return "trimmed";
  const atLow = off === numberOf(lowOff);
  const foundUs = textOf(atLow ? lowUs : us);
  const foundHash = bytesOf(atLow ? lowHash : entryHash);
  return foundHash.equals(hash) && foundUs === String(receivedUs) ? "same" : "diverged";
}

/** How far each partition had come when this process heard of it last. */
export class KnownEnds {
  readonly #ends = new Map<number, number>();

  /** The least that the partition's end must be. */
  of(part: number): number {
    return this.#ends.get(part) ?? 0;
  }

  heard({ part, off }: Pick<Position, "part" | "off">): void {
    this.#ends.set(part, Math.max(this.of(part), off));
  }

  /** @throws BusError BUS_HISTORY_DIVERGED where the log's end, or the keeper's word, says that the end of the log is lost */
  assertHolds(part: number, off: number, paused: string): void {
    if (off >= this.of(part) && paused !== logLostReason) return;
    throw new BusError("BUS_HISTORY_DIVERGED", "the servers hold less of the log than had receipts", { fields: { part, off } });
  }
}
