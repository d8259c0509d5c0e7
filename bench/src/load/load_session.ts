/**
 * Why: a fleet of 50,000 cannot run as 50,000 SDKs on one machine; a session that speaks the real protocol without a spool costs a tenth.
 * Enforces: real mutual TLS, real signatures and chain, credit never overspent, the linger that the server asks for; sealed frames stay as small as they
 *   were sealed, also while they wait for credit.
 * Forbids: reconnecting. A session that ends is reported, and its load with it.
 */
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import {
  type ClientMessage,
  clientMessage,
  ed25519Sign,
  encodeHeader,
  frameHash,
  GrpcDeframer,
  grpcParts,
  headerBytes,
  ingestStreamPath,
  keyIdOf,
  openEpochBytes,
  payloadHash,
  protocolVersions,
  rawPublicKey,
  schemaVersions,
  type ServerMessage,
  serverMessage,
  signHeader,
  zeroHash,
} from "ransomeye-ingestion/protocol";
import { limits } from "ransomeye-kernel";
import type { ProducerIdentity } from "ransomeye-sdk";
import type { LinePool } from "./line_pool.ts";
import { sharedClockUs } from "./worker.ts";

/** What a session tells of a frame that has its receipt. */
export interface Receipted {
  readonly events: number;
  /** Linger under which the frame was gathered. */
  readonly lingerMs: number;
  readonly sealedUs: number;
  readonly receiptUs: number;
}

export interface LoadHandlers {
  receipted(frame: Receipted): void;
  ended(reason: string): void;
}

interface Sealed {
  readonly payload: Buffer;
  readonly count: number;
  readonly lingerMs: number;
  readonly sealedUs: number;
}

interface Underway extends Sealed {
  readonly lastSeq: number;
}

/** Where the next frame follows. */
interface Chain {
  readonly epoch: number;
  readonly seq: number;
  readonly prevEpoch: number;
  readonly prevSeq: number;
  readonly prevHash: Buffer;
}

const signatureBytes = 64;

/** How a session behaves. */
export interface LoadManners {
  /** Sends whatever it has, whether credit covers it or not. */
  readonly ignoresCredit?: boolean;
  /** Source address of the connection, for more of them than one address has ports. */
  readonly from?: string;
}

/** One producer's session. `open` first; then `seal` as often as its events ask for. */
export class LoadSession {
  readonly #identity: ProducerIdentity;
  readonly #handlers: LoadHandlers;
  readonly #manners: LoadManners;
  readonly #http: ClientHttp2Session;
  readonly #keyId: string;
  readonly #deframer = new GrpcDeframer(limits.messageBytesMax);
  readonly #queue: Sealed[] = [];
  readonly #underway: Underway[] = [];
  #stream: ClientHttp2Stream | undefined;
  #opened: ((open: boolean) => void) | undefined;
  #credit = { bytes: 0, events: 0 };
  #spent = { bytes: 0, events: 0 };
  #queued = { bytes: 0, events: 0 };
  #asked = false;
  #chain: Chain = { epoch: 0, seq: 0, prevEpoch: 0, prevSeq: 0, prevHash: zeroHash };
  #over = false;
  lingerMs = 0;

  constructor(
    identity: ProducerIdentity,
    gateway: { readonly host: string; readonly port: number },
    handlers: LoadHandlers,
    manners: LoadManners = {},
  ) {
    const { tlsKeyPem: key, tlsCertPem: cert, caPem: ca, batchKey } = identity;
    this.#identity = identity;
    this.#handlers = handlers;
    this.#manners = manners;
    this.#keyId = keyIdOf(rawPublicKey(batchKey));
    // Who the gateway is does not matter here: the bench has started it. Its certificate must still be our authority's.
    const tls = { key, cert, ca, minVersion: "TLSv1.3", ALPNProtocols: ["h2"], checkServerIdentity: () => undefined } as const;
    this.#http = connect(`https://${gateway.host}:${gateway.port}`, {
      ...tls,
      ...(manners.from === undefined ? {} : { localAddress: manners.from }),
      settings: { enablePush: false },
    });
    this.#http.on("error", (error) => this.#end(error.message));
    this.#http.on("close", () => this.#end("the connection was closed"));
  }

  get waitingEvents(): number {
    return this.#queued.events + this.#underway.reduce((sum, frame) => sum + frame.count, 0);
  }

  get lastSeq(): number {
    return this.#chain.seq;
  }

  /** Resolves when the session has its epoch (true), or has ended without one (false; why, `ended` is told). */
  open(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#opened = resolve;
      this.#http.once("connect", () => {
        if (this.#over) return;
        const stream = this.#http.request({
          ":method": "POST",
          ":path": ingestStreamPath,
          "content-type": "application/grpc",
          te: "trailers",
        });
        this.#stream = stream;
        stream.on("data", (chunk: Buffer) => this.#data(chunk));
        stream.on("error", (error) => this.#end(error.message));
        stream.on("close", () => this.#end("the stream was closed"));
        const pending = { pendingBytes: 0, pendingEvents: 0, oldestPendingUs: 0, clockUs: 0 };
        this.#send({
          kind: "hello",
          protocolVersions,
          schemaVersions,
          epoch: 0,
          nextSeq: 1,
          agent: "bench fleet",
          keyId: Buffer.from(this.#keyId, "hex"),
          ...pending,
        });
      });
    });
  }

  /** `count` events have been gathered: they become a frame, which goes out when credit allows. */
  seal(pool: LinePool, count: number): void {
    const payload = pool.take(count);
    this.#queue.push({ payload, count, lingerMs: this.lingerMs, sealedUs: sharedClockUs() });
    this.#queued.bytes += costOf(payload);
    this.#queued.events += count;
    this.#flush();
  }

  /** From now on reads nothing that the gateway answers. */
  stopReading(): void {
    this.#stream?.pause();
  }

  close(): void {
    this.#over = true;
    this.#http.destroy();
  }

  #flush(): void {
    if (this.#chain.epoch === 0) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const cost = costOf(next.payload);
      const free = { bytes: this.#credit.bytes - this.#spent.bytes, events: this.#credit.events - this.#spent.events };
      if (this.#manners.ignoresCredit !== true && (cost > free.bytes || next.count > free.events)) {
        this.#demand(free, cost);
        return;
      }
      this.#queue.shift();
      this.#queued.bytes -= cost;
      this.#queued.events -= next.count;
      this.#spent.bytes += cost;
      this.#spent.events += next.count;
      this.#sendFrame(next);
    }
  }

  #demand(free: { readonly bytes: number; readonly events: number }, frameBytes: number): void {
    if (this.#asked) return;
    this.#asked = true;
    const oldestUs = sharedClockUs() - (this.#queue[0]?.sealedUs ?? 0);
    this.#send({
      kind: "demand",
      bytes: Math.max(0, this.#queued.bytes - free.bytes),
      events: Math.max(0, this.#queued.events - free.events),
      oldestUs,
      frameBytes,
    });
  }

  #sendFrame(sealed: Sealed): void {
    const { payload, count } = sealed;
    const chain = this.#chain;
    const lastSeq = chain.seq + count;
    const header = encodeHeader({
      producer: this.#identity.producer,
      keyId: this.#keyId,
      kind: "events",
      codec: 0,
      schemaVersion: schemaVersions[0] ?? 1,
      mappingVersion: 0,
      epoch: chain.epoch,
      firstSeq: chain.seq + 1,
      count,
      offered: lastSeq + this.#queued.events,
      prevEpoch: chain.prevEpoch,
      prevSeq: chain.prevSeq,
      prevHash: chain.prevHash,
      payloadHash: payloadHash(payload),
      payloadBytes: payload.length,
    });
    this.#chain = { epoch: chain.epoch, seq: lastSeq, prevEpoch: chain.epoch, prevSeq: lastSeq, prevHash: frameHash(header) };
    this.#underway.push({ ...sealed, lastSeq });
    this.#send({ kind: "frame", header, signature: signHeader(header, this.#identity.batchKey), payload });
  }

  #send(message: ClientMessage): void {
    const stream = this.#stream;
    if (stream === undefined || this.#over) return;
    stream.cork();
    for (const part of grpcParts(clientMessage.encode(message))) stream.write(part);
    stream.uncork();
  }

  #data(chunk: Buffer): void {
    const deframed = this.#deframer.push(chunk);
    if (deframed.kind === "refused") {
      this.#end(deframed.detail);
      return;
    }
    for (const bytes of deframed.messages) {
      const message = serverMessage.decode(bytes);
      if (message.kind === "refused") this.#end(message.detail);
      else this.#message(message.value);
    }
  }

  #message(message: ServerMessage): void {
    switch (message.kind) {
      case "welcome": {
        this.lingerMs = message.lingerMs;
        this.#credit = { bytes: message.creditBytesTotal, events: message.creditEventsTotal };
        const { head, sessionNonce } = message;
        const signature = ed25519Sign(openEpochBytes(this.#identity.producer, head.epoch, sessionNonce), this.#identity.batchKey);
        const keyId = Buffer.from(this.#keyId, "hex");
        this.#send({ kind: "openEpoch", expectedEpoch: head.epoch, keyId, signature, sessionNonce });
        return;
      }
      case "epochOpened":
        {
          const { epoch, prevEpoch, prevSeq, prevHash } = message;
          this.#chain = { epoch, seq: 0, prevEpoch, prevSeq, prevHash };
        }
        this.#opened?.(true);
        this.#flush();
        return;
      case "credit":
        this.lingerMs = message.lingerMs;
        this.#credit = { bytes: message.bytesTotal, events: message.eventsTotal };
        this.#asked = false;
        this.#flush();
        return;
      case "receipt":
        this.#receipt(message.durableSeq);
        return;
      case "reject":
      case "goodbye":
        this.#end(`${message.kind} ${message.code}: ${message.message}`);
        return;
      default:
    }
  }

  #receipt(durableSeq: number): void {
    const receiptUs = sharedClockUs();
    for (let first = this.#underway[0]; first !== undefined && first.lastSeq <= durableSeq; first = this.#underway[0]) {
      this.#underway.shift();
      this.#handlers.receipted({ events: first.count, lingerMs: first.lingerMs, sealedUs: first.sealedUs, receiptUs });
    }
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.close();
    this.#handlers.ended(reason);
    this.#opened?.(false);
  }
}

function costOf(payload: Buffer): number {
  return payload.length + frameOverheadBytes;
}

/** Header and signature of every frame. */
const frameOverheadBytes = headerBytes + signatureBytes;
