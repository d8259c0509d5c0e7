/**
 * Why: the producer's heart speaks to its shell in two closed vocabularies, so that a simulation can be its shell as well as sockets and files.
 * Enforces: every signal and every effect is one of these unions.
 * Forbids: promises, streams and buffers of payload in the heart.
 */
import type { Demand, FrameKind, InvalidEvent, ServerMessage } from "ransomeye-ingestion/protocol";
import type { SdkCode } from "./codes.ts";
import { type ChainState, emptyChain, type Loss, type LossReason } from "./chain_types.ts";

/** Where the producer stands. */
export type Phase = "idle" | "connecting" | "greeting" | "opening" | "streaming" | "stopped";

/** Why an epoch is opened: `first` for a producer that never sent; `key_retired` where the spool holds frames of a key that ended before they arrived;
 *  the others mean that somebody lost something. */
export type EpochReason = "first" | "key_retired" | "state_lost" | "diverged" | "server_lost";

/** A batch sealed by the application side. */
export interface SealedBatch {
  readonly kind: FrameKind;
  readonly count: number;
  readonly payloadBytes: number;
  readonly payloadHash: Buffer;
  readonly schemaVersion: number;
  readonly mappingVersion: number;
}

/** What happens to the machine. Total: every signal is answered in every phase. */
export type Signal =
  | { readonly kind: "start" }
  /** A batch was sealed; `pendingEvents` wait unsealed behind it; `more`: its call goes on in the next one. */
  | { readonly kind: "batch"; readonly batch: SealedBatch; readonly pendingEvents: number; readonly more?: boolean }
  /** Events found no room, and their source cannot wait: they are declared lost. */
  | { readonly kind: "lost"; readonly count: number }
  /** The state of this version of the losses is on disk. */
  | { readonly kind: "declared"; readonly version: number }
  /** Every batch up to this index, and the whole call that it belongs to, is on disk. */
  | { readonly kind: "durable"; readonly through: number }
  /** Links signed after their batches are on disk; `hash` tells which signing. */
  | { readonly kind: "signed"; readonly links: readonly { readonly index: number; readonly hash: Buffer }[] }
  | { readonly kind: "connected" }
  | { readonly kind: "message"; readonly message: ServerMessage }
  /** The last `send` is in the transport's hands, which has room for more. */
  | { readonly kind: "sent" }
  | { readonly kind: "disconnected"; readonly code: SdkCode; readonly detail: string }
  | { readonly kind: "tick" }
  /** Another batch key has taken over. */
  | { readonly kind: "key"; readonly keyId: string }
  /** Room is needed: forget receipted frames, oldest first, although they are not yet stored. */
  | { readonly kind: "squeeze"; readonly bytes: number }
  | { readonly kind: "close" };

/** A frame whose callers get their answer. */
export interface SettledFrame {
  readonly index: number;
  readonly kind: FrameKind;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly count: number;
}

/** How a frame was answered: by a receipt; by a Welcome whose head includes it (which names no invalid events); or not at all: the server holds
 *  something else at its sequences; or given up before anybody saw them, and declared lost, which is on disk (then epoch and sequence are 0). */
export type SettleAnswer = "receipt" | "welcome" | "diverged" | "lost";

/** What the shell does, in this order. */
export type Effect =
  /** Connect after `afterMs`, to which the shell adds full jitter of this attempt (0: at once). */
  | { readonly kind: "connect"; readonly attempt: number; readonly afterMs: number }
  | {
      readonly kind: "hello";
      readonly epoch: number;
      readonly nextSeq: number;
      readonly pendingBytes: number;
      readonly pendingEvents: number;
      readonly oldestPendingUs: number;
    }
  /** Persist the intent, then ask. */
  | { readonly kind: "openEpoch"; readonly expectedEpoch: number; readonly reason: EpochReason }
  | ({ readonly kind: "demand" } & Demand)
  /** Write a batch; with its header and a signature over it where it has a place already. `payload` only where the machine made it. */
  | {
      readonly kind: "append";
      readonly index: number;
      readonly header: Buffer | undefined;
      readonly payload: Buffer | undefined;
      readonly batch: SealedBatch;
      readonly createdUs: number;
    }
  /** Sign these headers and write them. */
  | { readonly kind: "sign"; readonly links: readonly { readonly index: number; readonly header: Buffer; readonly hash: Buffer }[] }
  | { readonly kind: "send"; readonly index: number }
  /** These frames have their answer; `invalid` is complete but for `invalidMore` where the answer is a receipt. */
  | {
      readonly kind: "settle";
      readonly frames: readonly SettledFrame[];
      readonly answer: SettleAnswer;
      readonly invalid: readonly InvalidEvent[];
      readonly invalidMore: number;
    }
  /** `count` more events are in a declaration, `fresh` if it begins with them: write the state, then say `declared` with the version that it held.
   *  The cursor of a full spool's lost calls belongs to `index`. */
  | { readonly kind: "declare"; readonly index: number; readonly reason: LossReason; readonly count: number; readonly fresh: boolean }
  /** These may leave the disk. */
  | { readonly kind: "forget"; readonly indexes: readonly number[] }
  | { readonly kind: "linger"; readonly ms: number }
  | { readonly kind: "wake"; readonly afterMs: number }
  | { readonly kind: "disconnect"; readonly code: SdkCode; readonly detail: string }
  /** Something that an operator should see: a code and its facts. */
  | { readonly kind: "alarm"; readonly code: SdkCode; readonly detail: string }
  /** No more work for ever, until an operator has acted. */
  | { readonly kind: "stop"; readonly code: SdkCode; readonly detail: string };

/** Time as the shell sees it. */
export interface Now {
  /** Monotonic milliseconds. */
  readonly ms: number;
  /** Microseconds since 1970. */
  readonly us: number;
}

/** What survives a restart beside the spooled frames. */
export interface MachineState {
  readonly chain: ChainState;
  /** Epoch from which a new one was asked for; its answer may have been lost. */
  readonly intent: number | undefined;
  /** When epochs were opened because state was lost, microseconds since 1970; the last day's only. */
  readonly reopenedUs: readonly number[];
  /** The index that the next batch gets. */
  readonly nextIndex: number;
  /** Declarations of losses whose own records are not on disk yet, in order. */
  readonly losses: readonly Loss[];
  /** Batches up to this index that never had a place are given up: a declaration holds their events. */
  readonly givenUpThrough: number;
}

/** A machine that has never run. */
export const freshMachineState: MachineState = Object.freeze({
  chain: emptyChain,
  intent: undefined,
  reopenedUs: Object.freeze([]),
  nextIndex: 1,
  losses: Object.freeze([]),
  givenUpThrough: 0,
});

/** What becomes of events that find no room. */
export interface LossPolicy {
  /** Declare them lost, and sign nothing before credit covers it, so that what is old can still be given up. Otherwise callers wait. */
  readonly declares: boolean;
  /** Give up batches that waited unsent for longer; 0: never. */
  readonly ageUsMax: number;
}

/** Nothing is ever given up. */
export const waitPolicy: LossPolicy = Object.freeze({ declares: false, ageUsMax: 0 });

/** Counts for operators and backpressure. */
export interface MachineStats {
  readonly phase: Phase;
  readonly throttle: "open" | "throttled" | "paused";
  readonly epoch: number;
  readonly tipSeq: number;
  /** Frames in the spool, and those of them that have no receipt. */
  readonly frames: number;
  readonly unsettledFrames: number;
  /** What waits to be sent (again). */
  readonly pendingBytes: number;
  readonly pendingEvents: number;
  /** Events of a full spool are lost and their declaration is not on disk yet: nothing may be put behind them. */
  readonly undeclared: boolean;
  /** What was handed over last was lost, and its declaration may still grow. */
  readonly losing: boolean;
}
