/**
 * Why: a gRPC message on HTTP/2 is five bytes of prefix and the message. We speak that ourselves, because the
 *   library's cost per byte is several times that of the transport.
 * Enforces: a bound known before a message is gathered; identity encoding only (ING-7: no decompression to
 *   abuse); each byte is copied at most once, and not at all where a message lies within one chunk.
 * Forbids: concatenating on every chunk, which is quadratic under 1-byte DATA frames.
 */

import { refused, type Refused } from "./protocol_errors.ts";

/** Bytes before every message: compressed flag and u32 length. */
export const grpcPrefixBytes = 5;

/** HTTP/2 path of the one method. */
export const ingestStreamPath = "/ransomeye.ingest.v1.Ingest/Stream";

/** Whole messages that a chunk completed, or why the stream is of no more use. */
export type Deframed = { readonly kind: "messages"; readonly messages: readonly Buffer[] } | Refused;

/** Cuts a stream of chunks into messages of at most `messageBytesMax` bytes. One owner; not to be used after a refusal. */
export class GrpcDeframer {
  readonly #messageBytesMax: number;
  readonly #prefix: Buffer = Buffer.allocUnsafe(grpcPrefixBytes);
  #prefixHave = 0;
  #need = 0;
  #have = 0;
  #chunks: Buffer[] = [];
  /** Tiny chunks of one message are gathered here, so that they do not each keep an object alive. */
  #gather: Buffer | undefined;
  #gatherUsed = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Bytes of an unfinished message that are held now. */
  get heldBytes(): number {
    return this.#prefixHave + this.#have;
  }

  /** Declared length of the unfinished message; 0 between messages. */
  get declaredBytes(): number {
    return this.#prefixHave === grpcPrefixBytes ? this.#need : 0;
  }

  /** Takes the next chunk of the stream. Messages are views of chunks where possible. */
  push(chunk: Buffer): Deframed {
    const messages: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#prefixHave < grpcPrefixBytes) {
        at += this.#takePrefix(chunk, at);
        if (this.#prefixHave < grpcPrefixBytes) break;
        if (this.#prefix[0] !== 0) return refused("PROTOCOL_COMPRESSED", "the compressed flag is set");
        this.#need = this.#prefix.readUInt32BE(1);
        if (this.#need > this.#messageBytesMax)
          return refused("PROTOCOL_BOUND", `a message of ${this.#need} bytes exceeds ${this.#messageBytesMax}`);
      }
      const part = chunk.subarray(at, at + this.#need - this.#have);
      at += part.length;
      if (this.#have + part.length === this.#need) messages.push(this.#finish(part));
      else if (part.length > 0) this.#hold(part);
    }
    return { kind: "messages", messages };
  }

  #takePrefix(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#prefix, this.#prefixHave, at, at + grpcPrefixBytes - this.#prefixHave);
    this.#prefixHave += taken;
    return taken;
  }

  #hold(part: Buffer): void {
    if (this.#gather === undefined && part.length < smallChunkBytes) {
      this.#gather = Buffer.allocUnsafe(Math.min(this.#need - this.#have, gatherBytes));
      this.#gatherUsed = 0;
    }
    if (this.#gather !== undefined && part.length <= this.#gather.length - this.#gatherUsed) {
      part.copy(this.#gather, this.#gatherUsed);
      this.#gatherUsed += part.length;
    } else {
      this.#closeGather();
      this.#chunks.push(part);
    }
    this.#have += part.length;
  }

  #closeGather(): void {
    if (this.#gather !== undefined && this.#gatherUsed > 0) this.#chunks.push(this.#gather.subarray(0, this.#gatherUsed));
    this.#gather = undefined;
    this.#gatherUsed = 0;
  }

  #finish(part: Buffer): Buffer {
    this.#closeGather();
    const message = this.#chunks.length === 0 ? part : Buffer.concat([...this.#chunks, part], this.#need);
    this.#chunks = [];
    this.#have = 0;
    this.#need = 0;
    this.#prefixHave = 0;
    return message;
  }
}

/** Below this a chunk is gathered by copy instead of being kept. */
const smallChunkBytes = 256;
const gatherBytes = 16_384;

/** The parts of an encoded message behind their prefix, to be written corked in one go. */
export function grpcParts(parts: readonly Buffer[]): Buffer[] {
  const prefix = Buffer.allocUnsafe(grpcPrefixBytes);
  prefix[0] = 0;
  prefix.writeUInt32BE(
    parts.reduce((sum, part) => sum + part.length, 0),
    1,
  );
  return [prefix, ...parts];
}
