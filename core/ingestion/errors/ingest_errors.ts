/**
 * Why: whatever the gate refuses, a producer, an operator and a test must be able to name, and each must learn what happens next.
 * Enforces: one closed table. Each code has the step it arises in, a disposition, a meaning, a next step and the gRPC status that ends a
 *   stream with it. Refusals of the hot path travel as values that carry a code; `IngestError` is thrown to the operator only.
 * Forbids: matching on messages, codes that are not in this table, and refusals that are not counted under one of them.
 */
import { type CodeSpec, type CodeTable, type Disposition, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";
import type { RejectNext } from "../protocol/lib.ts";

/** gRPC status codes that the gate uses. */
export const grpcStatus = {
  ok: 0,
  invalidArgument: 3,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** A code's row: the kernel's four columns, the gRPC status of a stream that ends with it, and what the producer's software does. */
export interface IngestCodeSpec extends CodeSpec {
  readonly grpc: number;
  readonly answer: RejectNext;
}

const spec = (stage: string, disposition: Disposition, grpc: number, answer: RejectNext, meaning: string, next: string): IngestCodeSpec =>
  Object.freeze({ stage, disposition, grpc, answer, meaning, next });

const g = grpcStatus;

/** Every code of the gateway, in the order of the way of a frame. */
export type IngestCode =
  | "INGEST_CONFIG_INVALID"
  | "INGEST_LISTEN_FAILED"
  | "INGEST_TLS_REFUSED"
  | "INGEST_CERT_MISSING"
  | "INGEST_CERT_EXPIRED"
  | "INGEST_CERT_NOT_YET_VALID"
  | "INGEST_CERT_UNTRUSTED"
  | "INGEST_CERT_USAGE"
  | "INGEST_PATH_UNKNOWN"
  | "INGEST_CERT_REVOKED"
  | "INGEST_CERT_UNKNOWN"
  | "INGEST_IDENTITY_MISSING"
  | "INGEST_IDENTITY_AMBIGUOUS"
  | "INGEST_IDENTITY_MALFORMED"
  | "INGEST_TRUST_DOMAIN"
  | "INGEST_PRODUCER_UNKNOWN"
  | "INGEST_PRODUCER_SUSPENDED"
  | "INGEST_PRODUCER_REVOKED"
  | "INGEST_KIND_MISMATCH"
  | "INGEST_REGISTRY_STALE"
  | "INGEST_SESSIONS_MAX"
  | "INGEST_MESSAGE_MALFORMED"
  | "INGEST_MESSAGE_TOO_LARGE"
  | "INGEST_PROTOCOL_VIOLATION"
  | "INGEST_VERSION_UNSUPPORTED"
  | "INGEST_HELLO_TIMEOUT"
  | "INGEST_PEER_SILENT"
  | "INGEST_SLOW_READER"
  | "INGEST_SESSION_REPLACED"
  | "INGEST_DRAINING"
  | "INGEST_CREDIT_UNUSED"
  | "INGEST_HEADER_MALFORMED"
  | "INGEST_FRAME_TOO_LARGE"
  | "INGEST_CREDIT_EXCEEDED"
  | "INGEST_PRODUCER_MISMATCH"
  | "INGEST_KEY_UNKNOWN"
  | "INGEST_KEY_RETIRED"
  | "INGEST_SIGNATURE_INVALID"
  | "INGEST_PAYLOAD_MISMATCH"
  | "INGEST_DUPLICATE"
  | "INGEST_SEQUENCE_GAP"
  | "INGEST_EPOCH_NOT_OPEN"
  | "INGEST_EPOCH_FENCED"
  | "INGEST_EQUIVOCATION"
  | "INGEST_EPOCH_SIGNATURE"
  | "INGEST_EPOCH_CONFLICT"
  | "INGEST_EPOCH_LIMITED"
  | "INGEST_BUS_UNAVAILABLE"
  | "INGEST_DISPATCH_REVOKED"
  | "INGEST_DISPATCH_STALE";

const table: Readonly<Record<IngestCode, IngestCodeSpec>> = {
  // Start
  INGEST_CONFIG_INVALID: spec("config", "fatal", g.internal, "reconnect", "the gateway's settings contradict each other", "correct the fields that the message names"),
  INGEST_LISTEN_FAILED: spec("listen", "fatal", g.internal, "reconnect", "the address cannot be listened on", "free the port or choose another gateway.listen"),

  // Before a session: transport
  INGEST_TLS_REFUSED: spec("authentication", "reject", g.unauthenticated, "stop", "the TLS handshake failed", "connect with TLS 1.3 and ALPN h2"),
  INGEST_CERT_MISSING: spec("authentication", "reject", g.unauthenticated, "stop", "the client showed no certificate", "connect with the certificate got at enrolment"),
  INGEST_CERT_EXPIRED: spec("authentication", "reject", g.unauthenticated, "stop", "the client's certificate has expired", "renew the certificate"),
  INGEST_CERT_NOT_YET_VALID: spec("authentication", "reject", g.unauthenticated, "reconnect", "the client's certificate is not valid yet", "check both clocks"),
  INGEST_CERT_UNTRUSTED: spec("authentication", "reject", g.unauthenticated, "stop", "the client's certificate was not issued by our authority", "enrol with this installation"),
  INGEST_CERT_USAGE: spec("authentication", "reject", g.unauthenticated, "stop", "the certificate is not for client authentication", "enrol again; server certificates cannot send"),
  INGEST_PATH_UNKNOWN: spec("transport", "reject", g.unimplemented, "stop", "no such method", "call /ransomeye.ingest.v1.Ingest/Stream with POST and application/grpc"),

  // Step 1: producer authentication
  INGEST_CERT_REVOKED: spec("authentication", "reject", g.unauthenticated, "stop", "the certificate has been revoked", "enrol again if the producer is still wanted"),
  INGEST_CERT_UNKNOWN: spec("authentication", "reject", g.unauthenticated, "reconnect", "the registry does not know this certificate", "enrol with this installation"),
  INGEST_IDENTITY_MISSING: spec("authentication", "reject", g.unauthenticated, "stop", "the certificate has no URI name", "enrol; the identity is the certificate's URI SAN"),
  INGEST_IDENTITY_AMBIGUOUS: spec("authentication", "reject", g.unauthenticated, "stop", "the certificate has more than one name", "issue certificates with exactly one URI SAN"),
  INGEST_IDENTITY_MALFORMED: spec("authentication", "reject", g.unauthenticated, "stop", "the certificate's URI does not name a producer", "use spiffe://<trust domain>/producer/<kind>/<uuid>"),
  INGEST_TRUST_DOMAIN: spec("authentication", "reject", g.unauthenticated, "stop", "the certificate belongs to another trust domain", "connect to the gateway of that domain"),
  INGEST_PRODUCER_UNKNOWN: spec("authentication", "reject", g.permissionDenied, "reconnect", "the registry does not know this producer", "enrol the producer"),
  INGEST_PRODUCER_SUSPENDED: spec("authentication", "reject", g.permissionDenied, "reconnect", "the producer is suspended", "ask the operator"),
  INGEST_PRODUCER_REVOKED: spec("authentication", "reject", g.permissionDenied, "stop", "the producer is revoked", "enrol anew under another identity"),
  INGEST_KIND_MISMATCH: spec("authentication", "reject", g.permissionDenied, "stop", "certificate and registry name different kinds of producer", "ask the operator: one of the two is wrong"),
  INGEST_REGISTRY_STALE: spec("authentication", "retry", g.unavailable, "reconnect", "the registry has been silent, so nobody can be trusted anew", "come back later; operator: check the registry process"),
  INGEST_SESSIONS_MAX: spec("authentication", "retry", g.unavailable, "reconnect", "the gateway has as many sessions as it may hold", "come back later or connect to another gateway"),

  // Conversation
  INGEST_MESSAGE_MALFORMED: spec("conversation", "reject", g.invalidArgument, "reconnect", "a message is not the protocol", "generate the client from ingest.proto"),
  INGEST_MESSAGE_TOO_LARGE: spec("conversation", "reject", g.resourceExhausted, "reconnect", "a message is larger than any that is allowed", "respect the limits in Welcome"),
  INGEST_PROTOCOL_VIOLATION: spec("conversation", "reject", g.failedPrecondition, "reconnect", "a message arrived where the conversation does not allow it", "say Hello once, first, and send frames after Welcome"),
  INGEST_VERSION_UNSUPPORTED: spec("conversation", "reject", g.failedPrecondition, "stop", "no protocol or schema version in common", "update the producer or the gateway"),
  INGEST_HELLO_TIMEOUT: spec("conversation", "retry", g.unavailable, "reconnect", "no Hello within the deadline", "say Hello at once"),
  INGEST_PEER_SILENT: spec("conversation", "retry", g.unavailable, "reconnect", "the peer did not answer a ping", "connect again"),
  INGEST_SLOW_READER: spec("conversation", "retry", g.resourceExhausted, "reconnect", "the peer does not read what the gateway answers", "read the stream, then connect again"),
  INGEST_SESSION_REPLACED: spec("conversation", "reject", g.aborted, "reconnect", "the same producer opened a newer session", "keep one session per identity; two machines may not share one"),
  INGEST_DRAINING: spec("conversation", "retry", g.unavailable, "reconnect", "the gateway is shutting down", "connect again after the time named"),
  INGEST_CREDIT_UNUSED: spec("conversation", "retry", g.resourceExhausted, "reconnect", "granted credit was held for long without being used", "ask for credit when there is something to send"),

  // Pre-admission: cheap bounds before step 2
  INGEST_HEADER_MALFORMED: spec("pre_admission", "reject", g.invalidArgument, "reconnect", "the signed header cannot be read", "encode the header as documented"),
  INGEST_FRAME_TOO_LARGE: spec("pre_admission", "reject", g.invalidArgument, "reconnect", "a frame exceeds the limits told in Welcome", "cut frames at frame_bytes_max and frame_events_max"),
  INGEST_CREDIT_EXCEEDED: spec("pre_admission", "reject", g.resourceExhausted, "reconnect", "a frame was sent beyond the credit granted", "wait for Credit before sending"),

  // Step 2: signature
  INGEST_PRODUCER_MISMATCH: spec("signature", "reject", g.permissionDenied, "stop", "the frame names another producer than the certificate", "send only what this identity signed"),
  INGEST_KEY_UNKNOWN: spec("signature", "reject", g.permissionDenied, "reconnect", "the registry does not know the signing key", "enrol the batch key"),
  INGEST_KEY_RETIRED: spec("signature", "reject", g.permissionDenied, "stop", "the signing key has been retired", "sign with the current key"),
  INGEST_SIGNATURE_INVALID: spec("signature", "reject", g.permissionDenied, "stop", "the signature does not fit header and key", "treat the link or the host as tampered with"),
  INGEST_PAYLOAD_MISMATCH: spec("signature", "reject", g.invalidArgument, "reconnect", "the payload is not the one whose hash was signed", "send the payload as it was signed"),

  // Step 6: ordering, and epochs
  INGEST_DUPLICATE: spec("ordering", "reject", g.ok, "resend", "the frame is durable already; nothing is stored again, the receipt is repeated", "go on after the receipt"),
  INGEST_SEQUENCE_GAP: spec("ordering", "retry", g.failedPrecondition, "resend", "the frame is not the next one", "go back to the expected sequence and send from there"),
  INGEST_EPOCH_NOT_OPEN: spec("ordering", "retry", g.failedPrecondition, "resend", "the frame belongs to an epoch that is not open", "send OpenEpoch first"),
  INGEST_EPOCH_FENCED: spec("ordering", "reject", g.aborted, "stop", "a newer epoch has been opened for this producer", "stop: another holder of this identity is active"),
  INGEST_EQUIVOCATION: spec("ordering", "reject", g.permissionDenied, "stop", "two different histories were signed for the same sequence", "stop; operator: the producer or its key is compromised"),
  INGEST_EPOCH_SIGNATURE: spec("ordering", "reject", g.permissionDenied, "stop", "the request for an epoch is not signed by a key of this producer for this session", "sign the nonce of this session's Welcome"),
  INGEST_EPOCH_CONFLICT: spec("ordering", "reject", g.aborted, "reconnect", "another epoch was opened in between", "connect again and resume from the head told there"),
  INGEST_EPOCH_LIMITED: spec("ordering", "retry", g.resourceExhausted, "wait", "too many epochs were opened; the producer may be a clone", "wait; operator: look for a second machine with this identity"),

  // Step 7: dispatch
  INGEST_BUS_UNAVAILABLE: spec("dispatch", "retry", g.unavailable, "reconnect", "the bus does not answer", "nothing to do: frames are kept and tried again"),
  INGEST_DISPATCH_REVOKED: spec("dispatch", "reject", g.permissionDenied, "stop", "the bus refuses this producer", "ask the operator"),
  INGEST_DISPATCH_STALE: spec("dispatch", "retry", g.unavailable, "reconnect", "the bus knows a newer registry than this gateway", "come back later; operator: check the registry link of this gateway"),
};

/** The closed table; the reference page is generated from it. */
export const INGEST_CODES: CodeTable<IngestCode> & Readonly<Record<IngestCode, IngestCodeSpec>> = Object.freeze(table);

/** Thrown to the operator at start; never for what a producer does. */
export class IngestError extends RansomeyeError<IngestCode> {
  constructor(code: IngestCode, message: string, options?: ErrorOptions) {
    super(INGEST_CODES, code, message, options);
  }
}
