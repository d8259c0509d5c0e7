/**
 * Why it exists: what the parts of the contract share.
 */
import { after, before } from "node:test";
import type { AppendOutcome, Bus, FrameAppend, Position, ReadOptions } from "../src/bus.ts";
import { how, type OpenSubject, type Subject } from "./subject.ts";

export const everything: ReadOptions = { framesMax: 10_000, bytesMax: 1 << 30 };

export function kinds(outcomes: readonly AppendOutcome[]): string[] {
  return outcomes.map(({ kind }) => kind);
}

/** Appends frames that must all be accepted; gives their positions. */
export async function accept(bus: Bus, part: number, frames: readonly FrameAppend[]): Promise<Position[]> {
  const outcomes = await bus.append(part, frames, how);
  return outcomes.map((outcome) => {
    if (outcome.kind !== "accepted") throw new Error(`not accepted: ${outcome.kind}`);
    return outcome.position;
  });
}

/** One fresh subject per describe block; tests inside use producers of their own. */
export function shared(open: OpenSubject, options?: { readonly epochOpeningsPerDayMax?: number }): () => Subject {
  let subject: Subject | undefined;
  before(async () => {
    subject = await open(options);
  });
  after(() => subject?.close());
  return () => {
    if (subject === undefined) throw new Error("the bus is not open yet");
    return subject;
  };
}
