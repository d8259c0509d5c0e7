/**
 * Cheap bounds before step 2: what can be said about a frame by looking at lengths.
 *
 * Why: verifying and parsing cost CPU, so nothing is verified that could not be admitted anyway.
 * Enforces: a readable header, the limits told in Welcome, and the cost of a frame in one place.
 * Forbids: believing any of it: a claim is `Untrusted` until `enforceTrust` has spoken.
 */
import type { IngestCode } from "../errors/ingest_errors.ts";
import { decodeHeader, type Frame, type FrameHeader } from "../protocol/lib.ts";
import type { Untrusted } from "../security/trust_enforcement.ts";
import type { Cost } from "./rate_limit.ts";

/** The limits of one frame. */
export interface FrameBounds {
  readonly frameBytesMax: number;
  readonly frameEventsMax: number;
}

/** A claim worth verifying, or a code. */
export type PreAdmitted =
  | { readonly kind: "claim"; readonly claim: Untrusted }
  | { readonly kind: "refused"; readonly code: IngestCode; readonly header?: FrameHeader };

/** Payload bytes of a gap declaration at most: a reason and a little detail. */
export const gapPayloadBytesMax = 4096;

/** What a frame costs: its bytes, and its events. A gap carries none however many sequences it declares lost; it costs one. */
export function costOf(header: Pick<FrameHeader, "kind" | "count">, frame: Frame): Cost {
  return {
    bytes: frame.header.length + frame.signature.length + frame.payload.length,
    events: header.kind === "gap" ? 1 : header.count,
  };
}

/** Decodes the header and checks the frame against its bounds. */
export function preAdmit(frame: Frame, bounds: FrameBounds): PreAdmitted {
  const decoded = decodeHeader(frame.header);
  if (decoded.kind === "refused") return { kind: "refused", code: "INGEST_HEADER_MALFORMED" };
  const header = decoded.value;
  if (header.payloadBytes !== frame.payload.length) return { kind: "refused", code: "INGEST_PAYLOAD_MISMATCH", header };
  const bytesMax = header.kind === "gap" ? gapPayloadBytesMax : bounds.frameBytesMax;
  const eventsMax = header.kind === "gap" ? Number.MAX_SAFE_INTEGER : bounds.frameEventsMax;
  if (frame.payload.length > bytesMax || header.count > eventsMax) return { kind: "refused", code: "INGEST_FRAME_TOO_LARGE", header };
  return { kind: "claim", claim: { header, frame, cost: costOf(header, frame) } };
}
