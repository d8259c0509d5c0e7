/**
 * Why: no HTTP/2 library sends what an attacker sends: it would refuse to, or be polite about it.
 * Enforces: frames of RFC 9113 as bytes over TLS 1.3, one after the other, whatever they are; only those answers are given that a test asks for.
 * Forbids: use outside tests and measurements.
 */
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { ingestStreamPath } from "ransomeye-ingestion/protocol";
import type { TestCertificate } from "../test_ca.ts";

/** Types of frames. */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames. */
export const flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8 } as const;

/** Acknowledgements are heard beside what they acknowledge, under a number that is no type of a frame. */
const acknowledged = 0x100;

/** Under this an answer to our ping is heard. */
export const pingAnswered: number = acknowledged + frameType.ping;

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const frameHeaderBytes = 9;

/** One frame. */
export function rawFrame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + payload.length);
  frame.writeUIntBE(payload.length, 0, 3);
  frame[3] = type;
  frame[4] = flags;
  frame.writeUInt32BE(stream, 5);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

/** What a client says first: the preface and its settings, which change nothing. */
export const http2Preface: Buffer = Buffer.concat([preface, rawFrame(frameType.settings, 0, 0)]);

/** A header field as HPACK writes one that it neither knows nor keeps (RFC 7541, 6.2.2); names and values below 127 bytes. */
export function headerField(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
}

/** The header block of a request for a path. */
export function requestBlock(path: string = ingestStreamPath): Buffer {
  return Buffer.concat([
    headerField(":method", "POST"),
    headerField(":scheme", "https"),
    headerField(":authority", "gate"),
    headerField(":path", path),
    headerField("content-type", "application/grpc"),
    headerField("te", "trailers"),
  ]);
}

/** Where to, and as whom. */
export interface RawTarget {
  readonly port: number;
  readonly ca: string;
  readonly certificate?: Pick<TestCertificate, "cert" | "key"> | undefined;
  readonly tls?: ConnectionOptions;
}

/** How TLS to a gate under test is opened. */
export function tlsOptions({ port, ca, certificate, tls }: RawTarget): ConnectionOptions {
  return {
    host: "127.0.0.1",
    port,
    ca,
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
    ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
    ...tls,
  };
}

/** A peer that sends bytes. It reads and forgets what it is sent, unless told not to read. */
export class RawPeer {
  readonly socket: TLSSocket;
  /** Resolves when the connection has ended, with the code of the error where there was one. */
  readonly ended: Promise<string | undefined>;
  /** Last frame of the server of each type, acknowledgements apart: its payload. */
  readonly heard: Map<number, Buffer> = new Map();
  #rest: Buffer = Buffer.alloc(0);

  constructor(target: RawTarget) {
    this.socket = connect(tlsOptions(target));
    let error: string | undefined;
    this.socket.on("error", (cause: Error & { code?: string }) => {
      error = cause.code ?? cause.name;
    });
    this.socket.on("data", (chunk: Buffer) => this.#hear(chunk));
    this.ended = new Promise((resolve) => this.socket.once("close", () => resolve(error)));
  }

  /** Completes TLS and says the preface. Rejects where the gate does not let it. */
  async open(settings: Uint8Array = Buffer.alloc(0)): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.once("secureConnect", resolve);
      void this.ended.then((error) => reject(new Error(error ?? "closed")));
    });
    this.send(Buffer.concat([preface, rawFrame(frameType.settings, 0, 0, settings)]));
  }

  /** Opens stream 1 with a request. */
  request(path?: string): void {
    this.send(rawFrame(frameType.headers, flag.endHeaders, 1, requestBlock(path)));
  }

  send(bytes: Buffer): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Sends what `next` makes, as fast as it is taken, until the connection ends or `stop` aborts. Returns the bytes sent. */
  async flood(next: () => Buffer, stop?: AbortSignal): Promise<number> {
    const over = (): boolean => this.socket.destroyed || !this.socket.writable || stop?.aborted === true;
    let bytes = 0;
    while (!over()) {
      const chunk = next();
      bytes += chunk.length;
      if (!this.socket.write(chunk)) await this.#drained(stop);
      else await new Promise((resolve) => setImmediate(resolve));
    }
    return bytes;
  }

  /** Answers the last ping of the server, once. */
  pong(): void {
    const ping = this.heard.get(frameType.ping);
    if (ping !== undefined) this.send(rawFrame(frameType.ping, flag.ack, 0, ping));
    this.heard.delete(frameType.ping);
  }

  close(): void {
    this.socket.destroy();
  }

  #drained(stop: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.socket.off("drain", done).off("close", done);
        stop?.removeEventListener("abort", done);
        resolve();
      };
      this.socket.once("drain", done).once("close", done);
      stop?.addEventListener("abort", done, { once: true });
    });
  }

  #hear(chunk: Buffer): void {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (rest.length >= frameHeaderBytes) {
      const end = frameHeaderBytes + rest.readUIntBE(0, 3);
      if (rest.length < end) break;
      const type = rest.readUInt8(3);
      const answers = (type === frameType.ping || type === frameType.settings) && (rest.readUInt8(4) & flag.ack) !== 0;
      this.heard.set(answers ? acknowledged + type : type, Buffer.from(rest.subarray(frameHeaderBytes, end)));
      rest = rest.subarray(end);
    }
    this.#rest = Buffer.from(rest);
  }
}
