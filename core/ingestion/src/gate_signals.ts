/**
 * What a gate is given, what can happen to it, and what it wants done.
 *
 * Why: shell and simulation drive the same heart by the same words.
 * Enforces: every way in and every way out is listed here.
 * Forbids: callbacks into the heart.
 */
import type { AppendOutcome, BusPressure, OpenEpochOutcome, OpenEpochRequest, ProducerHead, QuarantinedProducer } from "ransomeye-pipeline";
import type { EventDefinition, Fields, Random } from "ransomeye-kernel";
import type { IngestCode } from "../errors/ingest_errors.ts";
import type { ClientMessage, ReceiptFields, ServerMessage } from "../protocol/lib.ts";
import type { Identity } from "../security/identity.ts";
import type { Checks } from "../security/trust_enforcement.ts";
import type { Batch } from "./dispatcher.ts";
import type { ProducerDirectory } from "./ports.ts";
import type { SessionSignal, Throttling } from "./session_state.ts";

/** What the gate is given; all of it answers from memory. */
export interface GatePorts {
  readonly directory: Pick<ProducerDirectory, "version" | "lookup">;
  readonly checks: Checks;
  /** Uuid of this process, by which the bus knows what it has accepted. */
  readonly incarnation: string;
  /** For jitter of retries and come-backs only. */
  readonly random: Random;
  readonly receiptPublicKey: Buffer;
  readonly seal: (producer: string, receipt: ReceiptFields) => Buffer;
}

/** Figures for gauges. */
export interface GateFigures {
  readonly sessions: number;
  readonly reservedBytes: number;
  readonly reservedBytesPeak: number;
  readonly heldBytes: number;
  readonly bufferBytesMax: number;
  readonly lingerMs: number;
  readonly state: Throttling["state"];
  /** Why the state is not open; empty when it is. */
  readonly reason: string;
  readonly framesUnanswered: number;
  /** What the bus lets this gate have in appends at once. */
  readonly inFlightBytesMax: number;
  readonly quarantined: readonly QuarantinedProducer[];
}

/** When a signal arrives: monotonic milliseconds for durations, microseconds since 1970 for what is told and signed. */
export interface Moment {
  readonly nowMs: number;
  readonly nowUs: number;
}

/** What can happen to a gate. `session` is a number that the shell gives out once per stream. */
export type GateSignal =
  /** Step 1 has succeeded on a new stream. `nonce` is fresh randomness, 32 bytes. */
  | { readonly kind: "opened"; readonly session: number; readonly identity: Identity; readonly nonce: Buffer }
  /** Step 1 or the transport has refused somebody; only counted here. */
  | { readonly kind: "turnedAway"; readonly code: IngestCode; readonly producer: string | undefined }
  | { readonly kind: "message"; readonly session: number; readonly message: ClientMessage }
  | { readonly kind: "ponged"; readonly session: number }
  | { readonly kind: "broken"; readonly session: number; readonly code: IngestCode }
  | { readonly kind: "lost"; readonly session: number }
  | { readonly kind: "appended"; readonly batch: number; readonly outcomes: readonly AppendOutcome[] }
  | { readonly kind: "appendFailed"; readonly batch: number; readonly code: string }
  | { readonly kind: "headsRead"; readonly asked: readonly string[]; readonly heads: ReadonlyMap<string, ProducerHead> }
  | { readonly kind: "headsFailed"; readonly asked: readonly string[]; readonly code: string }
  | { readonly kind: "epochAnswered"; readonly session: number; readonly outcome: OpenEpochOutcome }
  | { readonly kind: "epochFailed"; readonly session: number; readonly code: string }
  | { readonly kind: "directory"; readonly producers: readonly string[] | "all" }
  /** What the bus said of itself, and when it was asked. */
  | { readonly kind: "pressure"; readonly pressure: BusPressure; readonly askedMs: number }
  /** Time has passed. `peersWait`: at this moment there is more to read from peers than the turns so far had time for. */
  | { readonly kind: "tick"; readonly registryAgeMs: number; readonly peersWait?: boolean }
  /** Some sessions are to go elsewhere: another gate of this port has far fewer. */
  | { readonly kind: "shed"; readonly sessions: number }
  | { readonly kind: "drain" };

/** What a gate wants done. */
export type GateEffect =
  | { readonly kind: "send"; readonly session: number; readonly message: ServerMessage }
  /** Say Goodbye and end the stream; without a code in order. */
  | { readonly kind: "end"; readonly session: number; readonly code: IngestCode | undefined; readonly comeBackAfterMs: number }
  | { readonly kind: "ping"; readonly session: number }
  /** Set the stream's receive window, and up to what length a message may be announced. */
  | { readonly kind: "window"; readonly session: number; readonly bytes: number }
  | { readonly kind: "append"; readonly batch: Batch; readonly registryVersion: number }
  | { readonly kind: "openEpoch"; readonly session: number; readonly request: OpenEpochRequest }
  | { readonly kind: "readHeads"; readonly producers: readonly string[] }
  | { readonly kind: "note"; readonly event: EventDefinition<Fields>; readonly fields: Fields };

/** An effect that reports an event with its own fields. */
export function note<F extends Fields>(event: EventDefinition<F>, fields: F): GateEffect {
  return { kind: "note", event: event as unknown as EventDefinition<Fields>, fields };
}

/** A producer's words as a signal to its session. */
export function spoken(message: ClientMessage): SessionSignal {
  switch (message.kind) {
    case "hello":
      return { kind: "hello", hello: message };
    case "frame":
      return { kind: "frame", frame: message };
    case "demand":
      return { kind: "demand", demand: message };
    case "openEpoch":
      return { kind: "openEpoch", request: message };
    case "goodbye":
    case "unknown":
      return { kind: message.kind };
  }
}
