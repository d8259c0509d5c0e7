/**
 * Why a gateway does not start, a peer gets no session, or a session ends.
 *
 * Why: whoever is turned away must learn whether to come back.
 * Enforces: step 1 (authentication), the conversation's own rules, and what an operator set wrong.
 * Forbids: codes about single frames.
 */
import { grpcStatus as g, type IngestCodeSpec, spec } from "./code_spec.ts";

/** Codes of connections and conversations, in the order of the way in. */
export type ConnectionCode =
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
  | "INGEST_RECONNECT_FLOOD"
  | "INGEST_QUARANTINED"
  | "INGEST_HANDSHAKE_RATE"
  | "INGEST_HANDSHAKES_MAX"
  | "INGEST_HANDSHAKE_TIMEOUT"
  | "INGEST_CONNECTIONS_MAX"
  | "INGEST_REQUESTS_MAX"
  | "INGEST_TRANSPORT_VIOLATION"
  | "INGEST_TRANSPORT_FLOOD"
  | "INGEST_WORDS_FLOOD"
  | "INGEST_SLOW_WRITER"
  | "INGEST_CERT_WEAK";

/** Their rows. */
export const connectionCodes: Readonly<Record<ConnectionCode, IngestCodeSpec>> = {
  INGEST_CONFIG_INVALID: spec(
    "config",
    "fatal",
    g.internal,
    "reconnect",
    "the gateway's settings contradict each other",
    "correct the fields that the message names",
  ),
  INGEST_LISTEN_FAILED: spec(
    "listen",
    "fatal",
    g.internal,
    "reconnect",
    "the address cannot be listened on",
    "free the port or choose another gateway.listen",
  ),
  INGEST_TLS_REFUSED: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the TLS handshake failed",
    "connect with TLS 1.3 and ALPN h2",
  ),
  INGEST_CERT_MISSING: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the client showed no certificate",
    "connect with the certificate got at enrolment",
  ),
  INGEST_CERT_EXPIRED: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "reconnect",
    "the client's certificate has expired",
    "none where the agent renews by itself; else `ransomeye enrol --renew` on its host",
  ),
  INGEST_CERT_NOT_YET_VALID: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "reconnect",
    "the client's certificate is not valid yet",
    "check both clocks",
  ),
  INGEST_CERT_UNTRUSTED: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the client's certificate was not issued by our authority",
    "enrol with this installation",
  ),
  INGEST_CERT_USAGE: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the certificate is not for client authentication",
    "enrol again; server certificates cannot send",
  ),
  INGEST_PATH_UNKNOWN: spec(
    "transport",
    "reject",
    g.unimplemented,
    "stop",
    "no such method",
    "call /ransomeye.ingest.v1.Ingest/Stream with POST and application/grpc",
  ),
  INGEST_CERT_REVOKED: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the certificate has been revoked",
    "enrol again if the producer is still wanted",
  ),
  INGEST_CERT_UNKNOWN: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "reconnect",
    "the registry does not know this certificate",
    "enrol with this installation",
  ),
  INGEST_IDENTITY_MISSING: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the certificate has no URI name",
    "enrol; the identity is the certificate's URI SAN",
  ),
  INGEST_IDENTITY_AMBIGUOUS: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the certificate has more than one name",
    "issue certificates with exactly one URI SAN",
  ),
  INGEST_IDENTITY_MALFORMED: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the certificate's URI does not name a producer",
    "use spiffe://<trust domain>/producer/<kind>/<uuid>",
  ),
  INGEST_TRUST_DOMAIN: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the certificate belongs to another trust domain",
    "connect to the gateway of that domain",
  ),
  INGEST_PRODUCER_UNKNOWN: spec(
    "authentication",
    "reject",
    g.permissionDenied,
    "reconnect",
    "the registry does not know this producer",
    "enrol the producer",
  ),
  INGEST_PRODUCER_SUSPENDED: spec(
    "authentication",
    "reject",
    g.permissionDenied,
    "reconnect",
    "the producer is suspended",
    "ask the operator",
  ),
  INGEST_PRODUCER_REVOKED: spec(
    "authentication",
    "reject",
    g.permissionDenied,
    "stop",
    "the producer is revoked",
    "enrol anew under another identity",
  ),
  INGEST_KIND_MISMATCH: spec(
    "authentication",
    "reject",
    g.permissionDenied,
    "stop",
    "certificate and registry name different kinds of producer",
    "ask the operator: one of the two is wrong",
  ),
  INGEST_REGISTRY_STALE: spec(
    "authentication",
    "retry",
    g.unavailable,
    "reconnect",
    "the registry has been silent, so nobody can be trusted anew",
    "come back later; operator: check the registry process",
  ),
  INGEST_SESSIONS_MAX: spec(
    "authentication",
    "retry",
    g.unavailable,
    "reconnect",
    "the gateway has as many sessions as it may hold",
    "come back later or connect to another gateway",
  ),
  INGEST_MESSAGE_MALFORMED: spec(
    "conversation",
    "reject",
    g.invalidArgument,
    "reconnect",
    "a message is not the protocol",
    "generate the client from ingest.proto",
  ),
  INGEST_MESSAGE_TOO_LARGE: spec(
    "conversation",
    "reject",
    g.resourceExhausted,
    "reconnect",
    "a message is larger than any that is allowed",
    "respect the limits in Welcome",
  ),
  INGEST_PROTOCOL_VIOLATION: spec(
    "conversation",
    "reject",
    g.failedPrecondition,
    "reconnect",
    "a message arrived where the conversation does not allow it",
    "say Hello once, first, and send frames after Welcome",
  ),
  INGEST_VERSION_UNSUPPORTED: spec(
    "conversation",
    "retry",
    g.failedPrecondition,
    "reconnect",
    "no protocol or schema version in common",
    "update the gateway where the producer is newer, else the producer; it keeps its events until then",
  ),
  INGEST_HELLO_TIMEOUT: spec("conversation", "retry", g.unavailable, "reconnect", "no Hello within the deadline", "say Hello at once"),
  INGEST_PEER_SILENT: spec("conversation", "retry", g.unavailable, "reconnect", "the peer did not answer a ping", "connect again"),
  INGEST_SLOW_READER: spec(
    "conversation",
    "retry",
    g.resourceExhausted,
    "reconnect",
    "the peer does not read what the gateway answers",
    "read the stream, then connect again",
  ),
  INGEST_SESSION_REPLACED: spec(
    "conversation",
    "reject",
    g.aborted,
    "reconnect",
    "the same producer opened a newer session",
    "keep one session per identity; two machines may not share one",
  ),
  INGEST_DRAINING: spec(
    "conversation",
    "retry",
    g.unavailable,
    "reconnect",
    "the gateway is shutting down",
    "connect again after the time named",
  ),
  INGEST_CREDIT_UNUSED: spec(
    "conversation",
    "retry",
    g.resourceExhausted,
    "reconnect",
    "granted credit was held for long without being used, while others waited for it",
    "ask for credit when there is something to send",
  ),
  INGEST_RECONNECT_FLOOD: spec(
    "authentication",
    "retry",
    g.resourceExhausted,
    "reconnect",
    "the producer opens sessions faster than one a second; only ever the reason of a quarantine",
    "wait longer between connections; operator: look for a second machine with this identity",
  ),
  INGEST_QUARANTINED: spec(
    "authentication",
    "retry",
    g.resourceExhausted,
    "reconnect",
    "the producer flooded the gateway and is refused for a while",
    "come back after the time named; operator: ransomeye status names producer and offence",
  ),
  INGEST_HANDSHAKE_RATE: spec(
    "transport",
    "retry",
    g.unavailable,
    "reconnect",
    "this source network begins more handshakes per second than it may",
    "come back later; operator: gateway.handshake_overrides for networks behind one address",
  ),
  INGEST_HANDSHAKES_MAX: spec(
    "transport",
    "retry",
    g.unavailable,
    "reconnect",
    "too many handshakes are open, from this source network or in all",
    "come back later; operator: look for who opens connections and does not go on",
  ),
  INGEST_HANDSHAKE_TIMEOUT: spec(
    "transport",
    "reject",
    g.unavailable,
    "reconnect",
    "the TLS handshake was not completed in time",
    "connect again; operator: a slow network, or half-open handshakes on purpose",
  ),
  INGEST_CONNECTIONS_MAX: spec(
    "transport",
    "retry",
    g.unavailable,
    "reconnect",
    "the gateway has as many connections as it may hold",
    "come back later or connect to another gateway",
  ),
  INGEST_REQUESTS_MAX: spec(
    "transport",
    "reject",
    g.resourceExhausted,
    "reconnect",
    "a connection holds one conversation",
    "open one stream on each connection",
  ),
  INGEST_TRANSPORT_VIOLATION: spec(
    "transport",
    "reject",
    g.invalidArgument,
    "reconnect",
    "the connection does not speak HTTP/2 as RFC 9113 has it",
    "use a client that does",
  ),
  INGEST_TRANSPORT_FLOOD: spec(
    "transport",
    "reject",
    g.resourceExhausted,
    "reconnect",
    "the connection carries too much that is no part of a message",
    "send messages in DATA frames of a reasonable size, and control frames where they are needed",
  ),
  INGEST_WORDS_FLOOD: spec(
    "conversation",
    "reject",
    g.resourceExhausted,
    "reconnect",
    "too many messages that are no frame",
    "say Demand when there is something new to ask for",
  ),
  INGEST_SLOW_WRITER: spec(
    "conversation",
    "retry",
    g.resourceExhausted,
    "reconnect",
    "a message was begun and not completed in time",
    "connect again when the network carries a message within a minute",
  ),
  INGEST_CERT_WEAK: spec(
    "authentication",
    "reject",
    g.unauthenticated,
    "stop",
    "the certificate's key or signature is too weak, or a critical part of it is unknown",
    "enrol again with a P-256, Ed25519 or RSA key of at least 2048 bits",
  ),
};
