/**
 * Why it exists: the demo's producers behave like real ones, which hand over what has come in one call and let no detection wait.
 * Enforces: one call for each kind of producer that has something to say, urgent where it holds a finding.
 * Forbids: I/O.
 */
import { holdFinding } from "ransomeye-ingestion/protocol";
import type { ProducerKind } from "ransomeye-pipeline";
import type { DemoEvent } from "./world.ts";

/** What one producer hands over at once. */
export interface DemoCall {
  readonly kind: ProducerKind;
  readonly lines: readonly Buffer[];
  readonly urgent: boolean;
}

/** The calls for these events, each in the order of its events. */
export function callsOf(events: readonly DemoEvent[]): readonly DemoCall[] {
  const linesOf = new Map<ProducerKind, Buffer[]>();
  for (const { kind, line } of events) {
    const lines = linesOf.get(kind) ?? [];
    lines.push(line);
    linesOf.set(kind, lines);
  }
  return [...linesOf].map(([kind, lines]) => ({ kind, lines, urgent: holdFinding(lines) }));
}
