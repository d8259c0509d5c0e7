/**
 * Why: at the start of every session two histories meet, the server's head and the spool's chain, and either side may have lost something.
 * Enforces: the one table of what follows.
 *
 * | server's head | the spool | verdict |
 * |---|---|---|
 * | no epoch | no epoch | open the first |
 * | an epoch | no epoch: own state lost | open the next (limited) |
 * | the epoch after ours, without frames, and we had asked for it | any | it is ours: its answer was lost |
 * | a newer epoch | an epoch | fenced: another holder opened it |
 * | our epoch, a point of our chain | any | go on behind it |
 * | our epoch, before what the spool still holds | forgot it as stored | the server lost: open the next, declare the gap |
 * | our epoch, a point that we never signed | any | diverged: open the next |
 * | an older epoch | an epoch | the server lost: open the next |
 */
import type { Head } from "ransomeye-ingestion/protocol";
import type { ChainPoint } from "./chain_types.ts";
import type { FrameChain } from "./frame_chain.ts";
import type { EpochReason } from "./machine_types.ts";

export type HeadVerdict =
  | { readonly kind: "resume"; readonly position: number }
  | { readonly kind: "adopt"; readonly epoch: number; readonly prev: ChainPoint }
  | { readonly kind: "open"; readonly reason: EpochReason }
  | { readonly kind: "fenced" };

/** Judges a head. `intent`: the epoch from which this producer has asked for a new one. */
export function judgeHead(chain: FrameChain, head: Head, intent: number | undefined): HeadVerdict {
  const ours = chain.epoch;
  if (head.seq === 0 && head.epoch === ours + 1 && intent === ours) {
    return { kind: "adopt", epoch: head.epoch, prev: { epoch: head.prevEpoch, seq: head.prevSeq, hash: head.prevHash } };
  }
  if (head.epoch > ours) return ours > 0 ? { kind: "fenced" } : { kind: "open", reason: "state_lost" };
  if (head.epoch < ours) return { kind: "open", reason: "server_lost" };
  if (ours === 0) return { kind: "open", reason: "first" };
  const located = chain.locate(head);
  if (located.kind === "at") return { kind: "resume", position: located.position };
  return { kind: "open", reason: located.kind === "behind" ? "server_lost" : "diverged" };
}
