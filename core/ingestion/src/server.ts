/**
 * The listener: TLS and HTTP/2 around streams.
 *
 * Why: what stands on a hostile network is a thin shell with a bound on everything, so that the heart sees only authenticated streams.
 * Enforces: step 1 at the opening of each stream, on the certificate that TLS has verified in a full handshake; path, method and content type;
 *   connections, handshake time, and the time from a connection to its stream are bounded.
 * Forbids: any other way to open a session.
 */
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Clock } from "ransomeye-kernel";
import type { IngestCode } from "../errors/ingest_errors.ts";
import { ingestStreamPath } from "../protocol/lib.ts";
import { certificateFacts, type Identity } from "../security/identity.ts";
import { authenticate } from "./auth.ts";
import { type Door, type ListenAt, openDoor } from "./door.ts";
import { type PeerBounds, PeerStream, refuseRequest } from "./peer_stream.ts";
import type { ProducerDirectory } from "./ports.ts";
import { handshakeCode, secureContext, serverOptions, type TlsMaterial } from "./tls.ts";

/** What the listener hands on. */
export interface ServerEvents {
  /** A stream whose peer has been authenticated. */
  opened(stream: PeerStream, identity: Identity): void;
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
  readonly connectionsMax: number;
  readonly handshakeMsMax: number;
  /** From a connection to its stream. */
  readonly streamMsMax: number;
  readonly bounds: PeerBounds;
  readonly directory: ProducerDirectory;
  readonly clock: Clock;
}

/** A listening server. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly door: Pick<Door, "connections" | "accepting">;
  /** Open HTTP/2 connections. */
  readonly connections: number;
  /** Takes over another key, certificate and authorities for the handshakes to come; open connections live on. Throws what cannot be used. */
  reload(tls: TlsMaterial): void;
  /** Takes no more connections; open ones live on. */
  stop(): void;
  /** Closes everything now. */
  destroy(): void;
}

/** Starts to listen; rejects with INGEST_LISTEN_FAILED. */
export async function listen(options: ServerOptions, events: ServerEvents): Promise<Listener> {
  const server = createSecureServer(serverOptions(options.tls, options.handshakeMsMax));
  const sessions = new Set<ServerHttp2Session>();

  server.on("tlsClientError", (error: Error & { code?: string }, socket: TLSSocket) => {
    // Node's types call it an Error; it is the code that OpenSSL's verdict has.
    const verdict = socket.authorizationError as unknown;
    events.turnedAway(handshakeFault(error, verdict), undefined);
  });
  server.on("unknownProtocol", (socket: TLSSocket) => {
    events.turnedAway("INGEST_TLS_REFUSED", undefined);
    socket.destroy();
  });
  server.on("session", (session) => {
    sessions.add(session);
    const timer = options.clock.setTimer(options.streamMsMax, () => {
      events.turnedAway("INGEST_HELLO_TIMEOUT", undefined);
      session.destroy();
    });
    session.once("stream", () => timer.cancel());
    session.once("close", () => {
      timer.cancel();
      sessions.delete(session);
    });
    // An HTTP/2 error ends this connection; its stream, where there is one, is told by its own events.
    session.on("error", () => session.destroy());
  });
  server.on("stream", (stream, headers) => admit(stream, headers, options, events));
  server.on("sessionError", () => undefined);

  // The server itself never listens: TLS begins on what comes through the door.
  const door = await openDoor(options.listen, options.connectionsMax, {
    connection: (socket) => server.emit("connection", socket),
    full: () => events.full?.(),
  });
  return {
    host: door.host,
    port: door.port,
    door,
    get connections(): number {
      return sessions.size;
    },
    reload: (tls) => server.setSecureContext(secureContext(tls)),
    stop: () => door.close(),
    destroy(): void {
      door.close();
      for (const session of sessions) session.destroy();
    },
  };
}

function admit(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ServerOptions, events: ServerEvents): void {
  const refuse = (code: IngestCode, producer?: string): void => {
    events.turnedAway(code, producer);
    refuseRequest(stream, code);
  };
  if (!isOurMethod(headers)) return refuse("INGEST_PATH_UNKNOWN");
  const socket = stream.session?.socket as TLSSocket | undefined;
  const der = socket?.authorized === true && !socket.isSessionReused() ? socket.getPeerX509Certificate()?.raw : undefined;
  if (der === undefined) return refuse("INGEST_CERT_MISSING");
  const authenticated = authenticate(certificateFacts(der), options.directory, options, options.clock.nowUs());
  if (authenticated.kind === "refused") return refuse(authenticated.code, authenticated.producer);
  events.opened(new PeerStream(stream, options.clock, options.bounds), authenticated.identity);
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
