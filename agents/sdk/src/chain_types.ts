/**
 * Why: what a batch, its place and a chain's ends are is told to the heart, to recovery and to the simulation in the same words.
 * Enforces: shapes only. Forbids: behaviour.
 */
import { type FrameKind, zeroHash } from "ransomeye-ingestion/protocol";

/** Facts of a batch that do not depend on its place in the chain. */
export interface BatchFacts {
  readonly index: number;
  readonly kind: FrameKind;
  readonly count: number;
  readonly payloadBytes: number;
  readonly payloadHash: Buffer;
  readonly schemaVersion: number;
  readonly mappingVersion: number;
  /** When the batch was sealed, microseconds since 1970. */
  readonly createdUs: number;
}

/** A batch's place in the chain. */
export interface Link {
  readonly epoch: number;
  readonly firstSeq: number;
  readonly hash: Buffer;
  /** The batch key that signs it. */
  readonly keyId: string;
}

/** A batch in the spool. */
export interface Entry extends BatchFacts {
  /** undefined: not signed yet, or to be signed anew in the current epoch. */
  link: Link | undefined;
  /** The link that stands in the batch's own record; a later one stands in a record of its own. */
  readonly recorded: Link | undefined;
  /** The batch is on disk, and so is the rest of the call that it belongs to. */
  batchDurable: boolean;
  /** Its link is on disk too: it may be transmitted. */
  linkDurable: boolean;
  /** Its callers have their answer. */
  settled: boolean;
  /** It had a place once, in whatever epoch: it may have been transmitted, and is never given up. */
  placed: boolean;
  /** A loss of our own. It is written when it gets its place, header and all; until then it may grow. */
  readonly loss?: Loss;
}

/** Events that this producer had to give up, as a declaration of them grows. */
export interface Loss {
  readonly index: number;
  readonly reason: LossReason;
  readonly count: number;
  /** When the first and the last of them were handed over, as far as known, microseconds since 1970. */
  readonly fromUs: number;
  readonly toUs: number;
}

/** Why a producer gives events up by itself. */
export type LossReason = "spool_full" | "spool_age";

/** The end of some prefix of a chain. */
export interface ChainPoint {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
}

/** What must survive when no frame of the epoch is left in the spool. */
export interface ChainState {
  /** 0: no epoch was ever opened. */
  readonly epoch: number;
  /** The end of the epoch before, which this epoch's first frame signs. */
  readonly prev: ChainPoint;
  /** Last sequence of this epoch that the spool has forgotten, and its hash. */
  readonly base: { readonly seq: number; readonly hash: Buffer };
  readonly offered: number;
}

/** Where the server's head lies in our chain. `at`: entries before `position` are durable there. */
export type Located =
  | { readonly kind: "at"; readonly position: number }
  | { readonly kind: "behind"; readonly lost: number }
  | { readonly kind: "unknown" };

/** The state of a producer that has never sent. */
export const emptyChain: ChainState = Object.freeze({
  epoch: 0,
  prev: Object.freeze({ epoch: 0, seq: 0, hash: zeroHash }),
  base: Object.freeze({ seq: 0, hash: zeroHash }),
  offered: 0,
});

/** A batch that was just made. */
export function entryOf(facts: BatchFacts, link: Link | undefined): Entry {
  return { ...facts, link, recorded: link, batchDurable: false, linkDurable: false, settled: false, placed: link !== undefined };
}
