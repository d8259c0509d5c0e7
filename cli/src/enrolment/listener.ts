/**
 * Why it exists: agents reach the registry over the network, and so does everybody else.
 * Enforces: TLS 1.3 without tickets; bounds on connections, handshakes, headers, bodies, requests on a connection and the time of each; one source
 * address opens only so many connections; what goes on to the desk is a small, complete request with the binding of its connection.
 * Forbids: decisions, and secrets in logs: bodies are not logged at all.
 */
import { constants } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import { channelBinding, ENROL_CODES, enrolmentBodyBytesMax, enrolmentPaths } from "ransomeye-ingestion/protocol";
import { type Clock, type Lifetime, parseAddress, type Telemetry } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { enrolmentAnswered, enrolmentListening, enrolmentTurnedAway } from "../events.ts";
import { EnrolRefusal } from "./refusal.ts";
import type { SourceLimits } from "./source_limits.ts";

/** One request of an agent, whole. */
export interface AgentRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined for a GET. */
  readonly body: unknown;
  readonly source: string;
  /** What proofs on this connection sign. */
  binding(): Buffer;
  /** SHA-256 of the client certificate whose key the handshake has proven, hex; who issued it is for the desk to know. */
  readonly certificate: string | undefined;
}

/** What decides. Resolves with the answer's JSON. @throws EnrolRefusal */
export type AgentDesk = (request: AgentRequest) => Promise<Record<string, unknown>>;

/** Key, certificate chain and the authorities of clients, PEM. */
export type ListenerMaterial = Pick<SecureContextOptions, "key" | "cert" | "ca">;

export interface EnrolmentListener {
  readonly host: string;
  readonly port: number;
  /** Takes over other material for the handshakes to come. */
  reload(material: ListenerMaterial): void;
}

const handshakeMsMax = 5000;
const headersMsMax = 5000;
const requestMsMax = 10_000;
const requestsPerConnectionMax = 8;
const headerBytesMax = 4096;

/** Serves `desk` until the lifetime ends. @throws CliError CLI_PORT_BUSY */
export async function listenForAgents(o: {
  readonly listen: string;
  readonly connectionsMax: number;
  readonly material: ListenerMaterial;
  readonly limits: SourceLimits;
  readonly desk: AgentDesk;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
}): Promise<EnrolmentListener> {
  const { limits, clock, telemetry } = o;
  const server = createServer({
    ...context(o.material),
    // Every certificate may knock, also one that has ended: what it is worth is looked up by its fingerprint.
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeMsMax,
    maxHeaderSize: headerBytesMax,
    headersTimeout: headersMsMax,
    requestTimeout: requestMsMax,
    keepAliveTimeout: headersMsMax,
    connectionsCheckingInterval: 1000,
  });
  server.maxConnections = o.connectionsMax;
  server.maxRequestsPerSocket = requestsPerConnectionMax;
  const turnAway = (reason: string, source: string): void => telemetry.emit(enrolmentTurnedAway, { reason, source });
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    const source = socket.remoteAddress ?? "";
    if (limits.admit(source, clock.monotonicMs())) return;
    turnAway("rate", source);
    socket.destroy();
  });
  server.on("drop", (data) => turnAway("connections", data?.remoteAddress ?? ""));
  server.on("tlsClientError", (_error, socket) => turnAway("handshake", socket.remoteAddress ?? ""));
  server.on("clientError", (_error, socket) => {
    turnAway("http", (socket as Socket).remoteAddress ?? "");
    socket.destroy();
  });
  server.on("request", (request, response) => void answer(request, response, o));
  await started(server, o.listen);
  o.lifetime.defer("enrolment listener", async () => {
    for (const socket of open) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const { address, port } = server.address() as AddressInfo;
  telemetry.emit(enrolmentListening, { address: `${address}:${port}` });
  return { host: address, port, reload: (material) => server.setSecureContext(context(material)) };
}

function context(material: ListenerMaterial): SecureContextOptions {
  return { ...material, minVersion: "TLSv1.3", maxVersion: "TLSv1.3", secureOptions: constants.SSL_OP_NO_TICKET };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  o: { readonly desk: AgentDesk; readonly clock: Clock; readonly telemetry: Telemetry },
): Promise<void> {
  const socket = request.socket as TLSSocket;
  const { path, query } = targetOf(request.url ?? "");
  let status = 200;
  let json: Record<string, unknown>;
  let outcome = "ok";
  try {
    json = await o.desk({
      method: request.method ?? "",
      path,
      query,
      body: request.method === "POST" ? await bodyOf(request) : undefined,
      source: socket.remoteAddress ?? "",
      binding: () => socket.exportKeyingMaterial(channelBinding.bytes, channelBinding.label, Buffer.alloc(0)),
      certificate: socket.getPeerX509Certificate()?.fingerprint256.replaceAll(":", "").toLowerCase(),
    });
  } catch (error) {
    // Anything else is ours, not the agent's; its text may name internals.
    const refusal = error instanceof EnrolRefusal ? error : new EnrolRefusal("ENROL_UNAVAILABLE", undefined, { cause: error });
    status = httpOf(refusal);
    outcome = refusal.code;
    json = { code: refusal.code, message: refusal.message, next: refusal.next, retry_after_ms: refusal.retryAfterMs };
  }
  o.telemetry.emit(enrolmentAnswered, {
    path: Object.values<string>(enrolmentPaths).includes(path) ? path : "other",
    outcome,
    source: socket.remoteAddress ?? "",
  });
  if (socket.destroyed) return;
  const bytes = Buffer.from(JSON.stringify({ ...json, server_time_us: o.clock.nowUs() }));
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": bytes.length,
    "cache-control": "no-store",
    ...(status === 200 ? {} : { connection: "close" }),
  });
  response.end(bytes);
}

/** Path and query of a request line. Not by `URL`: it throws at what a stranger may write there (`//`), and reads a host into it. */
function targetOf(target: string): { readonly path: string; readonly query: URLSearchParams } {
  const [path = "", query = ""] = target.split("?", 2);
  return { path, query: new URLSearchParams(query) };
}

/** Reads a small JSON body. @throws EnrolRefusal ENROL_TOO_LARGE, ENROL_MALFORMED */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > enrolmentBodyBytesMax.request) throw new EnrolRefusal("ENROL_TOO_LARGE");
    chunks.push(chunk as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new EnrolRefusal("ENROL_MALFORMED");
  }
}

function started(server: Server, listen: string): Promise<void> {
  const { host, port } = parseAddress(listen) ?? { host: "127.0.0.1", port: 0 };
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => reject(new CliError("CLI_PORT_BUSY", `cannot listen for agents on ${listen}`, { cause }));
    server.once("error", failed);
    server.listen(port, host, () => {
      server.off("error", failed);
      server.on("error", () => undefined);
      resolve();
    });
  });
}

function httpOf(refusal: EnrolRefusal): number {
  return ENROL_CODES[refusal.code].http;
}
