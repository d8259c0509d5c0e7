/**
 * One frame on its way through the seven steps, within its session.
 *
 * Why: the order of the steps is the user's (ING-5), and one place shows it.
 * Enforces: pre-admission, then 1 to 3 (trust), 4 (rate), 5 (buffer), 6 (order), 7 (dispatch). A frame holds its room while its order is
 *   decided. What fails is answered with a code and counted under it.
 * Forbids: a path to the dispatcher around a step.
 */
import type { ProducerHead } from "ransomeye-pipeline";
import { INGEST_CODES, type IngestCode } from "../errors/ingest_errors.ts";
import { type Frame, type FrameHeader, type Head, lastSeqOf, type Reject } from "../protocol/lib.ts";
import { enforceTrust } from "../security/trust_enforcement.ts";
import { hold, outstanding, release } from "./buffer.ts";
import { advance, type Expected, placeOf } from "./ordering.ts";
import { preAdmit } from "./pre_admission.ts";
import { refill, spend } from "./rate_limit.ts";
import { become, finish, type Session, type SessionContext, type SessionEffect, type Step } from "./session_state.ts";

/** Takes a frame of a streaming session through all steps. */
export function takeFrame(session: Session, frame: Frame, context: SessionContext): Step {
  const { settings } = context;

  const admitted = preAdmit(frame, settings);
  if (admitted.kind === "refused") return refuseAndEnd(session, admitted.code, admitted.header);
  const { claim } = admitted;
  const free = outstanding(session.account);
  if (claim.cost.bytes > free.bytes || claim.cost.events > free.events)
    return refuseAndEnd(session, "INGEST_CREDIT_EXCEEDED", claim.header);

  // Steps 1 to 3: authentication, signature, schema.
  const verdict = enforceTrust(claim, { identity: session.identity, entry: context.entry, nowUs: context.nowUs }, context.checks);
  if (verdict.kind === "refused") return refuseAndEnd(session, verdict.code, claim.header);
  const trusted = verdict.value;

  // Step 4: rate limiting. Debt means less credit later.
  const bucket = spend(refill(session.bucket, settings.rate, context.nowMs), trusted.cost);

  // Step 5: buffering. From here on the frame holds room that its credit had reserved.
  const account = hold(session.account, trusted.cost);
  if (account === undefined) return refuseAndEnd(session, "INGEST_CREDIT_EXCEEDED", claim.header);
  const held = become(session, { bucket, account, creditMovedMs: context.nowMs, keyId: trusted.header.keyId }).session;

  // Step 6: ordering.
  const place = placeOf(held.expected, trusted.header);
  if (place === "ahead") {
    const code = trusted.header.epoch > held.expected.epoch ? "INGEST_EPOCH_NOT_OPEN" : "INGEST_SEQUENCE_GAP";
    return become(held, { account: release(account, trusted.cost.bytes) }, rejection(code, trusted.header, headOf(held.expected)));
  }
  const expected = place === "next" ? advance(held.expected, trusted.header) : held.expected;

  // Step 7: dispatch. What is behind goes too: only the bus can tell a duplicate from equivocation.
  return become(held, { expected, inFlight: held.inFlight + 1 }, [
    { kind: "dispatch", frame: trusted, lineage: expected.lineage, part: held.part },
  ]);
}

/** A frame that ends its session. The Reject says which; the Goodbye that follows says the same for software that reads only that. */
export function refuseAndEnd(session: Session, code: IngestCode, header: FrameHeader | undefined): Step {
  return finish(session, code, header === undefined ? [{ kind: "refused", code }] : rejection(code, header, undefined));
}

/** The answer to one frame that was not accepted, and its count. */
export function rejection(code: IngestCode, header: FrameHeader, expected: Head | undefined): readonly SessionEffect[] {
  const spec = INGEST_CODES[code];
  const reject: Reject = {
    epoch: header.epoch,
    firstSeq: header.firstSeq,
    lastSeq: lastSeqOf(header),
    code,
    message: spec.meaning,
    next: spec.answer,
    expected,
  };
  return [
    { kind: "send", message: { kind: "reject", ...reject } },
    { kind: "refused", code },
  ];
}

/** The expectation in the words of the protocol: what a producer that goes back must link to. */
export function headOf({ epoch, seq, end, prev }: Expected): Head {
  return { epoch, seq, hash: end.hash, prevEpoch: prev.epoch, prevSeq: prev.seq, prevHash: prev.hash };
}

/** A bus head in the words of the protocol. */
export function headMessage(head: ProducerHead): Head {
  return { epoch: head.epoch, seq: head.seq, hash: head.hash, prevEpoch: head.prevEpoch, prevSeq: head.prevSeq, prevHash: head.prevHash };
}
