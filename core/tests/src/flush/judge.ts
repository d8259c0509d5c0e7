/**
 * Why: "a receipt means durable" and "spooled means on this machine's disk" are statements about order; here the order is judged.
 * Enforces: for each frame, receipt and promise: what it rests on was on disk before it. What should be there and is not is a violation as well:
 *   nothing passes by not being seen.
 * Forbids: I/O; whatever a trace shows can be shown here by a made one.
 */
import type { Conversation, SentFrame } from "./conversation.ts";
import { type DurableFiles, type Found, nowhere } from "./durability.ts";
import type { Moment } from "./trace_file.ts";

/** What must hold, in the words of the command's output. */
export const promised = {
  frameLeaves: "a frame leaves after the flush of its spool",
  spooledSettles: "a spooled promise settles after the flush of its spool",
  receiptLeaves: "a receipt leaves after the flush of the log",
  receiptSettles: "a receipt promise settles after the flush of the log",
} as const;
export type Promised = (typeof promised)[keyof typeof promised];

/** What the sender noted the moment a promise of the SDK settled. */
export interface Mark {
  readonly settled: "spooled" | "receipted";
  /** Text that only the call's own lines hold. */
  readonly token: string;
  readonly at: Moment;
}

export interface Evidence {
  readonly conversation: Conversation;
  readonly marks: readonly Mark[];
  /** Tokens of all calls that were made: each must settle twice. */
  readonly tokens: readonly string[];
  readonly spool: DurableFiles;
  /** PostgreSQL's write-ahead log. */
  readonly log: DurableFiles;
}

export interface Violation {
  readonly promised: Promised;
  readonly detail: string;
}

export interface Verdict {
  readonly frames: number;
  readonly receipts: number;
  readonly promises: number;
  readonly spoolFlushes: number;
  readonly logFlushes: number;
  readonly violations: readonly Violation[];
}

/** The verdict on one trace. */
export function judge({ conversation, marks, tokens, spool, log }: Evidence): Verdict {
  const frames = conversation.frames.map((frame) => ({
    frame,
    name: `frame ${frame.producer}:${frame.epoch}:${frame.firstSeq}-${frame.lastSeq}`,
    signatureSpooled: spool.find(frame.signature),
    payloadSpooled: spool.find(frame.payload),
    logged: log.find(frame.signature),
  }));
  const violations = [
    ...frames.flatMap(({ frame, name, signatureSpooled, payloadSpooled }) => [
      ...late(promised.frameLeaves, `${name}, its signature`, frame.at, signatureSpooled),
      ...late(promised.frameLeaves, `${name}, its payload`, frame.at, payloadSpooled),
    ]),
    ...frames.flatMap(({ frame, name, logged }) => late(promised.receiptLeaves, name, firstReceipt(conversation, frame), logged)),
    ...tokens.flatMap((token) => {
      const own = frames.find(({ frame }) => frame.payload.includes(token));
      const at = (settled: Mark["settled"]): Moment | undefined =>
        marks.find((mark) => mark.settled === settled && mark.token === token)?.at;
      return [
        ...late(promised.spooledSettles, `call ${token}`, at("spooled"), own?.payloadSpooled ?? nowhere),
        ...late(promised.receiptSettles, `call ${token}`, at("receipted"), own?.logged ?? nowhere),
      ];
    }),
  ];
  return {
    frames: frames.length,
    receipts: conversation.receipts.length,
    promises: marks.length,
    spoolFlushes: spool.flushes,
    logFlushes: log.flushes,
    violations,
  };
}

/** The violation, if `at` did not come or if the bytes were not on disk before it. */
function late(promised: Promised, what: string, at: Moment | undefined, { written, durable }: Found): Violation[] {
  if (at !== undefined && durable !== undefined && durable < at) return [];
  const line = (moment: Moment | undefined): string => (moment === undefined ? "never" : `on line ${moment}`);
  return [{ promised, detail: `${what}: ${line(at)}; written ${line(written)}, on disk ${line(durable)}` }];
}

/** When the first receipt left that covers a frame; later ones only repeat it. */
function firstReceipt({ receipts }: Conversation, { producer, epoch, lastSeq }: SentFrame): Moment | undefined {
  const covering = receipts.filter((one) => one.producer === producer && one.epoch === epoch && one.durableSeq >= lastSeq);
  return covering.length === 0 ? undefined : Math.min(...covering.map(({ at }) => at));
}
