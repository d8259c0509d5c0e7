/**
 * Floods below the protocol: what a peer with a valid certificate can send without end that is no frame of ours.
 *
 * Why: tests ask whether each is stopped, and by which code; measurements what it costs the others meanwhile. Both need the same attackers.
 * Enforces: each is a name, the bytes that it repeats, and the codes that it may end with.
 * Forbids: use outside tests and measurements.
 */
import type { IngestCode } from "ransomeye-ingestion";
import { clientMessage, grpcParts } from "ransomeye-ingestion/protocol";
import { flag, frameType, headerField, rawFrame, RawPeer, type RawTarget, requestBlock } from "./raw_http2.ts";
import { plainHello } from "./test_client.ts";

/** One kind of flood. */
export interface Flood {
  readonly name: string;
  /** Codes under which the gate may end it. */
  readonly codes: readonly IngestCode[];
  /** What comes before it, on a connection that has said its preface. */
  readonly first: () => readonly Buffer[];
  /** The next of it; a little more than a network packet at a time. */
  readonly next: () => Buffer;
}

const perChunk = 200;
const request = (): Buffer => rawFrame(frameType.headers, flag.endHeaders, 1, requestBlock());
const message = (bytes: readonly Buffer[]): Buffer => rawFrame(frameType.data, 0, 1, Buffer.concat(grpcParts(bytes)));
const conversation = (): readonly Buffer[] => [request(), message(clientMessage.encode(plainHello()))];
const repeated = (frame: Buffer) => (): Buffer => Buffer.concat(Array<Buffer>(perChunk).fill(frame));

/** A flood of one frame on an open conversation, or beside one. */
function of(name: string, frame: Buffer, codes: readonly IngestCode[] = ["INGEST_TRANSPORT_FLOOD"], first = conversation): Flood {
  return { name, codes, first, next: repeated(frame) };
}

/** A flood of DATA. On a slow machine it outruns the window that it was given, and that alone ends it. */
function ofData(name: string, frame: Buffer, codes: readonly IngestCode[], start: readonly Buffer[] = []): Flood {
  return of(name, frame, ["INGEST_TRANSPORT_FLOOD", "INGEST_TRANSPORT_VIOLATION", ...codes], () => [...conversation(), ...start]);
}

/** A flood of requests, each on a stream of its own. */
function ofStreams(name: string, each: (stream: number) => Buffer, codes: readonly IngestCode[]): Flood {
  let stream = 1;
  const next = (): Buffer => {
    const streams = Array.from({ length: perChunk }, (_, i) => each(stream + 2 * i));
    stream += 2 * perChunk;
    return Buffer.concat(streams);
  };
  return { name, codes, first: () => [], next };
}

const eight = Buffer.alloc(8);
const cancel = Buffer.from([0, 0, 0, 8]);
/** A request that is refused, so that the connection stays: the end of a conversation is the end of its connection. */
const someHeaders = (stream: number): Buffer => rawFrame(frameType.headers, flag.endHeaders, stream, requestBlock("/other"));
const manyFields = Buffer.concat(Array.from({ length: 100 }, (_, i) => headerField(`x-${i}`, "y".repeat(60))));
/** A DATA frame of one byte of a message behind 255 bytes of padding. */
const padded = rawFrame(frameType.data, flag.padded, 1, Buffer.concat([Buffer.from([255, 0]), Buffer.alloc(255)]));
/** The prefix of a message that fits the allowance for words and takes long to come at a byte a frame. */
const longMessage = rawFrame(frameType.data, 0, 1, Buffer.from([0, 0, 0, 16, 0]));

/** Under which code a newer nghttp2 ends what has no effect, when it comes too fast. */
const glitches = "INGEST_TRANSPORT_VIOLATION";

/** Every flood. */
export const floods: readonly Flood[] = [
  ofStreams("stream opens", someHeaders, ["INGEST_REQUESTS_MAX", "INGEST_TRANSPORT_FLOOD"]),
  // nghttp2 itself reads no more after a thousand resets, says nothing, and leaves a connection that has no conversation.
  ofStreams("rapid reset", (stream) => Buffer.concat([someHeaders(stream), rawFrame(frameType.resetStream, 0, stream, cancel)]), [
    "INGEST_REQUESTS_MAX",
    "INGEST_HELLO_TIMEOUT",
    "INGEST_TRANSPORT_FLOOD",
  ]),
  {
    ...of("CONTINUATION", rawFrame(frameType.continuation, 0, 1, headerField("a", "b"))),
    first: () => [rawFrame(frameType.headers, 0, 1, requestBlock())],
  },
  ofStreams(
    "large headers",
    (stream) => rawFrame(frameType.headers, flag.endHeaders, stream, Buffer.concat([requestBlock(), manyFields])),
    ["INGEST_TRANSPORT_FLOOD", "INGEST_TRANSPORT_VIOLATION"],
  ),
  of("PING", rawFrame(frameType.ping, 0, 0, eight)),
  of("PING answers nobody asked for", rawFrame(frameType.ping, flag.ack, 0, eight), ["INGEST_TRANSPORT_VIOLATION"]),
  of("SETTINGS", rawFrame(frameType.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 9]))),
  of("empty SETTINGS", rawFrame(frameType.settings, 0, 0)),
  of("PRIORITY", rawFrame(frameType.priority, 0, 1, Buffer.from([0, 0, 0, 3, 5])), ["INGEST_TRANSPORT_FLOOD", glitches]),
  of("WINDOW_UPDATE", rawFrame(frameType.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1])), ["INGEST_TRANSPORT_FLOOD"]),
  of("frames of unknown types", rawFrame(0x42, 0, 0, Buffer.alloc(10)), ["INGEST_TRANSPORT_FLOOD", glitches]),
  of("GOAWAY", rawFrame(frameType.goaway, 0, 0, eight), ["INGEST_TRANSPORT_FLOOD"]),
  of("empty DATA", rawFrame(frameType.data, 0, 1)),
  // On a slow machine the zeros are a whole message, and none of ours, before the next look at the connection.
  ofData("DATA of one byte", rawFrame(frameType.data, 0, 1, Buffer.alloc(1)), ["INGEST_MESSAGE_MALFORMED"], [longMessage]),
  ofData("padding", padded, ["INGEST_WORDS_FLOOD", "INGEST_MESSAGE_MALFORMED"], [longMessage]),
  ofData("empty messages", message([]), ["INGEST_WORDS_FLOOD", "INGEST_MESSAGE_MALFORMED"]),
  ofData("words", message(clientMessage.encode({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 })), [
    "INGEST_WORDS_FLOOD",
  ]),
];

/** Runs one flood on one connection until the gate ends it, or `stop` aborts. Returns the bytes that it has sent. */
export async function runFlood(flood: Flood, target: RawTarget, stop?: AbortSignal): Promise<number> {
  const peer = new RawPeer(target);
  try {
    await peer.open();
    for (const bytes of flood.first()) peer.send(bytes);
    return await peer.flood(flood.next, stop);
  } finally {
    peer.close();
  }
}
