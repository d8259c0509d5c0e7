/**
 * What a session is: its state, what may happen to it, and what it wants done.
 *
 * Why: the conversation with one producer is a value that changes by signals, so that the simulation can drive it (style rule 5).
 * Enforces: every state is frozen; every signal and every effect is listed here.
 * Forbids: I/O, clocks and randomness: time and nonces arrive with signals.
 */
import type { AppendOutcome, FrameLink, OpenEpochOutcome, OpenEpochRequest, ProducerHead } from "ransomeye-pipeline";
import type { DuplicateCode, IngestCode } from "../errors/ingest_errors.ts";
import type { Demand, Frame, Hello, OpenEpoch, ReceiptFields, ServerMessage, ThrottleState } from "../protocol/lib.ts";
import type { Identity } from "../security/identity.ts";
import type { Checks, Trusted } from "../security/trust_enforcement.ts";
import type { GatewaySettings } from "../config/validation.ts";
import type { Account } from "./buffer.ts";
import type { CreditDue } from "./credit_use.ts";
import type { Expected } from "./ordering.ts";
import type { DirectoryEntry } from "./ports.ts";
import type { Bucket, Cost } from "./rate_limit.ts";
import type { ChainPlace } from "./replay.ts";

/**
 * greeting: authenticated, Hello awaited · resuming: the head is being read · streaming: frames flow · sealing: OpenEpoch was asked, it goes
 * to the bus once nothing is in flight · draining: Goodbye follows when nothing is in flight · ended: only answers of the bus still come.
 */
export type Phase = "greeting" | "resuming" | "streaming" | "sealing" | "draining" | "ended";

/** The state of one session. */
export interface Session {
  readonly id: number;
  readonly phase: Phase;
  readonly identity: Identity;
  /** Signed by the producer to open an epoch: a signature of another session does not fit. */
  readonly nonce: Buffer;
  readonly openedMs: number;
  /** When the peer was last heard, in words or by a ping's answer. */
  readonly heardMs: number;
  /** When a ping was sent that has not been answered. */
  readonly pingedMs: number | undefined;
  /** When credit was last granted or used. */
  readonly creditMovedMs: number;
  /** What of its credit it is to use next. */
  readonly creditDue: CreditDue;
  readonly protocolVersion: number;
  readonly schemaVersion: number;
  /** Epoch that the producer said it is in; older than the head's, it is fenced. */
  readonly helloEpoch: number;
  /** Id of the batch key that the producer signs with: named in Hello, then that of its last frame. */
  readonly keyId: string;
  readonly expected: Expected;
  readonly part: number;
  readonly durable: { readonly epoch: number; readonly seq: number };
  /** Hash of the frame that ends at `durable`. */
  readonly durableHash: Buffer;
  readonly stored: { readonly epoch: number; readonly seq: number };
  /** First frame that the bus accepted from this session: from there on a duplicate is this session's own. */
  readonly acceptedFrom: ChainPlace | undefined;
  /** Frames handed to the dispatcher and not answered. */
  readonly inFlight: number;
  readonly account: Account;
  readonly bucket: Bucket;
  /** What the producer says waits and no credit covers. */
  readonly want: Cost;
  /** Bytes that the frame which waits first costs, as the producer said; 0 where it has not. */
  readonly nextFrameBytes: number;
  /** The throttle state that the producer was last told. */
  readonly told: Throttling;
  /** The linger that the producer was last told. */
  readonly toldLingerMs: number;
  /** A newer epoch exists that this producer does not know: it may open none by itself. */
  readonly fenced: boolean;
  /** The request waiting in `sealing`, until it has been handed to the bus. */
  readonly opening: OpenEpochRequest | undefined;
}

/** A throttle state with its reason. */
export interface Throttling {
  readonly state: ThrottleState;
  readonly reason: string;
  readonly retryAfterMs: number;
}

/** A frame with the bus's answer and the lineage of the expectation under which it was dispatched. */
export interface Settled {
  readonly frame: Trusted;
  readonly lineage: number;
  readonly outcome: AppendOutcome;
  /** An append of it got no answer, so it was sent again. */
  readonly repeated: boolean;
}

/** What can happen to a session. */
export type SessionSignal =
  | { readonly kind: "hello"; readonly hello: Hello }
  | { readonly kind: "frame"; readonly frame: Frame }
  | { readonly kind: "demand"; readonly demand: Demand }
  | { readonly kind: "openEpoch"; readonly request: OpenEpoch }
  /** The producer ends the session in order. */
  | { readonly kind: "goodbye" }
  /** A message of a later version of the contract. */
  | { readonly kind: "unknown" }
  | { readonly kind: "ponged" }
  /** The stream broke or was closed by the peer. */
  | { readonly kind: "lost" }
  /** The shell could not go on with the stream: malformed or oversized bytes, a peer that does not read. */
  | { readonly kind: "broken"; readonly code: IngestCode }
  | { readonly kind: "headRead"; readonly head: ProducerHead }
  | { readonly kind: "epochAnswered"; readonly outcome: OpenEpochOutcome }
  /** The bus could not be asked. */
  | { readonly kind: "busFailed" }
  | { readonly kind: "settled"; readonly results: readonly Settled[] }
  | { readonly kind: "granted"; readonly cost: Cost }
  /** The gate's pressure, or this producer's rate, changed what it should be told. */
  | { readonly kind: "throttled"; readonly throttling: Throttling }
  /** The registry changed something about this producer. */
  | { readonly kind: "standing" }
  | { readonly kind: "tick" }
  | { readonly kind: "replaced" }
  | { readonly kind: "registryStale" }
  | { readonly kind: "drain" };

export type SignalKind = SessionSignal["kind"];

/** What was found about a producer: by a frame, or by the epoch after which it wanted one too many. */
export type Finding =
  | { readonly what: "equivocation" | "fenced"; readonly link: FrameLink }
  | { readonly what: "epochs_limited"; readonly epoch: number };

/** What a session wants done. */
export type SessionEffect =
  | { readonly kind: "send"; readonly message: ServerMessage }
  /** Say Goodbye with this code and end the stream; `undefined` ends it in order. */
  | { readonly kind: "end"; readonly code: IngestCode | undefined; readonly comeBackAfterMs: number | undefined }
  | { readonly kind: "dispatch"; readonly frame: Trusted; readonly lineage: number; readonly part: number }
  | { readonly kind: "readHead" }
  | { readonly kind: "openEpoch"; readonly request: OpenEpochRequest }
  | { readonly kind: "ping" }
  /** Frames of this producer that wait in the dispatcher lose their standing. */
  | { readonly kind: "discard" }
  | { readonly kind: "duplicate"; readonly code: DuplicateCode; readonly frames: number; readonly events: number }
  | {
      readonly kind: "accepted";
      readonly frames: number;
      readonly events: number;
      readonly invalid: number;
      readonly bytes: number;
    }
  | { readonly kind: "refused"; readonly code: IngestCode }
  | { readonly kind: "alarm"; readonly finding: Finding };

/** What a session is judged by beside its own state. */
export interface SessionContext {
  readonly nowMs: number;
  readonly nowUs: number;
  readonly settings: GatewaySettings;
  /** This life of the gate. */
  readonly incarnation: string;
  readonly checks: Checks;
  readonly entry: DirectoryEntry | undefined;
  /** Version of the registry snapshot that `entry` stands in. */
  readonly registryVersion: number;
  readonly lingerMs: number;
  readonly pressure: Throttling;
  /** Until when credit that lies idle is nobody's fault, or harms nobody: the gate was paused, or there was enough for everybody. */
  readonly creditExcusedUntilMs: number;
  readonly receiptPublicKey: Buffer;
  /** Signs a receipt for this producer. */
  readonly seal: (producer: string, receipt: ReceiptFields) => Buffer;
}

/** A state and what it wants done. */
export interface Step {
  readonly session: Session;
  readonly effects: readonly SessionEffect[];
}

/** A step without change or effect. */
export function stay(session: Session): Step {
  return { session, effects: [] };
}

/** A step that changes some fields. */
export function become(session: Session, change: Partial<Session>, effects: readonly SessionEffect[] = []): Step {
  return { session: Object.freeze({ ...session, ...change }), effects };
}

/** Ends the session: its credit is void, its room goes back except for what is in flight. Counts the code as a refusal where there is one. */
export function finish(
  session: Session,
  code: IngestCode | undefined,
  before: readonly SessionEffect[] = [],
  comeBackAfterMs?: number,
): Step {
  const account: Account = Object.freeze({
    ...session.account,
    floorBytes: 0,
    grantedBytesTotal: session.account.spentBytesTotal,
    grantedEventsTotal: session.account.spentEventsTotal,
  });
  return become(session, { phase: "ended", account, want: nothing }, [...before, { kind: "end", code, comeBackAfterMs }]);
}

/** No bytes, no events. */
export const nothing: Cost = Object.freeze({ bytes: 0, events: 0 });
