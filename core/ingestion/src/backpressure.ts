/**
 * Backpressure: how much each producer may send, and what it is told (ING-6, R-14, R-15).
 *
 * Why: a gate that accepts first and finds no room afterwards must drop; a gate that hands out only room that exists never has to.
 * Enforces: credit goes to those who ask for it, max-min fair up to one quantum, above a floor that every session keeps; it is never
 *   more than the free buffer, the producer's rate and the session's own cap allow. States OPEN, THROTTLED, PAUSED with hysteresis.
 *   The time that producers gather events before they sign is set here, so that a quiet fleet does not send a frame per event.
 * Forbids: taking granted credit back, giving credit nobody asked for, and any drop policy: at the bound the answer is slower, never lost.
 */
import { limits } from "ransomeye-kernel";
import { type PressureBounds, pressureBounds, type ThrottleState } from "../protocol/lib.ts";

/** Held bytes over the buffer at which it pauses: what is granted already must still find room. */
export const bufferPauseRatio = 0.8;

/** A level by the bounds between which it lies. */
export type Band = "low" | "middle" | "high" | "full";

/** A band in words. */
export function bandText(band: Band, { openBelowRatio, throttleAtRatio, pauseAtRatio }: PressureBounds = pressureBounds): string {
  const percent = (ratio: number): string => `${ratio * 100}%`;
  switch (band) {
    case "low":
      return `below ${percent(openBelowRatio)}`;
    case "middle":
      return `${percent(openBelowRatio)} to ${percent(throttleAtRatio)}`;
    case "high":
      return `${percent(throttleAtRatio)} to ${percent(pauseAtRatio)}`;
    case "full":
      return `${percent(pauseAtRatio)} and more`;
  }
}

function bandOf(level: number, bounds: PressureBounds): Band {
  if (level >= bounds.pauseAtRatio) return "full";
  if (level >= bounds.throttleAtRatio) return "high";
  return level >= bounds.openBelowRatio ? "middle" : "low";
}

/** The next state by band. Each state is left at a lower level than it is entered at: `middle` never opens and `high` never resumes. */
export const statesByBand: Readonly<Record<ThrottleState, Readonly<Record<Band, ThrottleState>>>> = Object.freeze({
  open: { low: "open", middle: "open", high: "throttled", full: "paused" },
  throttled: { low: "open", middle: "throttled", high: "throttled", full: "paused" },
  paused: { low: "open", middle: "throttled", high: "paused", full: "paused" },
});

/** The next state by one signal, from its level: the signal's value over the value at which it pauses. */
export function nextPressure(state: ThrottleState, level: number, bounds: PressureBounds = pressureBounds): ThrottleState {
  return statesByBand[state][bandOf(level, bounds)];
}

/** One session that wants credit. */
export interface Claim {
  readonly session: number;
  /** Sessions of one group share `groupRoomBytes` as well. */
  readonly group: string;
  /** Shares: of a scarce room a session gets its weight's part. */
  readonly weight: number;
  /** Bytes that it asked for and may have: demand, bounded by rate and by the session's cap. */
  readonly wantBytes: number;
  /** Bytes that it was granted and holds already. */
  readonly usedBytes: number;
  /** Of those, what is too little for a frame; less than `quantumBytes`. */
  readonly idleBytes: number;
  /** What it is given at a time, with what it has idle: whole frames of the size that it sends. */
  readonly quantumBytes: number;
  /** Bytes reserved for it whether it uses them or not; what it has left of them costs nothing. */
  readonly floorBytes: number;
}

/**
 * Shares free room among claims: the session that has least for its weight is served first, in turn order among equals, a quantum at a time, until wants
 * or room end. What a session has idle does not count: it is of no use to it, and whoever happened to be left with most would wait for ever behind others
 * that were left with less. Whoever cannot be given its whole quantum ends the round, so that small claims never starve a large one: its turn comes first
 * in the next. A group whose room is used up steps aside and keeps nobody else waiting.
 * Pure. Returns bytes by session; their cost (beyond floors) never exceeds `freeBytes`, and each group's never its room.
 */
export function shareCredit(
  claims: readonly Claim[],
  freeBytes: number,
  groupRoomBytes: ReadonlyMap<string, number>,
): ReadonlyMap<number, number> {
  const granted = new Map<number, number>();
  const room = new Map(groupRoomBytes);
  const waiting = claims
    .filter((claim) => claim.wantBytes > 0)
    .map((claim, turn) => ({ claim, turn, has: claim.usedBytes - claim.idleBytes }));
  const order = (a: (typeof waiting)[number], b: (typeof waiting)[number]): number =>
    a.has / a.claim.weight - b.has / b.claim.weight || a.turn - b.turn;
  waiting.sort(order);
  let free = freeBytes;
  while (waiting.length > 0) {
    const next = waiting[0];
    if (next === undefined) break;
    const { claim } = next;
    const already = granted.get(claim.session) ?? 0;
    const idle = already === 0 ? claim.idleBytes : 0;
    const more = Math.min(claim.quantumBytes - idle, claim.wantBytes - already);
    const used = claim.usedBytes + already;
    const cost = beyondFloor(used + more, claim.floorBytes) - beyondFloor(used, claim.floorBytes);
    const left = room.get(claim.group) ?? 0;
    if (cost > left) {
      waiting.shift();
      continue;
    }
    if (cost > free) break;
    free -= cost;
    room.set(claim.group, left - cost);
    granted.set(claim.session, already + more);
    next.has += idle + more;
    waiting.shift();
    if (already + more < claim.wantBytes) insertSorted(waiting, next, order);
  }
  return granted;
}

function beyondFloor(usedBytes: number, floorBytes: number): number {
  return Math.max(0, usedBytes - floorBytes);
}

function insertSorted<T>(list: T[], item: T, order: (a: T, b: T) => number): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = list[middle];
    if (other !== undefined && order(other, item) <= 0) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, item);
}

/** Longest time that a producer is asked to gather events. */
export const lingerMsMax = 60_000;

/**
 * The next linger: grows while frames come faster than the gate wants to verify them, shrinks back to the configured one when they do
 * not. It grows at most fourfold a step, so that one burst does not make a fleet sluggish, and shrinks more slowly, so that it settles instead of swinging.
 */
export function nextLingerMs(lingerMs: number, framesPerSecond: number, framesPerSecondTarget: number, lingerMsMin: number): number {
  const factor = Math.min(4, Math.max(0.8, framesPerSecond / framesPerSecondTarget));
  return Math.round(Math.min(lingerMsMax, Math.max(lingerMsMin, lingerMs * factor)));
}

/** The window of a session that has its floor only: the floor, and the first credit that covers no more. It can announce no longer message. */
export const idleWindowBytes: number = 2 * limits.sessionFloorBytes;

/** HTTP/2 receive windows: small while a session has its floor only, larger while it has credit to fill them with. */
export const windowStepsBytes: readonly number[] = [idleWindowBytes, 16_384, 65_536, 262_144];

/** Without traffic for this long a window shrinks again. Between frames it stays: each change costs a SETTINGS round trip (decision 0014). */
export const windowIdleMs = 5000;

/** The largest step that unused credit and the floor cover; not below `currentBytes` while the session is busy. */
export function windowBytes(coveredBytes: number, currentBytes: number, idleMs: number): number {
  let bytes = idleWindowBytes;
  for (const step of windowStepsBytes) if (step <= coveredBytes) bytes = step;
  return idleMs >= windowIdleMs ? bytes : Math.max(bytes, currentBytes);
}
