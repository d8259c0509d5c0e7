/**
 * What a session would take of credit now, and the least of it that helps.
 *
 * Why: credit is bytes and events, and a frame needs both. Whoever has only one of them can send nothing, and what he holds is of no use to anybody.
 * Enforces: a wish covers the demand and what the floor lacks; a grant reaches one whole frame, of the size that the producer told, and ends with a frame where
 *   those behind it are like it: of what is left over nobody has any use; who lacks only events for the room that he holds is known.
 * Forbids: state, clocks, rates and room: those are the desk's.
 */
import type { GatewaySettings } from "../config/validation.ts";
import { outstanding } from "./buffer.ts";
import type { Cost } from "./rate_limit.ts";
import type { Session } from "./session_state.ts";

/** What a session would take now: its demand, and at least its floor when half of that is used up. */
export function wishOf(session: Session, settings: GatewaySettings): Cost {
  if (session.phase !== "streaming") return { bytes: 0, events: 0 };
  const free = outstanding(session.account);
  const floorLack = free.bytes < settings.sessionFloorBytes / 2 ? settings.sessionFloorBytes - free.bytes - session.account.heldBytes : 0;
  const eventsLack = free.events < settings.sessionFloorEvents / 2 ? settings.sessionFloorEvents - free.events : 0;
  return { bytes: Math.max(session.want.bytes, floorLack, 0), events: Math.max(session.want.events, eventsLack) };
}

/** Bytes that the frame which a session sends next costs; a largest one where it has not told. It tells anew when it lacks credit for the next. */
export function frameBytesOf({ nextFrameBytes }: Session, { frameCostBytesMax }: GatewaySettings): number {
  return nextFrameBytes === 0 ? frameCostBytesMax : Math.min(nextFrameBytes, frameCostBytesMax);
}

/** Of the bytes that a session holds unused, what is left over when it has sent all frames for which they suffice. */
export const idleBytes = (free: Cost, frameBytes: number): number => free.bytes % frameBytes;

/**
 * The events that help: no more than one frame can hold. Large events use up bytes first, and what a session has left of the other must not count as want,
 * or a producer that holds its whole rate in events would never get the bytes to use them. It is the largest frame that counts here, not the next: a
 * producer that asks for many events in small frames asks for many all the same (BP-22).
 */
export function usefulEvents(wish: Cost, free: Cost, { frameEventsMax }: GatewaySettings): number {
  return Math.min(wish.events, Math.max(0, frameEventsMax - free.events));
}

/** The least that helps. A grant that does not reach one whole frame would only tie up room: a frame that is signed cannot be cut. */
export function usefulGrant(wish: Cost, free: Cost, frameBytes: number, settings: GatewaySettings): Cost {
  const events = usefulEvents(wish, free, settings);
  const onlyEvents = events > 0 && free.bytes >= settings.frameCostBytesMax;
  return { bytes: onlyEvents ? 0 : Math.min(wish.bytes, frameBytes - idleBytes(free, frameBytes)), events };
}

/** Of the bytes that a session wishes what a bound allows, down to the end of a frame. */
export function wholeFrames(wishBytes: number, boundBytes: number, free: Cost, frameBytes: number): number {
  return wishBytes <= boundBytes ? wishBytes : boundBytes - ((free.bytes + boundBytes) % frameBytes);
}

/** What a session is given at a time: as many whole frames as one of the largest has room for, so that a turn is worth about as much to each. */
export function quantumBytes(frameBytes: number, { frameCostBytesMax }: GatewaySettings): number {
  return frameBytes * Math.floor(frameCostBytesMax / frameBytes);
}

/** Whether a session was granted room beyond its floor and has not used it: room that nobody else gets. */
export function holdsRoom({ account }: Session, { sessionFloorBytes }: GatewaySettings): boolean {
  return outstanding(account).bytes > sessionFloorBytes;
}

/** Events without which the room that a session holds lies idle; 0 for one that can send a frame, or holds none. */
export function lacksEventsFor(session: Session, settings: GatewaySettings): number {
  return holdsRoom(session, settings) ? usefulEvents(wishOf(session, settings), outstanding(session.account), settings) : 0;
}
