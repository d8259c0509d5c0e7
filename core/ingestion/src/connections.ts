/**
 * Connections from accept to end.
 *
 * Why: most of what a hostile peer can do costs the gate something before a session exists, or beside it, inside the TLS and HTTP/2 libraries.
 * Enforces: no byte of TLS before the source network's share of handshakes allows it; a handshake and the wait for a conversation end within
 *   their time; one conversation and few requests a connection; bytes that carry no message are bounded, whatever they are; a message and the
 *   reading of our answers make progress. Each bound has a code of its own.
 * Forbids: a timer for each connection: they are looked at in turn, a bounded number at each look.
 */
import { constants, type Http2Session } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "ransomeye-kernel";
import type { TransportSettings } from "../config/transport.ts";
import type { IngestCode } from "../errors/ingest_errors.ts";
import type { Identified, Identity } from "../security/identity.ts";
import { Handshakes, type HandshakeTicket } from "./handshakes.ts";
import type { PeerStream } from "./peer_stream.ts";
import { TransportAllowance } from "./transport_allowance.ts";

interface Connection {
  readonly socket: Socket;
  readonly allowance: TransportAllowance;
  /** Until the handshake has ended. */
  ticket: HandshakeTicket | undefined;
  session: Http2Session | undefined;
  /** Once the handshake has succeeded. From then on it owns the descriptor: a TCP socket that is destroyed under it never closes. */
  secure: TLSSocket | undefined;
  /** Whom its certificate names, once the handshake has succeeded. */
  identified: Identified | undefined;
  /** Its one conversation, also when that has ended. */
  peer: PeerStream | undefined;
  /** Since when it is without a conversation, or in its handshake. */
  sinceMs: number;
  requests: number;
  /** It has been told to end; what is left of it at the next look is reset. */
  ended: boolean;
}

/** What connections are made with. */
export interface ConnectionPorts {
  readonly clock: Clock;
  /** Fresh randomness for the accounts of source networks. */
  readonly salt: Buffer;
  /** Begins TLS. */
  begin(socket: Socket): void;
  /** Somebody was refused outside a conversation; whose certificate it was, where that is known. */
  turnedAway(code: IngestCode, identity: Identity | undefined): void;
  /** Whether a producer was refused in words so often that its connections end with their handshake. */
  barred(producer: string): boolean;
}

/** Whether a request may become a conversation: who asks, or why not. */
export type Asked =
  | { readonly kind: "mayConverse"; readonly identified: Identified }
  | { readonly kind: "refused"; readonly code: IngestCode };

/** Time between two looks. */
export const lookMs = 100;
/** In how many looks each connection is looked at once: a tenth of them at a time takes a millisecond or two of twenty thousand. */
const looksPerRound = 10;
/** Connections that every look has time for: of few each is looked at in every look, so that a flood ends sooner. */
const lookedAtMin = 500;

/** All connections of one listener. */
export class Connections {
  readonly #settings: TransportSettings;
  readonly #ports: ConnectionPorts;
  readonly #handshakes: Handshakes;
  readonly #open = new Map<string, Connection>();
  readonly #bySession = new WeakMap<Http2Session, Connection>();
  #round = noConnections();

  constructor(settings: TransportSettings, ports: ConnectionPorts) {
    const { handshakesPerSource: perSource, handshakesOpenMax: openMax, handshakeRanges: ranges } = settings;
    this.#settings = settings;
    this.#ports = ports;
    this.#handshakes = new Handshakes({ perSource, openMax, ranges }, ports.salt);
  }

  get count(): number {
    return this.#open.size;
  }

  get handshakes(): number {
    return this.#handshakes.open;
  }

  /** A connection has been accepted. What may not begin is reset, which leaves nothing behind on either side. */
  take(socket: Socket): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return void socket.destroy();
    const answer = this.#handshakes.begin(remoteAddress, nowMs);
    if (answer.kind === "refused") {
      this.#ports.turnedAway(answer.code, undefined);
      socket.resetAndDestroy();
      return;
    }
    const connection: Connection = {
      socket,
      allowance: new TransportAllowance(this.#settings.allowance, nowMs),
      ticket: answer.ticket,
      session: undefined,
      secure: undefined,
      identified: undefined,
      peer: undefined,
      sinceMs: nowMs,
      requests: 0,
      ended: false,
    };
    const name = nameOf(socket);
    this.#open.set(name, connection);
    socket.once("close", () => {
      this.#open.delete(name);
      // An iterator that nobody moves on keeps what its map had when it last looked.
      if (this.#open.size === 0) this.#round = noConnections();
      this.#endHandshake(connection);
    });
    this.#ports.begin(socket);
  }

  /** The handshake has succeeded. */
  secured(secure: TLSSocket, identified: Identified): void {
    const connection = this.#open.get(nameOf(secure));
    if (connection === undefined) return void secure.destroy();
    connection.secure = secure;
    connection.identified = identified;
  }

  /** HTTP/2 begins. */
  established(session: Http2Session): void {
    const connection = this.#open.get(nameOf(session.socket));
    if (connection === undefined) return session.destroy();
    this.#endHandshake(connection);
    connection.session = session;
    connection.sinceMs = this.#ports.clock.monotonicMs();
    this.#bySession.set(session, connection);
    const { identified } = connection;
    if (identified?.kind !== "identified" || !this.#ports.barred(identified.identity.producer)) return;
    this.#refuse(connection, "INGEST_QUARANTINED");
    cutOff(connection);
  }

  /** A request arrives. Counts it where it may not become a conversation, and ends the connection where it makes too many. */
  request(session: Http2Session | undefined): Asked {
    const connection = session === undefined ? undefined : this.#bySession.get(session);
    const identified = connection?.identified;
    if (connection === undefined || identified === undefined) return this.#refuse(connection, "INGEST_PROTOCOL_VIOLATION");
    connection.requests += 1;
    if (connection.requests === this.#settings.requestsMax + 1) this.#end(connection);
    const tooMany = connection.peer !== undefined || connection.requests > this.#settings.requestsMax;
    return tooMany ? this.#refuse(connection, "INGEST_REQUESTS_MAX") : { kind: "mayConverse", identified };
  }

  /** The HTTP/2 library ends the connection, because its peer has broken a rule that the library knows. A conversation has heard so already, and counts it. */
  violated(session: Http2Session, code: IngestCode): void {
    const connection = this.#bySession.get(session);
    if (connection?.peer === undefined) this.#refuse(connection, code);
    else connection.peer.breakOff(code);
  }

  /** The connection has its conversation. */
  conversing(session: Http2Session | undefined, peer: PeerStream): void {
    const connection = session === undefined ? undefined : this.#bySession.get(session);
    if (connection !== undefined) connection.peer = peer;
  }

  /** Looks at the next of them. */
  look(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const { size } = this.#open;
    for (let left = Math.max(Math.ceil(size / looksPerRound), Math.min(size, lookedAtMin)); left > 0; left -= 1) {
      let next = this.#round.next();
      if (next.done === true) {
        this.#round = this.#open.values();
        next = this.#round.next();
      }
      if (next.done !== true) this.#judge(next.value, nowMs);
    }
  }

  /** Ends all of them now. */
  destroy(): void {
    for (const connection of this.#open.values()) {
      connection.session?.destroy();
      cutOff(connection);
    }
  }

  #judge(connection: Connection, nowMs: number): void {
    const { peer, socket, ticket, allowance, sinceMs } = connection;
    const { handshakeMsMax, idleMsMax, farewellMsMax } = this.#settings;
    // HTTP/2 would wait for the other side's end, and the other side may be what we want to be rid of.
    if (connection.ended) return cutOff(connection);
    if (!allowance.covers(socket.bytesRead, peer?.receivedBytes ?? 0, nowMs)) return this.#cut(connection, "INGEST_TRANSPORT_FLOOD");
    if (ticket !== undefined) {
      if (nowMs - sinceMs > handshakeMsMax) this.#cut(connection, "INGEST_HANDSHAKE_TIMEOUT");
      return;
    }
    if (peer !== undefined && !peer.over) {
      connection.sinceMs = nowMs;
      const code = peer.stalled(nowMs);
      if (code !== undefined) peer.breakOff(code);
      return;
    }
    if (peer !== undefined) {
      // Nobody is refused here: its conversation has its code, and the peer has had time to read it.
      if (nowMs - sinceMs > farewellMsMax) this.#end(connection);
    } else if (nowMs - sinceMs > idleMsMax) this.#cut(connection, "INGEST_HELLO_TIMEOUT");
  }

  /** Counts the code, through the conversation where there is one, and ends the connection. */
  #cut(connection: Connection, code: IngestCode): void {
    const { peer } = connection;
    if (peer !== undefined && !peer.over) peer.breakOff(code);
    else this.#refuse(connection, code);
    this.#end(connection);
  }

  #refuse(connection: Connection | undefined, code: IngestCode): Extract<Asked, { kind: "refused" }> {
    const { identified } = connection ?? {};
    this.#ports.turnedAway(code, identified?.kind === "identified" ? identified.identity : undefined);
    return { kind: "refused", code };
  }

  /** The peer is told to calm down, once what it has been told before is on its way. */
  #end(connection: Connection): void {
    const { session } = connection;
    if (session === undefined) return cutOff(connection);
    connection.ended = true;
    setImmediate(() => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM));
  }

  #endHandshake(connection: Connection): void {
    if (connection.ticket !== undefined) this.#handshakes.end(connection.ticket);
    connection.ticket = undefined;
  }
}

function noConnections(): Iterator<Connection> {
  return [].values();
}

/** Ends a connection now, whatever its other side does. */
function cutOff({ secure, socket }: Connection): void {
  if (secure === undefined) socket.resetAndDestroy();
  else secure.destroy();
}

/** TLS and TCP socket of one connection have the same ends, and Node offers no way from one to the other. */
function nameOf({ remoteAddress, remotePort, localAddress }: Pick<Socket, "remoteAddress" | "remotePort" | "localAddress">): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
