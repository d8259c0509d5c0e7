/**
 * Why: the conversation between producer and gateway, typed once. `ingest.proto` is the same contract for
 *   other languages; a test holds both together.
 * Enforces: a bound on every field, so that no message can make its reader allocate without limit.
 * Forbids: trusting any of it: identity comes from the certificate, truth from the signed header.
 */

import { limits } from "ransomeye-kernel";
import {
  bytes,
  enumeration,
  message,
  messageCodec,
  messageList,
  oneofCodec,
  optionalMessage,
  text,
  uint32,
  uint32List,
  uint64,
} from "./proto.ts";
import type { MessageCodec, UnknownMessage } from "./proto.ts";

/** Opens the session. Ages and counts describe what waits in the spool. */
export interface Hello {
  readonly protocolVersions: readonly number[];
  readonly schemaVersions: readonly number[];
  readonly epoch: number;
  /** The next sequence that the producer would sign. */
  readonly nextSeq: number;
  readonly pendingBytes: number;
  readonly pendingEvents: number;
  /** Age of the oldest pending event in microseconds: an age, since producers' clocks are skewed. */
  readonly oldestPendingUs: number;
  /** Name and version of the producer software, for operators. */
  readonly agent: string;
  /** The producer's clock, microseconds since 1970. */
  readonly clockUs: number;
  /** Raw 8 bytes of the batch key's id. */
  readonly keyId: Buffer;
}

/** A signed batch. */
export interface Frame {
  readonly header: Buffer;
  readonly signature: Buffer;
  readonly payload: Buffer;
}

/** What waits in the spool and is not yet covered by credit. */
export interface Demand {
  readonly bytes: number;
  readonly events: number;
  /** Age of the oldest in microseconds. */
  readonly oldestUs: number;
  /** What the frame that waits first costs, header and signature with it; 0 where the producer does not know yet. */
  readonly frameBytes: number;
}

/** Asks for a new epoch; the signature covers `openEpochBytes`. */
export interface OpenEpoch {
  readonly expectedEpoch: number;
  readonly keyId: Buffer;
  readonly signature: Buffer;
  /** The nonce that was signed: this session's, or a gateway knows the request for one that was made for another. Empty from older software. */
  readonly sessionNonce: Buffer;
}

/** Ends the session in order. */
export interface Goodbye {
  readonly code: string;
  readonly message: string;
  /** 0: when you like, by your own back-off. `comeBackNever`: not before an operator has acted. */
  readonly comeBackAfterMs: number;
}

/** The durable end of a producer's chain, and the end of the epoch before. Hashes have 32 bytes. */
export interface Head {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
  readonly prevEpoch: number;
  readonly prevSeq: number;
  readonly prevHash: Buffer;
}

export interface SessionLimits {
  readonly frameBytesMax: number;
  readonly frameEventsMax: number;
  readonly lineBytesMax: number;
}

/** Answers Hello: versions, resume point, limits, first credit. */
export interface Welcome {
  readonly protocolVersion: number;
  readonly schemaVersion: number;
  readonly head: Head;
  readonly storedEpoch: number;
  readonly storedSeq: number;
  readonly limits: SessionLimits;
  readonly lingerMs: number;
  readonly creditBytesTotal: number;
  readonly creditEventsTotal: number;
  readonly sessionNonce: Buffer;
  /** Raw Ed25519 key that signs this gateway's receipts. */
  readonly receiptPublicKey: Buffer;
  readonly clockUs: number;
  readonly gateway: string;
}

export interface InvalidEvent {
  readonly seq: number;
  readonly code: number;
  readonly reason: string;
}

/** Everything up to `durableSeq` of `epoch` is durable on the bus; signed over `receiptBytes`. */
export interface Receipt {
  readonly epoch: number;
  readonly durableSeq: number;
  /** Hash of the frame that ends at `durableSeq`. */
  readonly chainHash: Buffer;
  readonly storedEpoch: number;
  readonly storedSeq: number;
  readonly receivedUs: number;
  /** Events among those newly acknowledged that became dead letters. */
  readonly invalid: readonly InvalidEvent[];
  /** Further invalid events that found no room in the list. */
  readonly invalidMore: number;
  readonly signature: Buffer;
}

/** Credit granted since the session began; a frame costs header + signature + payload bytes, and `count` events. */
export interface Credit {
  readonly bytesTotal: number;
  readonly eventsTotal: number;
  readonly lingerMs: number;
}

export type ThrottleState = "open" | "throttled" | "paused";

export interface Throttle {
  readonly state: ThrottleState;
  readonly reason: string;
  readonly retryAfterMs: number;
}

/** A frame that was not accepted, and what the producer does next. */
export interface Reject {
  readonly epoch: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly code: string;
  readonly message: string;
  /** One of `RejectNext`; a word that the producer does not know means "reconnect". */
  readonly next: string;
  /** The true head, where `next` is "resend". */
  readonly expected?: Head | undefined;
}

/** What a producer does after a Reject. resend: go on behind `expected` (go-back-N, R-37). wait: as the Throttle says, then
 *  resend from `expected`. reconnect: the session is of no more use. stop: nothing helps before an operator has acted. */
export type RejectNext = "resend" | "wait" | "reconnect" | "stop";

/** `Goodbye.comeBackAfterMs` of a session that is over until an operator acts (revoked, fenced, equivocation). */
export const comeBackNever: number = 0xffff_ffff;

/** `code` of a Reject or Goodbye that says: another holder of this identity has opened a newer epoch. */
export const epochFencedCode: string = "INGEST_EPOCH_FENCED";

/** The code of a Reject or Goodbye that says: the key that signed has ended. What waits under it may be signed anew only in another epoch. */
export const keyRetiredCode: string = "INGEST_KEY_RETIRED";

/** The epoch is open; its first frame links to this end of the one before. */
export interface EpochOpened {
  readonly epoch: number;
  readonly prevEpoch: number;
  readonly prevSeq: number;
  readonly prevHash: Buffer;
}

/** Everything up to here is in rows: the spool may forget it. */
export interface Stored {
  readonly epoch: number;
  readonly seq: number;
}

export type ClientMessage =
  | ({ readonly kind: "hello" } & Hello)
  | ({ readonly kind: "frame" } & Frame)
  | ({ readonly kind: "demand" } & Demand)
  | ({ readonly kind: "openEpoch" } & OpenEpoch)
  | ({ readonly kind: "goodbye" } & Goodbye)
  | UnknownMessage;

export type ServerMessage =
  | ({ readonly kind: "welcome" } & Welcome)
  | ({ readonly kind: "receipt" } & Receipt)
  | ({ readonly kind: "credit" } & Credit)
  | ({ readonly kind: "throttle" } & Throttle)
  | ({ readonly kind: "reject" } & Reject)
  | ({ readonly kind: "goodbye" } & Goodbye)
  | ({ readonly kind: "epochOpened" } & EpochOpened)
  | ({ readonly kind: "stored" } & Stored)
  | UnknownMessage;

const keyIdBytes = 8;
const hashBytes = 32;
const publicKeyBytes = 32;
const signatureBytes = 64;
const nonceBytesMax = 64;
const versionsMax = 32;
const nameBytesMax = 256;
const messageTextBytesMax = 1024;

const hello = messageCodec<Hello>("Hello", {
  protocolVersions: uint32List(1, versionsMax),
  schemaVersions: uint32List(2, versionsMax),
  epoch: uint64(3),
  nextSeq: uint64(4),
  pendingBytes: uint64(5),
  pendingEvents: uint64(6),
  oldestPendingUs: uint64(7),
  agent: text(8, nameBytesMax),
  clockUs: uint64(9),
  keyId: bytes(10, keyIdBytes),
});

const frame = messageCodec<Frame>("Frame", {
  header: bytes(1, limits.frameHeaderBytesMax),
  signature: bytes(2, signatureBytes),
  payload: bytes(3, limits.frameBytesMax),
});

const demand = messageCodec<Demand>("Demand", {
  bytes: uint64(1),
  events: uint64(2),
  oldestUs: uint64(3),
  frameBytes: uint64(4),
});

const openEpoch = messageCodec<OpenEpoch>("OpenEpoch", {
  expectedEpoch: uint64(1),
  keyId: bytes(2, keyIdBytes),
  signature: bytes(3, signatureBytes),
  sessionNonce: bytes(4, nonceBytesMax),
});

const goodbye = messageCodec<Goodbye>("Goodbye", {
  code: text(1, nameBytesMax),
  message: text(2, messageTextBytesMax),
  comeBackAfterMs: uint32(3),
});

const head = messageCodec<Head>("Head", {
  epoch: uint64(1),
  seq: uint64(2),
  hash: bytes(3, hashBytes),
  prevEpoch: uint64(4),
  prevSeq: uint64(5),
  prevHash: bytes(6, hashBytes),
});

const sessionLimits = messageCodec<SessionLimits>("Limits", {
  frameBytesMax: uint32(1),
  frameEventsMax: uint32(2),
  lineBytesMax: uint32(3),
});

const welcome = messageCodec<Welcome>("Welcome", {
  protocolVersion: uint32(1),
  schemaVersion: uint32(2),
  head: message(3, head),
  storedEpoch: uint64(4),
  storedSeq: uint64(5),
  limits: message(6, sessionLimits),
  lingerMs: uint32(7),
  creditBytesTotal: uint64(8),
  creditEventsTotal: uint64(9),
  sessionNonce: bytes(10, nonceBytesMax),
  receiptPublicKey: bytes(11, publicKeyBytes),
  clockUs: uint64(12),
  gateway: text(13, nameBytesMax),
});

const invalidEvent = messageCodec<InvalidEvent>("InvalidEvent", { seq: uint64(1), code: uint32(2), reason: text(3, messageTextBytesMax) });

const receipt = messageCodec<Receipt>("Receipt", {
  epoch: uint64(1),
  durableSeq: uint64(2),
  chainHash: bytes(3, hashBytes),
  storedEpoch: uint64(4),
  storedSeq: uint64(5),
  receivedUs: uint64(6),
  invalid: messageList(7, invalidEvent, limits.invalidPerReceiptMax),
  invalidMore: uint32(8),
  signature: bytes(9, signatureBytes),
});

const credit = messageCodec<Credit>("Credit", { bytesTotal: uint64(1), eventsTotal: uint64(2), lingerMs: uint32(3) });

const throttle = messageCodec<Throttle>("Throttle", {
  state: enumeration(1, ["open", "throttled", "paused"]),
  reason: text(2, messageTextBytesMax),
  retryAfterMs: uint32(3),
});

const reject = messageCodec<Reject>("Reject", {
  epoch: uint64(1),
  firstSeq: uint64(2),
  lastSeq: uint64(3),
  code: text(4, nameBytesMax),
  message: text(5, messageTextBytesMax),
  next: text(6, nameBytesMax),
  expected: optionalMessage(7, head),
});

const epochOpened = messageCodec<EpochOpened>("EpochOpened", {
  epoch: uint64(1),
  prevEpoch: uint64(2),
  prevSeq: uint64(3),
  prevHash: bytes(4, hashBytes),
});

const stored = messageCodec<Stored>("Stored", { epoch: uint64(1), seq: uint64(2) });

/** What producers say. */
export const clientMessage: MessageCodec<ClientMessage> = oneofCodec<ClientMessage>("ClientMessage", {
  hello: [1, hello],
  frame: [2, frame],
  demand: [3, demand],
  openEpoch: [4, openEpoch],
  goodbye: [5, goodbye],
});

/** What the gateway says. */
export const serverMessage: MessageCodec<ServerMessage> = oneofCodec<ServerMessage>("ServerMessage", {
  welcome: [1, welcome],
  receipt: [2, receipt],
  credit: [3, credit],
  throttle: [4, throttle],
  reject: [5, reject],
  goodbye: [6, goodbye],
  epochOpened: [7, epochOpened],
  stored: [8, stored],
});
