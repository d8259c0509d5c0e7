/**
 * Why: whoever reads bytes from the network needs one closed answer to "what was wrong with them".
 * Enforces: every refusal of the wire protocol carries a code from this table; decoders on the hot path
 *   return it inside a union (`Decoded`), only encoders handed impossible values throw it.
 * Forbids: matching on messages, and any code that is not documented here.
 */

import { RansomeyeError, type CodeTable, type ErrorOptions } from "ransomeye-kernel";

/** Every way in which bytes can fail to be this protocol. */
export type ProtocolCode =
  | "PROTOCOL_TRUNCATED"
  | "PROTOCOL_TRAILING_BYTES"
  | "PROTOCOL_DOMAIN"
  | "PROTOCOL_VERSION_UNKNOWN"
  | "PROTOCOL_FIELD_LENGTH"
  | "PROTOCOL_INTEGER"
  | "PROTOCOL_KIND_UNKNOWN"
  | "PROTOCOL_CODEC_UNKNOWN"
  | "PROTOCOL_LINK"
  | "PROTOCOL_WIRE_TYPE"
  | "PROTOCOL_DUPLICATE_FIELD"
  | "PROTOCOL_TEXT"
  | "PROTOCOL_BOUND"
  | "PROTOCOL_COMPRESSED"
  | "PROTOCOL_KEY"
  | "PROTOCOL_PROOF"
  | "PROTOCOL_VERDICTS";

const reject = "reject" as const;

/** Meaning and next step of each code; the reference page is generated from it. */
export const PROTOCOL_CODES: CodeTable<ProtocolCode> = {
  PROTOCOL_TRUNCATED: { stage: "decode", disposition: reject, meaning: "the bytes end inside a field", next: "send the whole message" },
  PROTOCOL_TRAILING_BYTES: {
    stage: "decode",
    disposition: reject,
    meaning: "bytes follow the last field",
    next: "send exactly one header",
  },
  PROTOCOL_DOMAIN: {
    stage: "decode",
    disposition: reject,
    meaning: "signed bytes of another purpose, or none of ours",
    next: "sign the bytes of the right domain",
  },
  PROTOCOL_VERSION_UNKNOWN: {
    stage: "decode",
    disposition: reject,
    meaning: "a version of the signed bytes that this build does not read",
    next: "negotiate the version in Hello",
  },
  PROTOCOL_FIELD_LENGTH: {
    stage: "decode",
    disposition: reject,
    meaning: "a field has a length other than its own",
    next: "encode fields at their fixed length",
  },
  PROTOCOL_INTEGER: {
    stage: "decode",
    disposition: reject,
    meaning: "an integer is outside the range of its field or beyond 2^53-1",
    next: "send integers within range",
  },
  PROTOCOL_KIND_UNKNOWN: {
    stage: "decode",
    disposition: reject,
    meaning: "a frame kind or enumeration value that this build does not know",
    next: "negotiate the version in Hello",
  },
  PROTOCOL_CODEC_UNKNOWN: {
    stage: "decode",
    disposition: reject,
    meaning: "a payload codec that this build does not know",
    next: "send the payload with codec 0",
  },
  PROTOCOL_LINK: {
    stage: "decode",
    disposition: reject,
    meaning: "sequence, count, offered and previous link contradict each other",
    next: "link each frame to the one before it",
  },
  PROTOCOL_WIRE_TYPE: {
    stage: "decode",
    disposition: reject,
    meaning: "a protobuf field arrives with another wire type, or with field number 0",
    next: "generate the client from ingest.proto",
  },
  PROTOCOL_DUPLICATE_FIELD: {
    stage: "decode",
    disposition: reject,
    meaning: "a singular message or a oneof is set twice",
    next: "set each field once",
  },
  PROTOCOL_TEXT: { stage: "decode", disposition: reject, meaning: "a string is not UTF-8", next: "send UTF-8" },
  PROTOCOL_BOUND: {
    stage: "decode",
    disposition: reject,
    meaning: "a message, a field or a list is larger than its bound",
    next: "respect the limits told in Welcome",
  },
  PROTOCOL_COMPRESSED: {
    stage: "decode",
    disposition: reject,
    meaning: "a compressed gRPC message; only identity is spoken",
    next: "send with grpc-encoding identity",
  },
  PROTOCOL_KEY: {
    stage: "key",
    disposition: reject,
    meaning: "an Ed25519 public key of wrong length, not canonical, or not of prime order",
    next: "generate a fresh key pair",
  },
  PROTOCOL_PROOF: {
    stage: "key",
    disposition: reject,
    meaning: "the proof of possession does not verify",
    next: "sign the enrolment bytes with the enrolled keys",
  },
  PROTOCOL_VERDICTS: {
    stage: "decode",
    disposition: "fatal",
    meaning: "the verdicts stored beside a frame do not describe it",
    next: "check the bus for corruption",
  },
};

/** Thrown where a caller, not the network, is at fault; carries the same codes. */
export class ProtocolError extends RansomeyeError<ProtocolCode> {
  constructor(code: ProtocolCode, message: string, options?: ErrorOptions) {
    super(PROTOCOL_CODES, code, message, options);
  }
}

/** A refusal as a value: what every decoder returns instead of throwing. */
export interface Refused {
  readonly kind: "refused";
  readonly code: ProtocolCode;
  readonly detail: string;
}

/** The outcome of a decoder. */
export type Decoded<T> = { readonly kind: "decoded"; readonly value: T } | Refused;

/** Builds a refusal. */
export function refused(code: ProtocolCode, detail: string): Refused {
  return { kind: "refused", code, detail };
}

/** The value, or the refusal thrown; for callers to whom a refusal is a defect (our own stored bytes). */
export function mustDecode<T>(outcome: Decoded<T>): T {
  if (outcome.kind === "refused") throw new ProtocolError(outcome.code, outcome.detail);
  return outcome.value;
}
