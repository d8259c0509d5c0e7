/**
 * Why: "no hostile frame is accepted" is worth as much as the list of what was tried.
 * Enforces: each class of attack is generated from a seed, differs from an honest frame in one thing, and names the codes that it may end with.
 *   Every attacker has a valid certificate, an enrolled key and an honest past on the bus.
 * Forbids: frames that are genuine: an invalid event or a wrong number of lines, validly signed and next, is a dead letter and no attack.
 */
import type { IngestCode } from "ransomeye-ingestion";
import {
  type ClientMessage,
  clientMessage,
  ed25519Sign,
  grpcParts,
  grpcPrefixBytes,
  openEpochBytes,
  signHeader,
} from "ransomeye-ingestion/protocol";
import { limits, type Random } from "ransomeye-kernel";
import { type SignedFrame, type SyntheticChain, syntheticKey, syntheticPayload, type SyntheticProducer } from "../../synthetic_events.ts";

/** What an attacker knows. */
export interface Knowledge {
  readonly random: Random;
  /** His own chain, ready to sign the next frame. */
  readonly chain: SyntheticChain;
  /** His genuine frames, oldest first: those that one gate accepted before its last start, those since, and those of sessions that begin with one. */
  readonly past: readonly SignedFrame[];
  readonly recent: readonly SignedFrame[];
  readonly own: readonly SignedFrame[];
  /** His frames of the epoch before, which the opening of this one has sealed. */
  readonly sealed: readonly SignedFrame[];
  /** The request that opened his epoch. */
  readonly recordedOpening: ClientMessage;
  /** The key that the registry has retired since. */
  readonly retired: SyntheticProducer;
  /** Somebody else, with his key: the worst case. */
  readonly victim: SyntheticProducer;
}

/** One class of attack. */
export interface Attack {
  readonly name: string;
  readonly codes: readonly IngestCode[];
  /** Whether the session ends with it; else many go through one session. */
  readonly ends: boolean;
  /** Which gate: the one that has been restarted since the honest past, or the other. */
  readonly gate?: 0 | 1;
  /** What is sent in place of Welcome's answer, as messages or as bytes; the nonce is that Welcome's. */
  readonly make: (known: Knowledge, nonce: Buffer) => readonly (ClientMessage | Buffer)[];
  /** The epoch that its Hello speaks of; 0 is none. */
  readonly helloEpoch?: number;
  /** The session sends a genuine frame first, the last of `own`. */
  readonly genuineFirst?: boolean;
  /** Sent without saying Hello first. */
  readonly unannounced?: boolean;
}

type FrameMessage = SignedFrame["message"];
const lines = syntheticPayload(0, 2);
const next = ({ chain }: Knowledge, change: Parameters<SyntheticChain["peek"]>[2] = {}, key = chain.who.batchKey): FrameMessage =>
  chain.peek(lines, 2, change, key).message;

/** An honest header with its bytes changed, and signed again. */
function resigned(known: Knowledge, change: (header: Buffer) => void, key = known.chain.who.batchKey): FrameMessage {
  const message = next(known);
  const header = Buffer.from(message.header);
  change(header);
  return { ...message, header, signature: signHeader(header, key) };
}

function flipped(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const at = random.uint32() % copy.length;
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << (random.uint32() % 8)), at);
  return copy;
}

const pick = <T>(of: readonly T[], random: Random): T => of[random.uint32() % of.length] as T;
const cut = (bytes: Buffer, random: Random): Buffer => bytes.subarray(0, random.uint32() % bytes.length);
const onTheWire = (message: ClientMessage): Buffer => Buffer.concat(grpcParts(clientMessage.encode(message)));

/** Where the signed header's last fields stand, from its end: each has a length of two bytes in front of it. */
const fromEnd = { offered: 102, count: 108 } as const;

/** Order of Ed25519's group. A signature with it added to its second half satisfies the equation, and is another signature. */
const groupOrder = 2n ** 252n + 27742317777372353535851937790883648493n;

function malleated(signature: Buffer): Buffer {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + groupOrder;
  const half = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  return Buffer.concat([signature.subarray(0, 32), half]);
}

const one = (
  name: string,
  code: IngestCode | readonly IngestCode[],
  make: (known: Knowledge, nonce: Buffer) => ClientMessage | Buffer,
): Attack => ({
  name,
  codes: typeof code === "string" ? [code] : code,
  ends: true,
  make: (known, nonce) => [make(known, nonce)],
});
const many = (name: string, code: IngestCode, make: (known: Knowledge) => ClientMessage, gate?: 0 | 1): Attack => ({
  ...one(name, code, make),
  ends: false,
  ...(gate === undefined ? {} : { gate }),
});

const replayed = ({ past, random }: Knowledge): ClientMessage => pick(past, random).message;

/** The epoch of `sealed`, and the one that attackers are in. */
export const epochs = { sealed: 1, current: 2 } as const;

/** What a clone sends that has not heard of the epoch in force: the next frame of the one before, validly signed and linked. */
function behind(known: Knowledge): FrameMessage {
  const { fields, hash } = pick(known.sealed.slice(-1), known.random);
  const prevSeq = fields.firstSeq + fields.count - 1;
  return next(known, {
    epoch: epochs.sealed,
    firstSeq: prevSeq + 1,
    offered: prevSeq + 2,
    prevEpoch: epochs.sealed,
    prevSeq,
    prevHash: hash,
  });
}

/** Another history under a stored sequence. */
function rewritten({ chain, random }: Knowledge, { fields }: SignedFrame): FrameMessage {
  const other = syntheticPayload(1_000_000 + (random.uint32() % 1_000_000), fields.count);
  const { payloadHash, payloadBytes } = chain.fields(other, fields.count);
  return chain.peek(other, fields.count, { ...fields, payloadHash, payloadBytes }).message;
}

/** Every class. */
export const attacks: readonly Attack[] = [
  one("id of another, validly signed by him", "INGEST_PRODUCER_MISMATCH", (k) =>
    next(k, { producer: k.victim.producer, keyId: k.victim.keyId }, k.victim.batchKey),
  ),
  one("id of another, signed by the attacker", "INGEST_PRODUCER_MISMATCH", (k) => next(k, { producer: k.victim.producer })),
  one("key of another under one's own id", "INGEST_KEY_UNKNOWN", (k) => next(k, { keyId: k.victim.keyId }, k.victim.batchKey)),
  one("an unknown key id", "INGEST_KEY_UNKNOWN", (k) => next(k, { keyId: k.random.bytes(8).toString("hex") })),
  one("a retired key", "INGEST_KEY_RETIRED", (k) => next(k, { keyId: k.retired.keyId }, k.retired.batchKey)),
  one("random bytes for a signature", "INGEST_SIGNATURE_INVALID", (k) => ({ ...next(k), signature: k.random.bytes(64) })),
  one("signed by a key that nobody enrolled", "INGEST_SIGNATURE_INVALID", (k) => next(k, {}, syntheticKey(k.random))),
  one("one bit of the signature", "INGEST_SIGNATURE_INVALID", (k) => {
    const message = next(k);
    return { ...message, signature: flipped(message.signature, k.random) };
  }),
  one("a malleated signature: S + L", "INGEST_SIGNATURE_INVALID", (k) => {
    const message = next(k);
    return { ...message, signature: malleated(message.signature) };
  }),
  one(
    "one bit of the signed header",
    [
      "INGEST_SIGNATURE_INVALID",
      "INGEST_HEADER_MALFORMED",
      "INGEST_PRODUCER_MISMATCH",
      "INGEST_KEY_UNKNOWN",
      "INGEST_PAYLOAD_MISMATCH",
      "INGEST_FRAME_TOO_LARGE",
      "INGEST_CREDIT_EXCEEDED",
    ],
    (k) => {
      const message = next(k);
      return { ...message, header: flipped(message.header, k.random) };
    },
  ),
  one("one bit of the payload", "INGEST_PAYLOAD_MISMATCH", (k) => {
    const message = next(k);
    return { ...message, payload: flipped(message.payload, k.random) };
  }),
  one("a truncated header", "INGEST_HEADER_MALFORMED", (k) => {
    const message = next(k);
    return { ...message, header: cut(message.header, k.random) };
  }),
  one("a truncated payload", "INGEST_PAYLOAD_MISMATCH", (k) => {
    const message = next(k);
    return { ...message, payload: cut(message.payload, k.random) };
  }),
  one("a truncated message", "INGEST_MESSAGE_MALFORMED", (k) => {
    const whole = onTheWire(next(k));
    const part = Buffer.from(whole.subarray(0, whole.length - 1 - (k.random.uint32() % 60)));
    part.writeUInt32BE(part.length - grpcPrefixBytes, 1);
    return part;
  }),
  one("the signature of another domain", "INGEST_HEADER_MALFORMED", (k) =>
    resigned(k, (header) => void header.write("ransomeye.other.v1", header.indexOf("ransomeye.frame.v1"), "latin1")),
  ),
  one("a signature over another kind of message", "INGEST_SIGNATURE_INVALID", (k) => ({
    ...next(k),
    signature: ed25519Sign(openEpochBytes(k.chain.who.producer, k.chain.epoch, k.random.bytes(32)), k.chain.who.batchKey),
  })),
  one("fewer events offered than sent", "INGEST_HEADER_MALFORMED", (k) =>
    resigned(k, (header) => void header.writeBigUInt64BE(1n, header.length - fromEnd.offered)),
  ),
  one("a count of no events", "INGEST_HEADER_MALFORMED", (k) =>
    resigned(k, (header) => void header.writeUInt32BE(0, header.length - fromEnd.count)),
  ),
  one("a huge count", ["INGEST_FRAME_TOO_LARGE", "INGEST_HEADER_MALFORMED"], (k) => next(k, { count: 0xffff_ffff, offered: 2 ** 40 })),
  one("an announced message beyond the limit", "INGEST_MESSAGE_TOO_LARGE", (k) => {
    const prefix = Buffer.alloc(grpcPrefixBytes);
    prefix.writeUInt32BE(limits.messageBytesMax + 1 + (k.random.uint32() % 2 ** 30), 1);
    return prefix;
  }),
  one("more events than credited", "INGEST_CREDIT_EXCEEDED", ({ chain }) => chain.peek(Buffer.from("{}\n".repeat(200)), 200).message),
  one("a second Hello", "INGEST_PROTOCOL_VIOLATION", () => hello()),
  { ...one("a frame before Hello", "INGEST_PROTOCOL_VIOLATION", (k) => next(k)), unannounced: true },
  one("an epoch opened with a nonce that is not named", "INGEST_EPOCH_SIGNATURE", (k) => ({
    ...k.chain.openEpoch(k.random.bytes(32)),
    sessionNonce: Buffer.alloc(0),
  })),
  one("an epoch opened with another nonce than the one named", "INGEST_EPOCH_SIGNATURE", (k) => ({
    ...k.chain.openEpoch(k.random.bytes(32)),
    sessionNonce: k.random.bytes(32),
  })),
  one("an opening that another key has signed, for the nonce that it names", "INGEST_EPOCH_SIGNATURE", (k) => {
    const opening = k.chain.openEpoch(k.random.bytes(32));
    return {
      ...opening,
      signature: ed25519Sign(openEpochBytes(k.chain.who.producer, k.chain.epoch, opening.sessionNonce), k.victim.batchKey),
    };
  }),
  one("an epoch opened with the nonce of another session", "INGEST_SESSION_REPLAYED", (k) => k.chain.openEpoch(k.random.bytes(32))),
  {
    ...one("a whole recorded session", "INGEST_SESSION_REPLAYED", () => hello()),
    make: ({ recordedOpening, past }) => [recordedOpening, ...past.map(({ message }) => message)],
  },
  one("equivocation: another history under a stored sequence", "INGEST_EQUIVOCATION", (k) => rewritten(k, pick(k.past, k.random))),
  one("equivocation: a next frame that signs another past", "INGEST_EQUIVOCATION", (k) => next(k, { prevHash: k.random.bytes(32) })),
  {
    ...many("a frame that its own session repeats", "INGEST_DUPLICATE", () => hello()),
    make: ({ own }) => own.slice(-1).map(({ message }) => message),
    genuineFirst: true,
  },
  many("a replayed frame of an earlier session", "INGEST_DUPLICATE_SESSION", ({ recent, random }) => pick(recent, random).message, 0),
  many("a replayed frame, after a restart of its gate", "INGEST_DUPLICATE_RESTART", replayed, 0),
  many("a replayed frame, at another gate", "INGEST_DUPLICATE_GATE", replayed, 1),
  one("the next frame of a sealed epoch", "INGEST_EPOCH_FENCED", behind),
  { ...one("the next frame of a sealed epoch that Hello speaks of", "INGEST_EPOCH_FENCED", behind), helloEpoch: epochs.sealed },
  one("another history in a sealed epoch", "INGEST_EPOCH_FENCED", (k) => rewritten(k, pick(k.sealed, k.random))),
  many("a replayed frame of a sealed epoch", "INGEST_DUPLICATE_GATE", ({ sealed, random }) => pick(sealed, random).message, 1),
  {
    ...one("an epoch opened by who speaks of a sealed one", "INGEST_EPOCH_FENCED", ({ chain }, nonce) => chain.openEpoch(nonce)),
    helloEpoch: epochs.sealed,
  },
  one("an epoch opened behind a sealed one", "INGEST_EPOCH_CONFLICT", ({ chain }, nonce) => ({
    ...chain.openEpoch(nonce),
    expectedEpoch: epochs.sealed,
    signature: ed25519Sign(openEpochBytes(chain.who.producer, epochs.sealed, nonce), chain.who.batchKey),
  })),
  many("a sequence that skips some", "INGEST_SEQUENCE_GAP", (k) => {
    const skipped = 1 + (k.random.uint32() % 1_000_000);
    const firstSeq = k.chain.seq + 1 + skipped;
    return next(k, { firstSeq, offered: firstSeq + 1, prevSeq: firstSeq - 1 });
  }),
  many("an epoch that nobody opened", "INGEST_EPOCH_NOT_OPEN", (k) => {
    const epoch = k.chain.epoch + 1 + (k.random.uint32() % 1000);
    return next(k, { epoch, firstSeq: 1, offered: 2, prevEpoch: k.chain.epoch, prevSeq: k.chain.seq });
  }),
];

/** As in `plainHello`, fixed here because attackers repeat it byte for byte. */
export function hello(epoch = 0): ClientMessage {
  return {
    kind: "hello",
    protocolVersions: [1],
    schemaVersions: [1],
    epoch,
    nextSeq: 1,
    pendingBytes: 0,
    pendingEvents: 0,
    oldestPendingUs: 0,
    agent: "hostile",
    clockUs: 0,
    keyId: Buffer.alloc(8),
  };
}
