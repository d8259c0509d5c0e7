/**
 * Why: a hostile test needs a client that says whatever it is told, byte by byte if need be; the SDK is too polite for that.
 * Enforces: the transport of the contract and nothing else; what the server says is kept in order.
 * Forbids: use outside tests.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import {
  type ClientMessage,
  clientMessage,
  GrpcDeframer,
  grpcParts,
  type Hello,
  ingestStreamPath,
  protocolVersions,
  schemaVersions,
  type ServerMessage,
  serverMessage,
} from "ransomeye-ingestion/protocol";

type Kind = ServerMessage["kind"];
type Of<K extends Kind> = Extract<ServerMessage, { readonly kind: K }>;

/** How a conversation ended: the trailers' status and text, and the error where the connection broke. */
export interface Ending {
  readonly grpcStatus: number | undefined;
  /** `INGEST_…: meaning`, or empty. */
  readonly grpcMessage: string;
  /** The code out of it. */
  readonly code: string;
  readonly error: string | undefined;
}

export interface ClientOptions {
  readonly port: number;
  readonly ca: string;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Headers of the request beside those that the contract asks for, or in their place. */
  readonly headers?: OutgoingHttpHeaders;
}

/** A Hello with nothing in particular. */
export function plainHello(change: Partial<Hello> = {}): Extract<ClientMessage, { kind: "hello" }> {
  return {
    kind: "hello",
    protocolVersions,
    schemaVersions,
    epoch: 0,
    nextSeq: 1,
    pendingBytes: 0,
    pendingEvents: 0,
    oldestPendingUs: 0,
    agent: "test",
    clockUs: 0,
    keyId: Buffer.alloc(8),
    ...change,
  };
}

/** One stream of one connection. */
export class TestClient {
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
  /** Everything that the server said. */
  readonly heard: ServerMessage[] = [];
  readonly ended: Promise<Ending>;
  #taken = 0;
  #waiting: (() => void)[] = [];
  #over = false;

  constructor(options: ClientOptions) {
    const { port, ca, cert, key } = options;
    this.session = connect(`https://127.0.0.1:${port}`, {
      ca,
      ...(cert === undefined ? {} : { cert, key }),
      checkServerIdentity: () => undefined,
      // A hostile client's own OpenSSL objects to nothing.
      ciphers: "DEFAULT:@SECLEVEL=0",
    });
    let error: string | undefined;
    this.session.on("error", (cause: Error & { code?: string }) => {
      error ??= cause.code ?? cause.name;
    });
    this.stream = this.session.request(
      { ":method": "POST", ":path": ingestStreamPath, "content-type": "application/grpc", te: "trailers", ...options.headers },
      { endStream: false },
    );
    const deframer = new GrpcDeframer(1 << 20);
    let final: IncomingHttpHeaders = {};
    this.stream.on("response", (headers) => {
      if (headers["grpc-status"] !== undefined) final = headers;
    });
    this.stream.on("trailers", (headers) => {
      final = headers;
    });
    this.stream.on("data", (chunk: Buffer) => {
      const deframed = deframer.push(chunk);
      if (deframed.kind === "refused") throw new Error(deframed.detail);
      for (const bytes of deframed.messages) {
        const decoded = serverMessage.decode(bytes);
        if (decoded.kind === "refused") throw new Error(decoded.detail);
        this.heard.push(decoded.value);
      }
      this.#wake();
    });
    this.stream.on("error", (cause: Error & { code?: string }) => {
      error ??= cause.code ?? cause.name;
    });
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        if (this.#over) return;
        this.#over = true;
        const status = final["grpc-status"];
        const grpcMessage = decodeURIComponent(String(final["grpc-message"] ?? ""));
        resolve({
          grpcStatus: status === undefined ? undefined : Number(status),
          grpcMessage,
          code: grpcMessage.split(":")[0] ?? "",
          error,
        });
        this.#wake();
      };
      this.stream.on("close", end);
      this.session.on("close", end);
    });
  }

  say(message: ClientMessage): void {
    this.stream.write(Buffer.concat(grpcParts(clientMessage.encode(message))));
  }

  /** Bytes as they are. */
  sayRaw(bytes: Buffer): void {
    this.stream.write(bytes);
  }

  /** The next message of one of these kinds; others before it are passed over (they stay in `heard`). Rejects when the conversation ends first. */
  async next<K extends Kind>(...kinds: readonly K[]): Promise<Of<K>> {
    for (;;) {
      while (this.#taken < this.heard.length) {
        const message = this.heard[this.#taken++];
        if (message !== undefined && kinds.some((kind) => kind === message.kind)) return message as Of<K>;
      }
      if (this.#over)
        throw new Error(
          `ended before ${kinds.join(" or ")}: ${JSON.stringify({ ...(await this.ended), heard: this.heard.map((m) => m.kind) })}`,
        );
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  close(): void {
    this.session.destroy();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
