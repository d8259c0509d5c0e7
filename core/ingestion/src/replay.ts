/**
 * What comes a second time, told apart.
 *
 * Why: a frame that comes again is an honest producer's lost receipt nearly always, and a recording the one time that matters. Whoever looks at the
 *   counts must be able to tell a reconnect from a restart, a second gate, and a session that somebody plays again.
 * Enforces: one code for each way in which the log can know a frame, by the bus's word about who accepted it (`duplicateCode`); an opening made for
 *   another session is told from a forged one by a signature, never by a guess (`openingFault`).
 * Forbids: any consequence of the difference between duplicates: nothing is stored again, the receipt is the same, and none is an offence.
 */
import type { AppendOutcome, FrameLink } from "ransomeye-pipeline";
import type { DuplicateCode, IngestCode } from "../errors/ingest_errors.ts";
import { type OpenEpoch, openEpochBytes } from "../protocol/lib.ts";
import { signingKey } from "../security/signature.ts";
import type { Session, SessionContext, Settled } from "./session_state.ts";

/** A gate, and which life of it. */
export interface GateLife {
  readonly gateway: string;
  readonly incarnation: string;
}

/** Where in its producer's chain a frame begins. */
export type ChainPlace = Pick<FrameLink, "epoch" | "firstSeq">;

/**
 * Which duplicate this is. First line that fits:
 *
 *  | accepted by                                                   | code                       |
 *  |---------------------------------------------------------------|----------------------------|
 *  | nobody can say: retention has removed the frame               | INGEST_DUPLICATE_TRIMMED   |
 *  | another gate                                                  | INGEST_DUPLICATE_GATE      |
 *  | an earlier life of this gate (or before the log kept lives)   | INGEST_DUPLICATE_RESTART   |
 *  | this life, at or behind the first frame accepted from this session | INGEST_DUPLICATE      |
 *  | this life, none was, and this gate itself sent the append twice | INGEST_DUPLICATE         |
 *  | this life                                                     | INGEST_DUPLICATE_SESSION   |
 *
 * The fourth line is exact, although sessions of a producer overlap: what an earlier session has left in the dispatcher stands there before
 * anything of a later one, and a chain is accepted in its order, so all of it lies before the later one's first. Where the session resumed would
 * not do: what was in flight then was accepted behind that place, and from the session before.
 * The fifth: an append whose answer was lost goes out again, and what it had done comes back as known. That is nobody's repetition but ours, and
 * the frame counts as this session's.
 */
export function duplicateCode(
  acceptedBy: Extract<AppendOutcome, { kind: "duplicate" }>["acceptedBy"],
  place: ChainPlace,
  session: { readonly acceptedFrom: ChainPlace | undefined; readonly repeated: boolean },
  here: GateLife,
): DuplicateCode {
  if (acceptedBy === null) return "INGEST_DUPLICATE_TRIMMED";
  if (acceptedBy.gateway !== here.gateway) return "INGEST_DUPLICATE_GATE";
  if (acceptedBy.incarnation !== here.incarnation) return "INGEST_DUPLICATE_RESTART";
  const { acceptedFrom, repeated } = session;
  const own = acceptedFrom === undefined ? repeated : !isBefore(place, acceptedFrom);
  return own ? "INGEST_DUPLICATE" : "INGEST_DUPLICATE_SESSION";
}

function isBefore(a: ChainPlace, b: ChainPlace): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.firstSeq < b.firstSeq);
}

/** The code of a settled frame, or undefined where it was accepted now. */
export function knownAs(session: Session, { frame, outcome, repeated }: Settled, context: SessionContext): DuplicateCode | undefined {
  if (outcome.kind !== "duplicate") return undefined;
  const here = { gateway: context.settings.gatewayId, incarnation: context.incarnation };
  return duplicateCode(outcome.acceptedBy, frame.header, { acceptedFrom: session.acceptedFrom, repeated }, here);
}

/**
 * Why a request for an epoch is refused, or undefined for one that this producer has signed for this session. Only that signature opens anything.
 *
 * The request names the nonce that it was signed over. Where the signature does not hold for this session's nonce but holds for the one named, a
 * key of this producer has signed this very request for another session: a recorded opening that is played again, INGEST_SESSION_REPLAYED. That is
 * certain without asking anybody, so it is the same after a restart and at every gate. Whatever else does not hold is
 * INGEST_EPOCH_SIGNATURE: forged, altered, or made by software that names no nonce; a key that has been retired since the recording is refused as
 * such before a signature is looked at.
 */
export function openingFault(session: Session, request: OpenEpoch, context: SessionContext): IngestCode | undefined {
  const found = signingKey(context.entry, request.keyId.toString("hex"), context.nowUs);
  if (found.kind === "refused") return found.code;
  const isSignedFor = (nonce: Buffer): boolean => {
    const signed = openEpochBytes(session.identity.producer, request.expectedEpoch, nonce);
    return context.checks.verify(signed, request.signature, found.key.publicKey);
  };
  if (isSignedFor(session.nonce)) return undefined;
  const { sessionNonce } = request;
  const named = sessionNonce.length === session.nonce.length;
  return named && isSignedFor(sessionNonce) ? "INGEST_SESSION_REPLAYED" : "INGEST_EPOCH_SIGNATURE";
}
