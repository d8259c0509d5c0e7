/**
 * Why: a load ends when everything that was sent has its receipt, or when waiting has become pointless.
 * Enforces: both are told: what was sent, and what of it stayed without an answer.
 * Forbids: closing sessions: whoever opened them does.
 */
import type { LoadSession } from "./load_session.ts";
import { sharedClockUs } from "./worker.ts";

const pollMs = 20;

/** What a load came to, in events. */
export interface Settled {
  readonly sent: number;
  readonly unanswered: number;
}

/** Waits until nothing is under way, at most `msMax` milliseconds. */
export async function settle(sessions: readonly LoadSession[], msMax: number): Promise<Settled> {
  const waiting = (): number => sessions.reduce((sum, session) => sum + session.waitingEvents, 0);
  const untilUs = sharedClockUs() + msMax * 1_000;
  while (waiting() > 0 && sharedClockUs() < untilUs) await new Promise((resolve) => setTimeout(resolve, pollMs));
  return { sent: sessions.reduce((sum, session) => sum + session.lastSeq, 0), unanswered: waiting() };
}
