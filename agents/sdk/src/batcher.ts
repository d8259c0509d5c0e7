/**
 * Why: one signature, one hash, one flush and one receipt serve hundreds of events, so lines are gathered into frames.
 * Enforces: frames within their bounds of bytes and events; the lines of a call lie in one frame where they fit into one, and a call that does not fit
 *   the open frame begins a new one. So an incomplete call at the end of a spool can be dropped without touching the one before it.
 * Forbids: an object for each event; clocks (the owner seals by time).
 */
import { payloadHash } from "ransomeye-ingestion/protocol";
import type { Call, CallPart } from "./calls.ts";
import type { SdkError } from "./codes.ts";
import type { SealedBatch } from "./machine_types.ts";

/** A frame's payload, ready for the chain. */
export interface Sealed {
  readonly batch: SealedBatch;
  readonly payload: Buffer;
  readonly parts: readonly CallPart[];
  readonly cursor: string | undefined;
  /** The last call goes on in the next frame. */
  readonly more: boolean;
}

export interface BatchBounds {
  readonly frameBytesMax: number;
  readonly frameEventsMax: number;
  readonly schemaVersion: number;
  readonly mappingVersion: number;
}

const lineFeed = 10;

/** Gathers lines into frames. */
export class Batcher {
  readonly #bounds: BatchBounds;
  readonly #seal: (sealed: Sealed) => void;
  #lines: Buffer[] = [];
  #bytes = 0;
  #parts: CallPart[] = [];
  #cursor: string | undefined;
  #mappingVersion: number;

  /** `seal` is called with each full frame, in order. */
  constructor(bounds: BatchBounds, seal: (sealed: Sealed) => void) {
    this.#bounds = bounds;
    this.#mappingVersion = bounds.mappingVersion;
    this.#seal = seal;
  }

  /** Lines that wait in the open frame. */
  get count(): number {
    return this.#lines.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the lines of a call (`bytes`: with a line feed for each). The cursor belongs to the frame with the last of them. A frame has one mapping version. */
  add(call: Call, lines: readonly Buffer[], bytes: number, about: { readonly cursor?: string; readonly mappingVersion?: number }): void {
    const { frameBytesMax, frameEventsMax, mappingVersion } = this.#bounds;
    const { cursor } = about;
    if ((about.mappingVersion ?? mappingVersion) !== this.#mappingVersion) this.flush();
    this.#mappingVersion = about.mappingVersion ?? mappingVersion;
    if (this.#bytes + bytes > frameBytesMax || this.#lines.length + lines.length > frameEventsMax) this.flush();
    let offset = 0;
    let start = this.#lines.length;
    for (const line of lines) {
      if (this.#bytes + line.length + 1 > frameBytesMax || this.#lines.length >= frameEventsMax) {
        this.#parts.push({ call, offset, start, count: this.#lines.length - start });
        offset += this.#lines.length - start;
        start = 0;
        this.#close(true);
      }
      this.#lines.push(line);
      this.#bytes += line.length + 1;
    }
    this.#parts.push({ call, offset, start, count: this.#lines.length - start });
    if (cursor !== undefined) this.#cursor = cursor;
    if (this.#bytes >= frameBytesMax || this.#lines.length >= frameEventsMax) this.flush();
  }

  /** Seals the open frame, if it holds anything. */
  flush(): void {
    if (this.#lines.length > 0) this.#close(false);
  }

  /** The open frame will never be sealed: nothing of it is on disk, and who waits for it is told. */
  fail(error: SdkError): void {
    for (const { call } of this.#parts) call.fail(error);
    this.#begin();
  }

  #begin(): void {
    this.#lines = [];
    this.#bytes = 0;
    this.#parts = [];
    this.#cursor = undefined;
  }

  #close(more: boolean): void {
    const payload = Buffer.allocUnsafe(this.#bytes);
    let at = 0;
    for (const line of this.#lines) {
      payload.set(line, at);
      at += line.length;
      payload[at] = lineFeed;
      at += 1;
    }
    const { schemaVersion } = this.#bounds;
    const batch: SealedBatch = {
      kind: "events",
      count: this.#lines.length,
      payloadBytes: at,
      payloadHash: payloadHash(payload),
      schemaVersion,
      mappingVersion: this.#mappingVersion,
    };
    const sealed: Sealed = { batch, payload, parts: this.#parts, cursor: this.#cursor, more };
    this.#begin();
    this.#seal(sealed);
  }
}
