/**
 * Why a frame is not accepted.
 *
 * Why: a producer must know whether to send again, to wait, or to stop.
 * Enforces: pre-admission and the steps 2, 6 and 7. Step 3 refuses nothing: an invalid event travels on with its verdict; steps 4 and 5
 *   answer by credit.
 * Forbids: codes about connections.
 */
import { grpcStatus as g, type IngestCodeSpec, spec } from "./code_spec.ts";

/** How the log can know a frame already: the answer is the same for all of them, only the count tells them apart. */
export type DuplicateCode =
  | "INGEST_DUPLICATE"
  | "INGEST_DUPLICATE_SESSION"
  | "INGEST_DUPLICATE_RESTART"
  | "INGEST_DUPLICATE_GATE"
  | "INGEST_DUPLICATE_TRIMMED";

/** Codes of frames and epochs, in the order of the way in. */
export type FrameCode =
  | "INGEST_HEADER_MALFORMED"
  | "INGEST_FRAME_TOO_LARGE"
  | "INGEST_CREDIT_EXCEEDED"
  | "INGEST_PRODUCER_MISMATCH"
  | "INGEST_KEY_UNKNOWN"
  | "INGEST_KEY_RETIRED"
  | "INGEST_SIGNATURE_INVALID"
  | "INGEST_PAYLOAD_MISMATCH"
  | DuplicateCode
  | "INGEST_SEQUENCE_GAP"
  | "INGEST_EPOCH_NOT_OPEN"
  | "INGEST_EPOCH_FENCED"
  | "INGEST_EQUIVOCATION"
  | "INGEST_EPOCH_SIGNATURE"
  | "INGEST_SESSION_REPLAYED"
  | "INGEST_EPOCH_CONFLICT"
  | "INGEST_EPOCH_LIMITED"
  | "INGEST_BUS_UNAVAILABLE"
  | "INGEST_DISPATCH_REVOKED"
  | "INGEST_DISPATCH_STALE";

/** Nothing is stored again, the cumulative receipt is repeated, and nobody is accused: most of them are honest (FM-13). */
const duplicate = (why: string): IngestCodeSpec =>
  spec(
    "ordering",
    "reject",
    g.ok,
    "resend",
    `the frame is durable already and is not stored again: ${why}`,
    "go on after the receipt, which is repeated",
  );

/** Their rows. */
export const frameCodes: Readonly<Record<FrameCode, IngestCodeSpec>> = {
  INGEST_HEADER_MALFORMED: spec(
    "pre_admission",
    "reject",
    g.invalidArgument,
    "reconnect",
    "the signed header cannot be read",
    "encode the header as documented",
  ),
  INGEST_FRAME_TOO_LARGE: spec(
    "pre_admission",
    "reject",
    g.invalidArgument,
    "reconnect",
    "a frame exceeds the limits told in Welcome",
    "cut frames at frame_bytes_max and frame_events_max",
  ),
  INGEST_CREDIT_EXCEEDED: spec(
    "pre_admission",
    "reject",
    g.resourceExhausted,
    "reconnect",
    "a frame was sent beyond the credit granted",
    "wait for Credit before sending",
  ),
  INGEST_PRODUCER_MISMATCH: spec(
    "signature",
    "reject",
    g.permissionDenied,
    "stop",
    "the frame names another producer than the certificate",
    "send only what this identity signed",
  ),
  INGEST_KEY_UNKNOWN: spec(
    "signature",
    "reject",
    g.permissionDenied,
    "reconnect",
    "the registry does not know the signing key",
    "enrol the batch key",
  ),
  INGEST_KEY_RETIRED: spec(
    "signature",
    "reject",
    g.permissionDenied,
    "stop",
    "the signing key has been retired",
    "sign with the current key: what waits under an old one is signed anew in a new epoch, which the SDK does by itself. Where the new key never arrived: ransomeye producer extend-key",
  ),
  INGEST_SIGNATURE_INVALID: spec(
    "signature",
    "reject",
    g.permissionDenied,
    "stop",
    "the signature does not fit header and key",
    "treat the link or the host as tampered with",
  ),
  INGEST_PAYLOAD_MISMATCH: spec(
    "signature",
    "reject",
    g.invalidArgument,
    "reconnect",
    "the payload is not the one whose hash was signed",
    "send the payload as it was signed",
  ),
  INGEST_DUPLICATE: duplicate("this very session has sent it before"),
  INGEST_DUPLICATE_SESSION: duplicate("an earlier session at this gateway had sent it: a lost receipt, or a recording"),
  INGEST_DUPLICATE_RESTART: duplicate("this gateway had accepted it before its last start"),
  INGEST_DUPLICATE_GATE: duplicate("another gateway had accepted it"),
  INGEST_DUPLICATE_TRIMMED: duplicate("retention has removed it since, and with it who had accepted it"),
  INGEST_SEQUENCE_GAP: spec(
    "ordering",
    "retry",
    g.failedPrecondition,
    "resend",
    "the frame is not the next one",
    "go back to the expected sequence and send from there",
  ),
  INGEST_EPOCH_NOT_OPEN: spec(
    "ordering",
    "retry",
    g.failedPrecondition,
    "resend",
    "the frame belongs to an epoch that is not open",
    "send OpenEpoch first",
  ),
  INGEST_EPOCH_FENCED: spec(
    "ordering",
    "reject",
    g.aborted,
    "stop",
    "a newer epoch has been opened for this producer",
    "stop: another holder of this identity is active",
  ),
  INGEST_EQUIVOCATION: spec(
    "ordering",
    "reject",
    g.permissionDenied,
    "stop",
    "two different histories were signed for the same sequence",
    "stop; operator: the producer or its key is compromised",
  ),
  INGEST_EPOCH_SIGNATURE: spec(
    "ordering",
    "reject",
    g.permissionDenied,
    "stop",
    "the request for an epoch is not signed by a key of this producer for this session",
    "sign the nonce of this session's Welcome",
  ),
  INGEST_SESSION_REPLAYED: spec(
    "ordering",
    "reject",
    g.permissionDenied,
    "stop",
    "a key of this producer has signed the request for an epoch for another session: a recording is played again",
    "sign the nonce of this session's Welcome; operator: whoever holds this certificate has recorded a session",
  ),
  INGEST_EPOCH_CONFLICT: spec(
    "ordering",
    "reject",
    g.aborted,
    "reconnect",
    "another epoch was opened in between",
    "connect again and resume from the head told there",
  ),
  INGEST_EPOCH_LIMITED: spec(
    "ordering",
    "retry",
    g.resourceExhausted,
    "wait",
    "too many epochs were opened; the producer may be a clone",
    "wait; operator: look for a second machine with this identity",
  ),
  INGEST_BUS_UNAVAILABLE: spec(
    "dispatch",
    "retry",
    g.unavailable,
    "reconnect",
    "the bus does not answer",
    "nothing to do: frames are kept and tried again",
  ),
  INGEST_DISPATCH_REVOKED: spec("dispatch", "reject", g.permissionDenied, "stop", "the bus refuses this producer", "ask the operator"),
  INGEST_DISPATCH_STALE: spec(
    "dispatch",
    "retry",
    g.unavailable,
    "reconnect",
    "the bus knows a newer registry than this gateway",
    "come back later; operator: check the registry link of this gateway",
  ),
};
