/**
 * Why: the judge speaks of frames and receipts, not of bytes on a socket.
 * Enforces: HTTP/2 and gRPC are taken off, and each message is decoded by the very protocol that gateway and SDK speak; a frame or receipt that does not
 *   decode is an error.
 * Forbids: an opinion.
 */
import { clientMessage, decodeHeader, grpcPrefixBytes, lastSeqOf, serverMessage } from "ransomeye-ingestion/protocol";
import { Cutter, type Piece } from "./cutter.ts";
import type { PlainStream } from "./tls_streams.ts";
import type { Moment } from "./trace_file.ts";

/** A frame that a producer has sent. */
export interface SentFrame {
  readonly producer: string;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** 64 bytes that no other frame has: how it is found again in spool and log. */
  readonly signature: Buffer;
  readonly payload: Buffer;
  /** When its first byte left. */
  readonly at: Moment;
}

/** A receipt that the gateway has sent: all of this producer's epoch up to `durableSeq` is durable. */
export interface SentReceipt {
  readonly producer: string;
  readonly epoch: number;
  readonly durableSeq: number;
  /** When its first byte left. */
  readonly at: Moment;
}

export interface Conversation {
  readonly frames: readonly SentFrame[];
  readonly receipts: readonly SentReceipt[];
}

const http2HeaderBytes = 9;
const dataFrame = 0;
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Everything that was said on these connections. */
export function conversationOf(streams: readonly PlainStream[]): Conversation {
  const frames: SentFrame[] = [];
  const producers = new Map<string, string>();
  for (const { connection, pieces } of streams.filter(({ side }) => side === "client")) {
    for (const frame of messages(pieces).flatMap(sentFrame)) {
      frames.push(frame);
      producers.set(connection, frame.producer);
    }
  }
  const receipts = streams
    .filter(({ side }) => side === "server")
    .flatMap(({ connection, pieces }) => messages(pieces).flatMap((message) => sentReceipt(message, producers.get(connection) ?? "")));
  return { frames, receipts };
}

function sentFrame({ bytes, at }: Piece): SentFrame[] {
  const message = clientMessage.decode(bytes);
  if (message.kind === "refused") throw new Error(`a message of a producer at line ${at} does not decode: ${message.detail}`);
  if (message.value.kind !== "frame") return [];
  const { header, signature, payload } = message.value;
  const decoded = decodeHeader(header);
  if (decoded.kind === "refused") throw new Error(`a frame at line ${at} does not decode: ${decoded.detail}`);
  const { producer, epoch, firstSeq } = decoded.value;
  return [{ producer, epoch, firstSeq, lastSeq: lastSeqOf(decoded.value), signature, payload, at }];
}

function sentReceipt({ bytes, at }: Piece, producer: string): SentReceipt[] {
  const message = serverMessage.decode(bytes);
  if (message.kind === "refused") throw new Error(`a message of the gateway at line ${at} does not decode: ${message.detail}`);
  if (message.value.kind !== "receipt") return [];
  const { epoch, durableSeq } = message.value;
  return [{ producer, epoch, durableSeq, at }];
}

/** gRPC messages of one side, without their prefix. */
function messages(pieces: readonly Piece[]): Piece[] {
  const http2 = new Cutter(http2HeaderBytes, (head) =>
    head.subarray(0, 3).equals(preface.subarray(0, 3)) ? preface.length : http2HeaderBytes + head.readUIntBE(0, 3),
  );
  const grpc = new Cutter(grpcPrefixBytes, (head) => grpcPrefixBytes + head.readUInt32BE(1));
  return pieces
    .flatMap(({ bytes, at }) => http2.push(bytes, at))
    .filter(({ bytes }) => bytes[3] === dataFrame)
    .flatMap(({ bytes, at }) => grpc.push(bytes.subarray(http2HeaderBytes), at))
    .map(({ bytes, at }) => ({ bytes: bytes.subarray(grpcPrefixBytes), at }));
}
