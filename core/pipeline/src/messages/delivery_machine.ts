/**
 * The heart of a message group: which message goes next, to whom, and what a settlement does. Pure; the memory adapter runs it, the scripts and
 * functions of the others mirror it, and a property test holds them together on random histories.
 *
 * Why it exists: sharing, retries, priorities and fencing are decided here and nowhere else.
 * Enforces: bus/messages/port.ts. A state is replaced, never changed.
 * Forbids: I/O, clock, randomness, and looking at what a message says.
 */
import { invariant } from "ransomeye-kernel";
import { type MessagePriority, priorities } from "./message.ts";
import type { Failure, Settlement } from "./port.ts";

/** A message is delivered this often at most: once, and three retries (BUS-7). */
export const deliveriesMax = 4;

/** Reason of a failure that nobody told. */
export const silence = "no answer within the lease";

/** Deliveries after which every priority has had its turns. */
export const turnsInCycle = 64;

/** What a group has handed out and not settled. */
export interface Pending {
  readonly priority: MessagePriority;
  readonly off: number;
  readonly deliveries: number;
  readonly token: number;
  readonly member: string;
  /** When it may be handed out again: the lease's end, or the back-off's. */
  readonly dueUs: number;
  readonly failures: readonly Failure[];
  /** It was handed out to be buried: that nobody did is no failure of its own. */
  readonly burial: boolean;
}

/** By priority 1 to 4, at index priority - 1. */
export type ByPriority<T> = readonly [T, T, T, T];

export interface GroupState {
  /** Deliveries so far, within the cycle. */
  readonly turn: number;
  /** The last token that was given. */
  readonly token: number;
  /** Offset of the last entry that was handed out, or noted as missing. */
  readonly places: ByPriority<number>;
  readonly pending: readonly Pending[];
  readonly missing: number;
}

/** What the logs hold: entries low + 1 … tail. */
export interface LogEnds {
  readonly low: ByPriority<number>;
  readonly tail: ByPriority<number>;
}

export type Step =
  | { readonly kind: "deliver"; readonly pending: Pending; readonly exhausted: boolean }
  | { readonly kind: "missing"; readonly priority: MessagePriority; readonly fromOff: number; readonly toOff: number };

/** A group that begins after these offsets. */
export function newGroup(places: ByPriority<number>): GroupState {
  return { turn: 0, token: 0, places, pending: [], missing: 0 };
}

/**
 * Which priority a turn belongs to, if it has something: one turn of 64 to the lowest, four to the next, eight to the next, the rest to the most
 * urgent. A turn whose owner has nothing goes to the most urgent that has.
 */
export function ownerOf(turn: number): MessagePriority {
  if (turn % 64 === 0) return 1;
  if (turn % 16 === 8) return 2;
  if (turn % 8 === 4) return 3;
  return 4;
}

/** The next step for a member that asks now; undefined when nothing is due. */
export function nextStep(
  state: GroupState,
  ends: LogEnds,
  ask: { readonly member: string; readonly nowUs: number; readonly leaseUs: number },
): { readonly state: GroupState; readonly step: Step } | undefined {
  const owner = ownerOf(state.turn);
  for (const priority of [owner, ...priorities.filter((other) => other !== owner)]) {
    const again = state.pending
      .filter((one) => one.priority === priority && one.dueUs <= ask.nowUs)
      .toSorted((a, b) => a.dueUs - b.dueUs || a.off - b.off)[0];
    if (again !== undefined) return deliverAgain(state, again, ask);
    const place = at(state.places, priority);
    const low = at(ends.low, priority);
    if (place < low) return skipMissing(state, priority, low);
    if (place < at(ends.tail, priority)) return deliverNew(state, priority, place + 1, ask);
  }
  return undefined;
}

/** Microseconds until something becomes due by itself; undefined if nothing will. */
export function nextDueUs(state: GroupState, nowUs: number): number | undefined {
  if (state.pending.length === 0) return undefined;
  return Math.max(0, Math.min(...state.pending.map(({ dueUs }) => dueUs)) - nowUs);
}

/** The delivery that a token names, while it is the current one. */
export function currentDelivery(
  state: GroupState,
  ref: { readonly priority: MessagePriority; readonly off: number; readonly token: number },
): Pending | undefined {
  return state.pending.find(({ priority, off, token }) => priority === ref.priority && off === ref.off && token === ref.token);
}

/** The state after a delivery has ended. */
export function settle(state: GroupState, delivery: Pending, settlement: Settlement, nowUs: number): GroupState {
  const others = state.pending.filter((one) => one !== delivery);
  switch (settlement.kind) {
    case "done":
      return { ...state, pending: others };
    case "retry": {
      const failures = [...delivery.failures, { atUs: nowUs, member: delivery.member, reason: settlement.reason }];
      return {
        ...state,
        pending: [...others, waiting(state, delivery, nowUs + settlement.delayMs * 1000, failures)],
        token: state.token + 1,
      };
    }
    case "release":
      return {
        ...state,
        pending: [...others, waiting(state, { ...delivery, deliveries: delivery.deliveries - 1 }, nowUs, delivery.failures)],
        token: state.token + 1,
      };
  }
}

/** A lease that goes on. */
export function extend(state: GroupState, delivery: Pending, dueUs: number): GroupState {
  return { ...state, pending: state.pending.map((one) => (one === delivery ? { ...one, dueUs } : one)) };
}

/** Up to where a group has settled everything of a priority: what trimming may take. */
export function settledUpTo(state: GroupState, priority: MessagePriority): number {
  const open = state.pending.filter((one) => one.priority === priority).map(({ off }) => off);
  return Math.min(at(state.places, priority), ...open.map((off) => off - 1));
}

export function at<T>(values: ByPriority<T>, priority: MessagePriority): T {
  return values[priority - 1] as T;
}

export function replaced<T>(values: ByPriority<T>, priority: MessagePriority, value: T): ByPriority<T> {
  return values.with(priority - 1, value) as unknown as ByPriority<T>;
}

/** Nobody's for the moment: a new token voids the one that was out. */
function waiting(state: GroupState, delivery: Pending, dueUs: number, failures: readonly Failure[]): Pending {
  return { ...delivery, member: "", token: state.token + 1, dueUs, failures };
}

function deliverAgain(
  state: GroupState,
  known: Pending,
  { member, nowUs, leaseUs }: { readonly member: string; readonly nowUs: number; readonly leaseUs: number },
): { readonly state: GroupState; readonly step: Step } {
  // Whose it was has neither settled nor prolonged it.
  const failures =
    known.member === "" || known.burial
      ? known.failures
      : [...known.failures, { atUs: known.dueUs, member: known.member, reason: silence }];
  const exhausted = known.deliveries >= deliveriesMax;
  const token = state.token + 1;
  const deliveries = known.deliveries + (exhausted ? 0 : 1);
  const pending: Pending = { ...known, member, token, dueUs: nowUs + leaseUs, deliveries, failures, burial: exhausted };
  const others = state.pending.filter((one) => one !== known);
  return { state: { ...turned(state), token, pending: [...others, pending] }, step: { kind: "deliver", pending, exhausted } };
}

function deliverNew(
  state: GroupState,
  priority: MessagePriority,
  off: number,
  { member, nowUs, leaseUs }: { readonly member: string; readonly nowUs: number; readonly leaseUs: number },
): { readonly state: GroupState; readonly step: Step } {
  const token = state.token + 1;
  const pending: Pending = { priority, off, deliveries: 1, token, member, dueUs: nowUs + leaseUs, failures: [], burial: false };
  const next = { ...turned(state), token, places: replaced(state.places, priority, off), pending: [...state.pending, pending] };
  return { state: next, step: { kind: "deliver", pending, exhausted: false } };
}

/** It costs no turn: nothing was delivered. */
function skipMissing(state: GroupState, priority: MessagePriority, low: number): { readonly state: GroupState; readonly step: Step } {
  const fromOff = at(state.places, priority) + 1;
  invariant(fromOff <= low, "something is missing");
  const next = { ...state, places: replaced(state.places, priority, low), missing: state.missing + low - fromOff + 1 };
  return { state: next, step: { kind: "missing", priority, fromOff, toOff: low } };
}

function turned(state: GroupState): GroupState {
  return { ...state, turn: (state.turn + 1) % turnsInCycle };
}
