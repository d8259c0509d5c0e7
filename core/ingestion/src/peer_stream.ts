/**
 * One gRPC stream as the heart sees it: messages in, messages out.
 *
 * Why: framing, bounds and the end of a stream are the transport's matter; what the messages mean is not.
 * Enforces: a message may be announced only within the credit that the session has left, or within a small allowance for words; what we
 *   have to say to a peer that does not read is bounded; words have a rate, a message and the reading of ours a time to make progress in;
 *   Goodbye and gRPC status end every stream.
 * Forbids: deciding anything about a producer.
 */
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Clock } from "ransomeye-kernel";
import { grpcStatus, INGEST_CODES, type IngestCode } from "../errors/ingest_errors.ts";
import { type CellRate, nextDueMs } from "./cell_rate.ts";
import { http2Code } from "./tls.ts";
import type { Turns } from "./turns.ts";
import { type ClientMessage, clientMessage, GrpcDeframer, grpcParts, type ServerMessage, serverMessage } from "../protocol/lib.ts";

/** What a stream tells its owner. None is called after `ended`. */
export interface PeerEvents {
  message(message: ClientMessage): void;
  /** The bytes are not the protocol, or the peer does not read. */
  broken(code: IngestCode): void;
  /** The peer closed its side, or the connection broke. */
  lost(): void;
  ponged(): void;
  /** Bytes that the next message may announce beside the allowance for words: the session's unused credit. */
  creditBytes(): number;
}

/** Bounds of one stream. */
export interface PeerBounds {
  readonly messageBytesMax: number;
  /** Length of the longest message that is no frame, and of what surrounds a frame's own bytes. */
  readonly wordsBytesMax: number;
  readonly outboundBytesMax: number;
  /** Messages that are no frame. */
  readonly words: CellRate;
  /** From a message's first byte to its last. */
  readonly messageMsMax: number;
  /** How long a peer may read nothing of what waits for it. */
  readonly unreadMsMax: number;
  /** How long a peer may take to read our last words. */
  readonly lingerMsMax: number;
}

const connectionWindowBytesMin = 65_535;
const contentType = "application/grpc+proto";

/** One open stream. */
export class PeerStream {
  readonly #stream: ServerHttp2Stream;
  readonly #clock: Clock;
  readonly #bounds: PeerBounds;
  readonly #deframer: GrpcDeframer;
  readonly #status = { code: grpcStatus.ok as number, message: "" };
  #events: PeerEvents | undefined;
  #corked = false;
  #over = false;
  #receivedBytes = 0;
  #sentBytes = 0;
  #wordsDueMs = 0;
  /** The peer has sent a ping of its own since it was last to be asked for a sign of life. */
  #pinged = false;
  /** Since when a message is incomplete. */
  #partSinceMs: number | undefined;
  /** What the peer had read when it was last looked at, and since when that is so. */
  #read: { readonly bytes: number; readonly sinceMs: number } | undefined;

  constructor(stream: ServerHttp2Stream, clock: Clock, bounds: PeerBounds) {
    this.#stream = stream;
    this.#clock = clock;
    this.#bounds = bounds;
    this.#deframer = new GrpcDeframer(bounds.messageBytesMax);
    // Not "aborted", which comes before the error that says why.
    stream.on("error", (error: NodeJS.ErrnoException) => this.#lost(error));
    stream.on("close", () => this.#lost());
    stream.on("wantTrailers", () =>
      stream.sendTrailers({ "grpc-status": String(this.#status.code), "grpc-message": encodeURIComponent(this.#status.message) }),
    );
    stream.respond({ ":status": 200, "content-type": contentType }, { waitForTrailers: true });
  }

  /** Begins to listen, in its turn. */
  open(events: PeerEvents, turns: Turns): void {
    const stream = this.#stream;
    this.#events = events;
    stream.on("data", (chunk: Buffer) => {
      this.#receivedBytes += chunk.length;
      let waited = false;
      const done = turns.run(() => {
        this.#take(chunk);
        if (waited && this.#events !== undefined) stream.resume();
      });
      if (done) return;
      waited = true;
      stream.pause();
    });
    stream.on("end", () => this.#lost());
    stream.session?.on("ping", () => {
      this.#pinged = true;
    });
  }

  /** Writes a message. Several within one turn leave as one. */
  send(message: ServerMessage): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return;
    if (!this.#corked) {
      this.#corked = true;
      stream.cork();
      process.nextTick(() => {
        this.#corked = false;
        stream.uncork();
      });
    }
    const bytes = Buffer.concat(grpcParts(serverMessage.encode(message)));
    this.#sentBytes += bytes.length;
    stream.write(bytes);
    if (stream.writableLength > this.#bounds.outboundBytesMax) this.#events?.broken("INGEST_SLOW_READER");
  }

  /** Says Goodbye and ends the stream with the code's gRPC status. The peer has a moment to read it, then the connection is closed. */
  end(code: IngestCode | undefined, comeBackAfterMs: number): void {
    const stream = this.#stream;
    this.#events = undefined;
    this.#over = true;
    if (stream.destroyed) return;
    if (code !== undefined) {
      const { grpc, meaning } = INGEST_CODES[code];
      this.#status.code = grpc;
      this.#status.message = `${code}: ${meaning}`;
      if (stream.writableLength <= this.#bounds.outboundBytesMax) this.send({ kind: "goodbye", code, message: meaning, comeBackAfterMs });
    }
    // What still arrives is not read: the window closes, and the sender with it.
    stream.pause();
    stream.end();
    const { session } = stream;
    stream.once("close", () => session?.close());
    const timer = this.#clock.setTimer(this.#bounds.lingerMsMax, () => stream.close(constants.NGHTTP2_NO_ERROR));
    stream.once("close", () => timer.cancel());
    stream.once("finish", () => {
      if (stream.readableEnded) session?.close();
    });
  }

  /** Whether the conversation has ended, from whichever side. */
  get over(): boolean {
    return this.#over;
  }

  /** Bytes of DATA frames without padding that have arrived, whether they have had their turn or not. */
  get receivedBytes(): number {
    return this.#receivedBytes + this.#stream.readableLength;
  }

  /** Why a peer that makes no progress is to be left, or undefined. To be asked now and then. */
  stalled(nowMs: number): IngestCode | undefined {
    const { messageMsMax, unreadMsMax } = this.#bounds;
    if (this.#partSinceMs !== undefined && nowMs - this.#partSinceMs > messageMsMax) return "INGEST_SLOW_WRITER";
    const waitingBytes = this.#stream.writableLength;
    const bytes = this.#sentBytes - waitingBytes;
    if (waitingBytes === 0 || this.#read?.bytes !== bytes) this.#read = { bytes, sinceMs: nowMs };
    return nowMs - this.#read.sinceMs > unreadMsMax ? "INGEST_SLOW_READER" : undefined;
  }

  /** Ends the conversation with a code, as far as its owner is concerned. */
  breakOff(code: IngestCode): void {
    this.#events?.broken(code);
  }

  /** Asks the peer for a sign of life, unless it has given one: where both sides ping, one of them is enough. */
  ping(): void {
    const { session } = this.#stream;
    if (session === undefined || session.destroyed) return;
    if (this.#pinged) {
      this.#pinged = false;
      this.#events?.ponged();
      return;
    }
    session.ping((error) => {
      if (error === null) this.#events?.ponged();
    });
  }

  /** Sets how much the peer may send before we read it: stream and connection alike, one conversation a connection. */
  window(bytes: number): void {
    const { session } = this.#stream;
    if (session === undefined || session.destroyed) return;
    session.settings({ initialWindowSize: bytes });
    // The connection's window starts at 64 KiB (RFC 9113) and has one stream to serve.
    session.setLocalWindowSize(Math.max(bytes, connectionWindowBytesMin));
  }

  #take(chunk: Buffer): void {
    const deframed = this.#deframer.push(chunk);
    if (deframed.kind === "refused") {
      this.#events?.broken(deframed.code === "PROTOCOL_BOUND" ? "INGEST_MESSAGE_TOO_LARGE" : "INGEST_MESSAGE_MALFORMED");
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    for (const bytes of deframed.messages) {
      if (this.#events === undefined) return;
      const decoded = clientMessage.decode(compact(bytes));
      if (decoded.kind === "refused") this.#events.broken("INGEST_MESSAGE_MALFORMED");
      else if (decoded.value.kind !== "frame" && !this.#mayTalk(nowMs)) this.#events.broken("INGEST_WORDS_FLOOD");
      else this.#events.message(decoded.value);
    }
    if (this.#deframer.heldBytes === 0) this.#partSinceMs = undefined;
    else if (this.#partSinceMs === undefined || deframed.messages.length > 0) this.#partSinceMs = nowMs;
    const events = this.#events;
    if (events === undefined) return;
    const allowed = events.creditBytes() + this.#bounds.wordsBytesMax;
    if (this.#deframer.declaredBytes > allowed) events.broken("INGEST_CREDIT_EXCEEDED");
  }

  #mayTalk(nowMs: number): boolean {
    const dueMs = nextDueMs(this.#wordsDueMs, nowMs, this.#bounds.words);
    if (dueMs !== undefined) this.#wordsDueMs = dueMs;
    return dueMs !== undefined;
  }

  /** The stream has ended; `error` says why where its peer has broken a rule that the HTTP/2 library knows. */
  #lost(error: Parameters<typeof http2Code>[0] = {}): void {
    const events = this.#events;
    this.#over = true;
    this.#events = undefined;
    // Whoever sends more than the stream's window holds is reset by the library, which tells nobody.
    const outran = this.#stream.rstCode === constants.NGHTTP2_FLOW_CONTROL_ERROR;
    const code = http2Code(error) ?? (outran ? "INGEST_TRANSPORT_VIOLATION" : undefined);
    if (code === undefined) events?.lost();
    else events?.broken(code);
  }
}

/** A message that holds no more memory than its own: a small view would keep the whole network chunk alive while its frame is in flight. */
function compact(bytes: Buffer): Buffer {
  if (bytes.length * 2 > bytes.buffer.byteLength) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

/** Answers a request that opens no conversation. */
export function refuseRequest(stream: ServerHttp2Stream, code: IngestCode): void {
  const { grpc, meaning } = INGEST_CODES[code];
  stream.on("error", () => undefined);
  // Reset in the same breath: nobody waits for an answer, and there is nothing to answer on.
  if (stream.destroyed || stream.closed) return;
  stream.respond(
    { ":status": 200, "content-type": contentType, "grpc-status": String(grpc), "grpc-message": encodeURIComponent(`${code}: ${meaning}`) },
    { endStream: true },
  );
  // What the peer still sends is of no interest (RFC 9113, 8.1). Not at once: Node 22 and later would reset before the answer has left.
  setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
}
