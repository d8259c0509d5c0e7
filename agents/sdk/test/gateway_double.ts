/**
 * Why: the SDK's shell is tested against a gateway that does exactly what a test wants, over real TLS and HTTP/2.
 * Enforces: the rules that matter here: append if next, signatures, credit never exceeded, receipts signed.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { recordingTelemetry, seededRandom, systemClock } from "ransomeye-kernel";
import {
  type ClientMessage,
  clientMessage,
  decodeHeader,
  type FrameHeader,
  gatewaySpiffeId,
  GrpcDeframer,
  grpcParts,
  type Head,
  type InvalidEvent,
  keyIdOf,
  keyRetiredCode,
  lastSeqOf,
  mustDecode,
  openEpochBytes,
  ed25519Verify,
  payloadHash,
  producerSpiffeId,
  rawPublicKey,
  type ServerMessage,
  serverMessage,
  signReceipt,
  verifyHeader,
  zeroHash,
} from "ransomeye-ingestion/protocol";
import { createEnrolmentRequest, type OpenProducer, type ProducerIdentity, type ProducerOptions } from "../src/lib.ts";
import { issue, type Issued } from "./certificates.ts";

export const producer = "0190a0b0-c0d0-7000-8000-0000000000aa";
export const trustDomain = "test.local";

export const authority: Issued = issue("test authority", []);

/** An identity as enrolment would give it. */
export function testIdentity(): ProducerIdentity {
  const { batchKey } = createEnrolmentRequest({ kind: "linux", name: "test" }, seededRandom(1));
  const tls = issue("producer", [producerSpiffeId(trustDomain, "linux", producer)], { common: "test authority", key: authority.key });
  return { producer, kind: "linux", trustDomain, tlsKeyPem: tls.keyPem, tlsCertPem: tls.certPem, caPem: authority.certPem, batchKey };
}

/** What `openProducer` needs. */
export function settings(
  identity: ProducerIdentity,
  port: number,
  spoolDir: string,
  options: ProducerOptions = {},
): OpenProducer & { telemetry: ReturnType<typeof recordingTelemetry> } {
  return {
    identity,
    gateway: { host: "127.0.0.1", port },
    spoolDir,
    options: { lingerMs: 2, backoffBaseMs: 5, backoffCapMs: 50, connectMs: 5000, ...options },
    clock: systemClock,
    random: seededRandom("sdk"),
    telemetry: recordingTelemetry(),
  };
}

export interface DoubleOptions {
  readonly uris?: readonly string[];
  readonly issuer?: Issued;
  readonly receiptKey?: KeyObject;
  /** Of the gateway's certificate. */
  readonly dates?: readonly [string, string];
  /** Told in the Welcome; 2 where a test does not care. */
  readonly lingerMs?: number;
}

/** A gateway of one producer. */
export class GatewayDouble {
  /** Batch keys that are in force, by key id. */
  readonly keys: Map<string, KeyObject> = new Map();
  /** Key ids as frames named them, without repetition. */
  readonly signers: string[] = [];
  head: Head = { epoch: 0, seq: 0, hash: zeroHash, prevEpoch: 0, prevSeq: 0, prevHash: zeroHash };
  readonly lines: string[] = [];
  readonly gaps: { reason: string; count: number }[] = [];
  readonly hellos: Extract<ClientMessage, { kind: "hello" }>[] = [];
  readonly violations: string[] = [];
  frames = 0;
  pings = 0;
  /** Called with every frame before it is judged; "hold" swallows it. */
  onFrame: ((header: FrameHeader, double: GatewayDouble) => "hold" | "cut" | undefined) | undefined;
  /** Called with every message; true: do not answer it. */
  onMessage: ((message: ClientMessage, double: GatewayDouble) => boolean) | undefined;
  invalid: (header: FrameHeader) => InvalidEvent[] = () => [];
  store = true;
  credit: { bytes: number; events: number } = { bytes: 64 * 1024 * 1024, events: 10_000_000 };
  receiptKey: KeyObject;
  forgeReceipts = false;
  readonly #lingerMs: number;
  #server: Http2SecureServer;
  #sessions: Set<ServerHttp2Session> = new Set();
  #stream: ServerHttp2Stream | undefined;
  #nonce: Buffer = Buffer.alloc(16, 5);
  #spent = { bytes: 0, events: 0 };

  constructor(identity: ProducerIdentity, options: DoubleOptions = {}) {
    this.admit(identity);
    this.#lingerMs = options.lingerMs ?? 2;
    this.receiptKey = options.receiptKey ?? generateKeyPairSync("ed25519").privateKey;
    const issuer = options.issuer ?? authority;
    const tls = issue(
      "gateway",
      options.uris ?? [gatewaySpiffeId(trustDomain, "gw-1")],
      { common: "test authority", key: issuer.key },
      options.dates,
    );
    this.#server = createSecureServer({
      key: tls.keyPem,
      cert: tls.certPem,
      ca: authority.certPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
    });
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("error", () => undefined);
      session.on("ping", () => {
        this.pings += 1;
      });
      session.on("close", () => this.#sessions.delete(session));
    });
    this.#server.on("sessionError", () => undefined);
    this.#server.on("stream", (stream, headers) => this.#accept(stream, headers[":path"] ?? ""));
  }

  /** The batch key of this identity is in force from now on. */
  admit({ batchKey }: ProducerIdentity): string {
    const publicKey = createPublicKey(batchKey);
    const keyId = keyIdOf(rawPublicKey(publicKey));
    this.keys.set(keyId, publicKey);
    return keyId;
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Tears every connection down. */
  cut(): void {
    for (const session of this.#sessions) session.destroy();
  }

  /** Ends it at once. The server's own word is not waited for: after a connection that broke in its handshake it may never come. */
  close(): void {
    this.cut();
    this.#server.close();
  }

  say(message: ServerMessage): void {
    const stream = this.#stream;
    if (stream === undefined || stream.destroyed) return;
    for (const part of grpcParts(serverMessage.encode(message))) stream.write(part);
  }

  receipt(invalid: InvalidEvent[] = []): void {
    const { epoch, seq, hash } = this.head;
    const stored = this.store ? { storedEpoch: epoch, storedSeq: seq } : { storedEpoch: 0, storedSeq: 0 };
    const fields = { epoch, durableSeq: seq, chainHash: hash, ...stored, receivedUs: 1, invalid, invalidMore: 0 };
    const signature = signReceipt(producer, fields, this.receiptKey);
    // Another first byte, whatever the first byte is: one in 256 signatures begins with any given one.
    if (this.forgeReceipts) signature.writeUInt8(signature.readUInt8(0) ^ 1, 0);
    this.say({ kind: "receipt", ...fields, signature });
  }

  #accept(stream: ServerHttp2Stream, path: string): void {
    stream.on("error", () => undefined);
    if (path !== "/ransomeye.ingest.v1.Ingest/Stream") this.violations.push(`path ${path}`);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("end", () => stream.end());
    this.#stream = stream;
    this.#spent = { bytes: 0, events: 0 };
    const deframer = new GrpcDeframer(1024 * 1024);
    stream.on("data", (chunk: Buffer) => {
      const step = deframer.push(chunk);
      if (step.kind === "refused") throw new Error(step.detail);
      for (const bytes of step.messages) this.#hear(mustDecode(clientMessage.decode(bytes)));
    });
  }

  #hear(message: ClientMessage): void {
    if (this.onMessage?.(message, this) === true) return;
    if (message.kind === "hello") {
      this.hellos.push(message);
      this.say({
        kind: "welcome",
        protocolVersion: 1,
        schemaVersion: message.schemaVersions[0] ?? 0,
        head: this.head,
        storedEpoch: 0,
        storedSeq: 0,
        limits: { frameBytesMax: 262_144, frameEventsMax: 4096, lineBytesMax: 131_072 },
        lingerMs: this.#lingerMs,
        creditBytesTotal: this.credit.bytes,
        creditEventsTotal: this.credit.events,
        sessionNonce: this.#nonce,
        receiptPublicKey: rawPublicKey(this.receiptKey),
        clockUs: 1,
        gateway: "gw-1",
      });
    } else if (message.kind === "openEpoch") {
      const key = this.keys.get(message.keyId.toString("hex"));
      if (!message.sessionNonce.equals(this.#nonce)) this.violations.push("another session's nonce");
      if (key === undefined || !ed25519Verify(openEpochBytes(producer, message.expectedEpoch, this.#nonce), message.signature, key))
        this.violations.push("epoch signature");
      const { epoch, seq, hash } = this.head;
      this.head = { epoch: epoch + 1, seq: 0, hash: zeroHash, prevEpoch: epoch, prevSeq: seq, prevHash: hash };
      this.say({ kind: "epochOpened", epoch: epoch + 1, prevEpoch: epoch, prevSeq: seq, prevHash: hash });
    } else if (message.kind === "frame") {
      this.#frame(message);
    }
  }

  #frame(frame: Extract<ClientMessage, { kind: "frame" }>): void {
    const header = mustDecode(decodeHeader(frame.header));
    this.frames += 1;
    this.#spent = {
      bytes: this.#spent.bytes + frame.header.length + 64 + frame.payload.length,
      events: this.#spent.events + (header.kind === "gap" ? 1 : header.count),
    };
    if (this.#spent.bytes > this.credit.bytes || this.#spent.events > this.credit.events) this.violations.push("credit exceeded");
    const key = this.keys.get(header.keyId);
    if (key === undefined) {
      const { epoch, firstSeq } = header;
      this.say({
        kind: "reject",
        epoch,
        firstSeq,
        lastSeq: lastSeqOf(header),
        code: keyRetiredCode,
        message: "",
        next: "stop",
        expected: undefined,
      });
      return;
    }
    if (this.signers.at(-1) !== header.keyId) this.signers.push(header.keyId);
    if (!verifyHeader(frame.header, frame.signature, key)) this.violations.push("signature");
    if (!payloadHash(frame.payload).equals(header.payloadHash)) this.violations.push("payload hash");
    const verdict = this.onFrame?.(header, this);
    if (verdict === "cut") this.cut();
    if (verdict !== undefined) return;
    const { head } = this;
    const last = lastSeqOf(header);
    if (header.epoch === head.epoch && last <= head.seq) {
      this.receipt();
    } else if (header.epoch === head.epoch && header.firstSeq === head.seq + 1 && (head.seq === 0 || header.prevHash.equals(head.hash))) {
      this.head = { ...head, seq: last, hash: Buffer.from(header.hash) };
      if (header.kind === "gap")
        this.gaps.push({ reason: (JSON.parse(frame.payload.toString()) as { reason: string }).reason, count: header.count });
      else this.lines.push(...frame.payload.toString().split("\n").slice(0, -1));
      this.receipt(this.invalid(header));
    } else {
      this.say({
        kind: "reject",
        epoch: header.epoch,
        firstSeq: header.firstSeq,
        lastSeq: last,
        code: "INGEST_GAP",
        message: "",
        next: "resend",
        expected: head,
      });
    }
  }
}
