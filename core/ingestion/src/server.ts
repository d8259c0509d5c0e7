/**
 * The listener: TLS and HTTP/2 around streams.
 *
 * Why: what stands on a hostile network is a thin shell with a bound on everything, so that the heart sees only authenticated streams.
 * Enforces: step 1 at the opening of each stream, on the certificate that TLS has verified in a full handshake; path, method and content type;
 *   what a connection may cost before and beside its session is bounded (connections.ts), and its holder answers for it.
 * Forbids: any other way to open a session.
 */
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Clock, Random } from "ransomeye-kernel";
import type { TransportSettings } from "../config/transport.ts";
import type { IngestCode } from "../errors/ingest_errors.ts";
import { ingestStreamPath } from "../protocol/lib.ts";
import { certificateFacts, type Identified, identify, type Identity } from "../security/identity.ts";
import { authenticate, standingFault } from "./auth.ts";
import { Connections, lookMs } from "./connections.ts";
import { type Door, type ListenAt, openDoor } from "./door.ts";
import { type PeerBounds, PeerStream, refuseRequest } from "./peer_stream.ts";
import type { ProducerDirectory } from "./ports.ts";
import { handshakeCode, http2Code, secureContext, serverOptions, type TlsMaterial } from "./tls.ts";

/** What the listener hands on. */
export interface ServerEvents {
  /** A stream whose peer has been authenticated. */
  opened(stream: PeerStream, identity: Identity, address: string): void;
  /** Somebody was refused before a session. */
  turnedAway(code: IngestCode, producer: string | undefined): void;
  /** A shared port was let go because this process has its share (door.ts). */
  full?(): void;
}

/** What the listener needs. */
export interface ServerOptions {
  readonly listen: ListenAt;
  readonly tls: TlsMaterial;
  readonly trustDomain: string;
  readonly registryFreshMsMax: number;
  readonly transport: TransportSettings;
  readonly bounds: PeerBounds;
  readonly directory: ProducerDirectory;
  /** Whether connections of this producer end with their handshake. */
  readonly barred: (producer: string) => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/** A listening server. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly door: Pick<Door, "connections" | "accepting">;
  /** Open connections, in whatever state. */
  readonly connections: number;
  /** Those in their handshake, as far as they are limited. */
  readonly handshakes: number;
  /** Takes over another key, certificate and authorities for the handshakes to come; open connections live on. Throws what cannot be used. */
  reload(tls: TlsMaterial): void;
  /** Takes no more connections; open ones live on. */
  stop(): void;
  /** Closes everything now. */
  destroy(): void;
}

/** Bytes of randomness behind the accounts of source networks. */
const saltBytes = 32;

/** Starts to listen; rejects with INGEST_LISTEN_FAILED. */
export async function listen(options: ServerOptions, events: ServerEvents): Promise<Listener> {
  const { transport, clock, random } = options;
  const server = createSecureServer(serverOptions(options.tls));
  const connections = new Connections(transport, {
    clock,
    salt: random.bytes(saltBytes),
    begin: (socket) => server.emit("connection", socket),
    turnedAway: (code, identity) => events.turnedAway(code, accountable(identity, options)),
    barred: options.barred,
  });

  server.on("tlsClientError", (error: Error & { code?: string }, socket: TLSSocket) => {
    // Node's types call it an Error; it is the code that OpenSSL's verdict has.
    const verdict = socket.authorizationError as unknown;
    // Without a verdict the peer has left, or our own deadline has struck, which is counted there: nobody was refused by TLS.
    if (error.code === "ECONNRESET" && typeof verdict !== "string") return;
    events.turnedAway(handshakeFault(error, verdict), undefined);
  });
  server.on("unknownProtocol", (socket: TLSSocket) => {
    events.turnedAway("INGEST_TLS_REFUSED", undefined);
    socket.destroy();
  });
  server.prependListener("secureConnection", (socket) => connections.secured(socket, identified(socket, options.trustDomain)));
  server.on("session", (session) => {
    connections.established(session);
    session.on("error", (error: Error & { code?: string; errno?: number }) => {
      const code = http2Code(error);
      if (code !== undefined) connections.violated(session, code);
      session.destroy();
    });
  });
  server.on("stream", (stream, headers) => admit(stream, headers, options, events, connections));
  server.on("sessionError", () => undefined);

  // The server itself never listens: TLS begins on those connections that may begin it.
  const door = await openDoor(options.listen, transport.connectionsMax, {
    connection: (socket) => connections.take(socket),
    refused: () => events.turnedAway("INGEST_CONNECTIONS_MAX", undefined),
    full: () => events.full?.(),
  });
  let closed = false;
  const look = (): void => {
    if (closed) return;
    connections.look();
    clock.setTimer(lookMs, look);
  };
  look();
  return {
    host: door.host,
    port: door.port,
    door,
    get connections(): number {
      return connections.count;
    },
    get handshakes(): number {
      return connections.handshakes;
    },
    reload: (tls) => server.setSecureContext(secureContext(tls)),
    stop: () => door.close(),
    destroy(): void {
      closed = true;
      door.close();
      connections.destroy();
    },
  };
}

function admit(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: ServerOptions,
  events: ServerEvents,
  connections: Connections,
): void {
  const { session } = stream;
  const asked = connections.request(session);
  if (asked.kind === "refused") return refuseRequest(stream, asked.code);
  const refuse = (code: IngestCode, producer?: string): void => {
    events.turnedAway(code, producer);
    refuseRequest(stream, code);
  };
  if (!isOurMethod(headers)) return refuse("INGEST_PATH_UNKNOWN");
  const authenticated = authenticate(asked.identified, options.directory, options, options.clock.nowUs());
  if (authenticated.kind === "refused") return refuse(authenticated.code, authenticated.producer);
  const peer = new PeerStream(stream, options.clock, options.bounds);
  connections.conversing(session, peer);
  events.opened(peer, authenticated.identity, session?.socket.remoteAddress ?? "");
}

/** Whom a completed handshake names. */
function identified(socket: TLSSocket, trustDomain: string): Identified {
  const der = socket.authorized && !socket.isSessionReused() ? socket.getPeerX509Certificate()?.raw : undefined;
  return der === undefined ? { kind: "refused", code: "INGEST_CERT_MISSING" } : identify(certificateFacts(der), trustDomain);
}

/**
 * The producer that answers for what was done under its certificate without a session. Only while it has its standing: whoever holds a certificate that
 * has been taken away must not lock its producer out, who has another by now.
 */
function accountable(identity: Identity | undefined, { directory, clock }: ServerOptions): string | undefined {
  if (identity === undefined) return undefined;
  const { producer } = identity;
  return standingFault(identity, directory.lookup(producer), clock.nowUs()) === undefined ? producer : undefined;
}

function isOurMethod(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"] ?? "";
  const encoding = headers["grpc-encoding"] ?? "identity";
  return (
    headers[":method"] === "POST" &&
    headers[":path"] === ingestStreamPath &&
    (type === "application/grpc" || type.startsWith("application/grpc+proto")) &&
    encoding === "identity"
  );
}

function handshakeFault(error: { readonly code?: string }, verdict: unknown): IngestCode {
  return handshakeCode(error.code, typeof verdict === "string" ? verdict : undefined);
}
