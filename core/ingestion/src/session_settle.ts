/**
 * What a session does with the bus's answers.
 *
 * Why: a receipt is an obligation (promise 1), so this is the only place where one is made.
 * Enforces: a receipt follows an `accepted` or a `duplicate` and nothing else; both come out of a durable transaction, and of which kind
 *   a duplicate is changes its count and nothing more. Answers to several frames make one cumulative receipt, which lists the invalid events among them within a bound. Fenced and equivocating
 *   sessions end.
 * Forbids: a receipt from what the gate remembers, and an answer to a frame that was taken back already.
 */
import { invariant } from "ransomeye-kernel";
import type { DuplicateCode } from "../errors/ingest_errors.ts";
import type { InvalidEvent, ReceiptFields } from "../protocol/lib.ts";
import type { Trusted } from "../security/trust_enforcement.ts";
import { release } from "./buffer.ts";
import type { Answered } from "./dispatcher.ts";
import { expectFrom } from "./ordering.ts";
import { knownAs } from "./replay.ts";
import { headMessage, rejection } from "./session_frame.ts";
import { become, finish, type Session, type SessionContext, type SessionEffect, type Settled, type Step } from "./session_state.ts";

/** What one batch of answers adds up to. */
interface Tally {
  accepted: number;
  acceptedEvents: number;
  acceptedBytes: number;
  invalidEvents: number;
  readonly duplicates: Map<DuplicateCode, { frames: number; events: number }>;
  receivedUs: number;
  readonly invalid: InvalidEvent[];
  invalidMore: number;
}

/** Applies answers in the order of their frames. Also for a session that has ended: its room goes back and its frames are counted. */
export function settle(before: Session, results: readonly Settled[], context: SessionContext): Step {
  let session = before;
  const effects: SessionEffect[] = [];
  const tally: Tally = {
    accepted: 0,
    acceptedEvents: 0,
    acceptedBytes: 0,
    invalidEvents: 0,
    duplicates: new Map(),
    receivedUs: 0,
    invalid: [],
    invalidMore: 0,
  };
  let fatal: "INGEST_EPOCH_FENCED" | "INGEST_EQUIVOCATION" | "INGEST_DISPATCH_REVOKED" | undefined;

  for (const result of results) {
    const { frame, lineage, outcome } = result;
    invariant(session.inFlight > 0, "an answer belongs to a frame in flight");
    session = become(session, { inFlight: session.inFlight - 1, account: release(session.account, frame.cost.bytes) }).session;
    switch (outcome.kind) {
      case "accepted":
      case "duplicate": {
        const { head } = outcome;
        const known = knownAs(session, result, context);
        const { epoch, firstSeq } = frame.header;
        session = become(session, {
          acceptedFrom:
            known === undefined || known === "INGEST_DUPLICATE" ? (session.acceptedFrom ?? { epoch, firstSeq }) : session.acceptedFrom,
          durable: { epoch: head.epoch, seq: head.seq },
          stored: { epoch: head.storedEpoch, seq: head.storedSeq },
          durableHash: head.hash,
        }).session;
        if (outcome.kind === "accepted") tally.receivedUs = outcome.receivedUs;
        count(tally, known, frame);
        noteInvalid(tally, frame, context.settings.invalidPerReceiptMax);
        break;
      }
      case "gap":
      case "misrouted": {
        // The expectation was wrong (another gate, a restored bus): go back to the true head. Answers to frames that were sent before the
        // reset are refused alike, but move nothing any more.
        if (lineage === session.expected.lineage) {
          session = become(session, { expected: expectFrom(outcome.head, lineage + 1), part: outcome.head.part }).session;
        }
        effects.push(...rejection("INGEST_SEQUENCE_GAP", frame.header, headMessage(outcome.head)));
        break;
      }
      case "fenced":
        fatal ??= "INGEST_EPOCH_FENCED";
        effects.push(
          { kind: "alarm", finding: { what: "fenced", link: frame.header } },
          ...rejection("INGEST_EPOCH_FENCED", frame.header, undefined),
        );
        break;
      case "equivocation":
        fatal ??= "INGEST_EQUIVOCATION";
        effects.push(
          { kind: "alarm", finding: { what: "equivocation", link: frame.header } },
          ...rejection("INGEST_EQUIVOCATION", frame.header, undefined),
        );
        break;
      case "revoked":
        fatal ??= "INGEST_DISPATCH_REVOKED";
        effects.push(...rejection("INGEST_DISPATCH_REVOKED", frame.header, undefined));
        break;
      case "paused":
      case "stale_registry":
        invariant(false, "the dispatcher keeps frames that the bus did not judge");
    }
  }

  if (tally.accepted + tally.duplicates.size > 0) effects.unshift(...receipt(session, tally, context));
  if (session.phase === "ended")
    return become(
      session,
      {},
      effects.filter((effect) => effect.kind !== "send"),
    );
  if (fatal !== undefined) return finish(session, fatal, [...effects, { kind: "discard" }]);
  return next(session, effects);
}

/** What was waiting for the last frame in flight: the opening of an epoch, or the end of a drain. */
export function next(session: Session, effects: readonly SessionEffect[]): Step {
  if (session.inFlight > 0) return become(session, {}, effects);
  if (session.phase === "draining") return finish(session, "INGEST_DRAINING", effects);
  if (session.phase === "sealing" && session.opening !== undefined) {
    return become(session, { opening: undefined }, [...effects, { kind: "openEpoch", request: session.opening }]);
  }
  return become(session, {}, effects);
}

function count(tally: Tally, known: DuplicateCode | undefined, frame: Trusted): void {
  const events = frame.header.kind === "gap" ? 0 : frame.header.count;
  if (known === undefined) {
    tally.accepted += 1;
    tally.acceptedEvents += events;
    tally.acceptedBytes += frame.cost.bytes;
    for (const { line } of frame.invalid) tally.invalidEvents += line === undefined ? events : 1;
  } else {
    const sofar = tally.duplicates.get(known) ?? { frames: 0, events: 0 };
    tally.duplicates.set(known, { frames: sofar.frames + 1, events: sofar.events + events });
  }
}

/** Lists a frame's invalid events. Also for a duplicate: the receipt that listed them first may have been lost. */
function noteInvalid(tally: Tally, frame: Trusted, invalidMax: number): void {
  const { firstSeq, count: seqs } = frame.header;
  const add = (seq: number, code: number, reason: string): void => {
    if (tally.invalid.length < invalidMax) tally.invalid.push({ seq, code, reason });
    else tally.invalidMore += 1;
  };
  for (const { line, code, reason } of frame.invalid) {
    if (line !== undefined) add(firstSeq + line, code, reason);
    else for (let seq = firstSeq; seq < firstSeq + seqs; seq += 1) add(seq, code, reason);
  }
}

function receipt(session: Session, tally: Tally, context: SessionContext): readonly SessionEffect[] {
  const effects: SessionEffect[] = [];
  if (tally.accepted > 0) {
    effects.push({
      kind: "accepted",
      frames: tally.accepted,
      events: tally.acceptedEvents,
      invalid: tally.invalidEvents,
      bytes: tally.acceptedBytes,
    });
  }
  for (const [code, { frames, events }] of tally.duplicates) effects.push({ kind: "duplicate", code, frames, events });
  if (session.phase === "ended") return effects;
  const fields: ReceiptFields = {
    epoch: session.durable.epoch,
    durableSeq: session.durable.seq,
    chainHash: session.durableHash,
    storedEpoch: session.stored.epoch,
    storedSeq: session.stored.seq,
    receivedUs: tally.receivedUs,
    invalid: tally.invalid,
    invalidMore: tally.invalidMore,
  };
  const signature = context.seal(session.identity.producer, fields);
  return [{ kind: "send", message: { kind: "receipt", ...fields, signature } }, ...effects];
}

/** Answers by the session whose frames they answer, in their order. */
export function settledBySession(answered: readonly Answered[]): ReadonlyMap<number, readonly Settled[]> {
  const bySession = new Map<number, Settled[]>();
  for (const { entry, outcome } of answered) {
    const results = bySession.get(entry.session) ?? [];
    results.push({ frame: entry.frame, lineage: entry.lineage, outcome, repeated: entry.repeated === true });
    bySession.set(entry.session, results);
  }
  return bySession;
}

/** A frame that was not handed to the bus is not this session's any more. */
export function takeBack(session: Session, frame: Trusted): Session {
  return become(session, { inFlight: session.inFlight - 1, account: release(session.account, frame.cost.bytes) }).session;
}
