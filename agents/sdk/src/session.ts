/**
 * Why: one bidirectional gRPC stream over HTTP/2 and mutual TLS 1.3, spoken over node:http2 itself.
 * Enforces: the server's certificate chains to our authority and names a gateway of our trust domain in its one URI SAN; deadlines for connecting and
 *   for Welcome; a peer that answers no ping is gone; writes respect the stream's window; every end is told once, with a code.
 * Forbids: trust by host name: addresses may be anything, identity is the SPIFFE id.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { isIPv6 } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import { type Clock, limits, type Timer } from "ransomeye-kernel";
import {
  type ClientMessage,
  clientMessage,
  GrpcDeframer,
  grpcParts,
  ingestStreamPath,
  parseSpiffeId,
  type ServerMessage,
  serverMessage,
} from "ransomeye-ingestion/protocol";
import { certificatesOf, chainFault, presentedChain } from "./chain_check.ts";
import { type SdkCode, SdkError } from "./codes.ts";

export interface SessionOptions {
  readonly host: string;
  readonly port: number;
  readonly tlsKeyPem: string;
  readonly tlsCertPem: string;
  readonly caPem: string;
  readonly trustDomain: string;
  /** How far this host's clock is behind signed time; then dates are judged by that, else as OpenSSL does. */
  readonly offsetUs: number | undefined;
  /** From the call to the first message of the gateway. */
  readonly connectMs: number;
  /** Between pings while there is something to say, and for the answer to one; a quiet session pings a few times less often. */
  readonly pingMs: number;
  readonly clock: Clock;
}

/** What a session tells; nothing any more after `closed`, or after `Session.close`. */
export interface SessionHandlers {
  connected(): void;
  message(message: ServerMessage): void;
  /** There is room for another message after `send` returned false. */
  writable(): void;
  closed(code: SdkCode, detail: string): void;
}

/** An open, or opening, session. */
export class Session {
  readonly #options: SessionOptions;
  readonly #handlers: SessionHandlers;
  readonly #http: ClientHttp2Session;
  readonly #deframer = new GrpcDeframer(limits.messageBytesMax);
  #stream: ClientHttp2Stream | undefined;
  #deadline: Timer;
  #ping: Timer | undefined;
  #connected = false;
  /** Something was sent since the peer last answered a ping. */
  #spoken = false;
  /** Times that a ping was left out since then. */
  #quiet = 0;
  #over = false;
  #status: { readonly code: string; readonly message: string } | undefined;

  constructor(options: SessionOptions, handlers: SessionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const authority = `https://${isIPv6(options.host) ? `[${options.host}]` : options.host}:${options.port}`;
    this.#http = connect(authority, {
      key: options.tlsKeyPem,
      cert: options.tlsCertPem,
      ca: options.caPem,
      minVersion: "TLSv1.3",
      // With an offset OpenSSL's verdict is not the last word: `#open` judges before a byte of ours is written.
      rejectUnauthorized: options.offsetUs === undefined,
      ALPNProtocols: ["h2"],
      settings: { enablePush: false },
      checkServerIdentity: (_host, certificate) => serverIdentityFault(certificate, options.trustDomain),
    });
    this.#deadline = options.clock.setTimer(options.connectMs, () =>
      this.#end("SDK_CONNECT_TIMEOUT", `no Welcome within ${options.connectMs} ms`),
    );
    this.#http.on("error", (error) => this.#end(this.#codeOf(error), error.message));
    this.#http.on("close", () => this.#end(this.#connected ? "SDK_DISCONNECTED" : "SDK_CONNECT_FAILED", "the connection was closed"));
    this.#http.once("connect", () => this.#open());
  }

  /** Queues a message; false where the transport has no room for a further one until `writable`. */
  send(message: ClientMessage): boolean {
    const stream = this.#stream;
    if (this.#over || stream === undefined || !stream.writable) return false;
    stream.cork();
    for (const part of grpcParts(clientMessage.encode(message))) stream.write(part);
    stream.uncork();
    this.#spoken = true;
    return !stream.writableNeedDrain;
  }

  /** Ends the session without a further word to its handlers. `polite`: what was queued is still written. */
  close(polite: boolean): void {
    if (this.#over) return;
    this.#finish();
    if (!polite || this.#stream === undefined || this.#stream.destroyed) {
      this.#http.destroy();
      return;
    }
    const giveUp = this.#options.clock.setTimer(politeMs, () => this.#http.destroy());
    this.#stream.once("close", () => {
      giveUp.cancel();
      this.#http.destroy();
    });
    this.#stream.end();
  }

  #open(): void {
    if (this.#over) return;
    const fault = this.#serverFault();
    if (fault !== undefined) return this.#end(fault.code, fault.message);
    const stream = this.#http.request({ ":method": "POST", ":path": ingestStreamPath, "content-type": "application/grpc", te: "trailers" });
    this.#stream = stream;
    this.#connected = true;
    stream.on("response", (headers) => this.#response(headers));
    stream.on("trailers", (headers) => this.#noteStatus(headers));
    stream.on("data", (chunk: Buffer) => this.#data(chunk));
    stream.on("drain", () => {
      if (!this.#over) this.#handlers.writable();
    });
    stream.on("error", (error) => this.#end("SDK_DISCONNECTED", error.message));
    stream.on("close", () =>
      this.#end(
        "SDK_DISCONNECTED",
        this.#status === undefined ? `stream closed (${stream.rstCode})` : `gRPC status ${this.#status.code}: ${this.#status.message}`,
      ),
    );
    this.#schedulePing();
    this.#handlers.connected();
  }

  /** Where OpenSSL was not asked to refuse: why this server is not believed, at the signed time. */
  #serverFault(): SdkError | undefined {
    const { offsetUs, caPem, clock, trustDomain } = this.#options;
    const socket = this.#http.socket as TLSSocket;
    if (offsetUs === undefined) return undefined;
    const chain = presentedChain(socket);
    const fault = socket.authorized ? undefined : chainFault(chain, certificatesOf(caPem), clock.nowUs() + offsetUs);
    if (fault === "dates") return new SdkError("SDK_SERVER_DATES", "the gateway's certificate is not valid at the registry's time either");
    if (fault !== undefined) return new SdkError("SDK_SERVER_IDENTITY", `the gateway's certificate is not believed (${fault})`);
    return serverIdentityFault({ subjectaltname: chain[0]?.subjectAltName ?? "" }, trustDomain);
  }

  #codeOf(error: Error & { readonly code?: string }): SdkCode {
    if (error instanceof SdkError) return error.code;
    if (this.#connected) return "SDK_DISCONNECTED";
    return error.code === "CERT_HAS_EXPIRED" || error.code === "CERT_NOT_YET_VALID" ? "SDK_SERVER_DATES" : "SDK_CONNECT_FAILED";
  }

  #response(headers: IncomingHttpHeaders & { readonly ":status"?: number | undefined }): void {
    this.#noteStatus(headers);
    if (headers[":status"] !== constants.HTTP_STATUS_OK || !headers["content-type"]?.startsWith("application/grpc")) {
      this.#end("SDK_PROTOCOL", `not a gRPC answer: HTTP status ${String(headers[":status"])}`);
    }
  }

  #noteStatus(headers: IncomingHttpHeaders): void {
    const code = headers["grpc-status"];
    if (code !== undefined) this.#status = { code: String(code), message: decodeMessage(String(headers["grpc-message"] ?? "")) };
  }

  #data(chunk: Buffer): void {
    const deframed = this.#deframer.push(chunk);
    if (deframed.kind === "refused") {
      this.#end("SDK_PROTOCOL", deframed.detail);
      return;
    }
    for (const bytes of deframed.messages) {
      if (this.#over) return;
      this.#deadline.cancel();
      const message = serverMessage.decode(bytes);
      if (message.kind === "refused") this.#end("SDK_PROTOCOL", message.detail);
      else this.#handlers.message(message.value);
    }
  }

  /** Half-open connections look alive from this side: only an answer counts. Where nothing was said, nothing can be lost, and the pings of a whole
   *  quiet fleet would keep its gateways busy. */
  #schedulePing(): void {
    const { clock, pingMs } = this.#options;
    this.#ping = clock.setTimer(pingMs, () => {
      this.#quiet += 1;
      if (!this.#spoken && this.#quiet < quietPings) return this.#schedulePing();
      this.#spoken = false;
      this.#quiet = 0;
      this.#ping = clock.setTimer(pingMs, () => this.#end("SDK_PEER_SILENT", `no answer to a ping within ${pingMs} ms`));
      this.#http.ping((error) => {
        if (error !== null || this.#over) return;
        this.#ping?.cancel();
        this.#schedulePing();
      });
    });
  }

  #end(code: SdkCode, detail: string): void {
    if (this.#over) return;
    this.#finish();
    this.#http.destroy();
    this.#handlers.closed(code, detail);
  }

  #finish(): void {
    this.#over = true;
    this.#deadline.cancel();
    this.#ping?.cancel();
  }
}

const politeMs = 2_000;
/** A quiet session pings once in so many times. */
const quietPings = 3;

/** Why this certificate is not a gateway of ours; undefined where it is. */
export function serverIdentityFault(certificate: Pick<PeerCertificate, "subjectaltname">, trustDomain: string): SdkError | undefined {
  const names = (certificate.subjectaltname ?? "").split(", ").filter((name) => name.startsWith("URI:"));
  const id = names.length === 1 ? parseSpiffeId(names[0]?.slice("URI:".length) ?? "") : undefined;
  if (id?.role === "gateway" && id.trustDomain === trustDomain) return undefined;
  return new SdkError("SDK_SERVER_IDENTITY", `the certificate does not name a gateway of ${trustDomain}`);
}

/** grpc-message is percent-encoded; one that is not well-formed is shown as it came. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
