/**
 * Why: what the server answers moves the marks on the chain, and a wrong answer must move nothing.
 * Enforces: a receipt counts only where sequence and chain hash are ours; a refused frame means going back once, and only within what is not acknowledged.
 * Forbids: settling losses in the middle of a session: the next Welcome does that.
 */
import type { Receipt, Reject } from "ransomeye-ingestion/protocol";
import type { SdkCode } from "./codes.ts";
import type { FrameChain } from "./frame_chain.ts";
import type { SettledFrame } from "./machine_types.ts";
import type { SendQueue } from "./send_queue.ts";
import type { SendWindow } from "./send_window.ts";

/** The chain, the marks on it, and the session's window. */
export interface Track {
  readonly chain: FrameChain;
  readonly queue: SendQueue;
  readonly window: SendWindow;
}

/** `late`: it says nothing new. `false`: it is not about our chain. */
export type ReceiptOutcome = "late" | "false" | { readonly frames: readonly SettledFrame[]; readonly progressed: boolean };

/** Moves the marks to a receipt. */
export function takeReceipt({ chain, queue, window }: Track, receipt: Receipt): ReceiptOutcome {
  const { epoch, durableSeq: seq, chainHash: hash } = receipt;
  if (epoch < chain.epoch) return "late";
  const located = epoch === chain.epoch ? chain.locate({ epoch, seq, hash }) : undefined;
  if (located?.kind === "behind") return "late";
  if (located?.kind !== "at") return "false";
  window.receipted(seq);
  const frames = chain.settle(located.position);
  const progressed = located.position > queue.acked;
  if (progressed) {
    queue.ack(located.position);
    window.progressed();
  }
  return { frames, progressed };
}

/** `known`: sending goes on behind an earlier loss already. The others end the session, or the producer. */
export type RejectOutcome = "known" | "moved" | "fenced" | "diverged" | "confused";

/** What the last three mean; `stop`: for ever. */
export const rejectEnds: Readonly<
  Record<"fenced" | "diverged" | "confused", { readonly stop: boolean; readonly code: SdkCode; readonly detail: string }>
> = {
  fenced: { stop: true, code: "SDK_FENCED", detail: "the server is in a newer epoch than this session" },
  diverged: { stop: false, code: "SDK_HISTORY_DIVERGED", detail: "the server expects a head that is not in this chain" },
  confused: { stop: false, code: "SDK_PROTOCOL", detail: "the server keeps asking for what it refuses" },
};

/** Goes back to the head that the server expects. Receipts that are still on their way settle what lies before. */
export function takeReject({ chain, queue, window }: Track, reject: Reject): RejectOutcome {
  const { expected, firstSeq } = reject;
  if (expected === undefined) return "confused";
  if (!window.refused(firstSeq)) return "known";
  if (expected.epoch > chain.epoch) return "fenced";
  const located = expected.epoch === chain.epoch ? chain.locate(expected) : undefined;
  if (located?.kind !== "at" || located.position < queue.acked) return "diverged";
  if (!window.mayRewind()) return "confused";
  queue.moveTo(located.position);
  return "moved";
}
