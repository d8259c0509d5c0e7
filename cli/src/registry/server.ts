/**
 * Why it exists: the registry's word has to reach gateways within moments and commands need a place to ask; this is that socket.
 * Enforces: the socket is 0600 in a private directory (R-35: enrolment of local identities is for this host's owner alone); replies come in the order
 * of the questions; only codes and messages of ours leave the process.
 * Forbids: decisions; those are the store's and the authority's.
 */
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, hasCode, type Lifetime, RansomeyeError, type Telemetry } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { registryConnectionFailed, registryRequest } from "../events.ts";
import { Subscribers } from "./subscribers.ts";
import { LineSplitter, type Reply, type WireProducer } from "./wire.ts";
import { parseRequest, type Question, type Request } from "./requests.ts";

/** What the server asks of the registry proper. */
export interface RegistryDesk {
  /** Version and all producers, taken at one moment. */
  snapshot(): { readonly version: number; readonly producers: Iterable<WireProducer> };
  /** Carries out one request; changes are announced through `onChange` before it resolves. */
  handle(request: Question): Promise<unknown>;
  /** Takes note of what a gateway suspects; never fails. */
  suspect(suspicion: Extract<Request, { op: "suspect" }>["suspicion"]): void;
  onChange(listener: (change: DeskChange) => void): () => void;
  /** Revision of the gateways' key, certificate and authorities; undefined where this desk keeps none. */
  revision(): string | undefined;
}

/** What subscribers must learn. */
export type DeskChange =
  | { readonly kind: "producers"; readonly previous: number; readonly version: number; readonly producers: readonly WireProducer[] }
  /** So much changed that everything is told anew. */
  | { readonly kind: "all" }
  | { readonly kind: "material" };

/** Serves the registry on `socketPath` until the lifetime ends. Resolves when the socket accepts connections. */
export async function serveRegistry(o: {
  desk: RegistryDesk;
  socketPath: string;
  clock: Clock;
  telemetry: Telemetry;
  lifetime: Lifetime;
}): Promise<void> {
  const subscribers = new Subscribers(o.desk, o.clock);
  const sockets = new Set<Socket>();

  const server = createServer((socket) => {
    sockets.add(socket);
    const lines = new LineSplitter();
    socket.on("close", () => {
      sockets.delete(socket);
      subscribers.remove(socket);
    });
    socket.on("error", (error) => o.telemetry.emit(registryConnectionFailed, { reason: error.message }));
    // One request after the other on each connection: replies come in the order of the questions.
    let tail = Promise.resolve();
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const line of lines.push(chunk)) tail = tail.then(() => answer(socket, line));
      } catch (error) {
        o.telemetry.emit(registryConnectionFailed, { reason: String(error) });
        socket.destroy();
      }
    });
  });

  async function answer(socket: Socket, line: string): Promise<void> {
    let reply: Reply;
    let op = "unknown";
    try {
      const request = parseRequest(line);
      op = request.op;
      if (request.op === "subscribe") {
        subscribers.add(socket);
        return;
      }
      if (request.op === "suspect") {
        o.desk.suspect(request.suspicion);
        return;
      }
      reply = { ok: true, result: await o.desk.handle(request) };
    } catch (error) {
      reply = refusal(error);
    }
    o.telemetry.emit(registryRequest, { op, outcome: reply.ok ? "ok" : reply.code });
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  }

  await listenPrivately(server, o.socketPath);
  subscribers.beat();
  o.lifetime.defer("registry socket", async () => {
    subscribers.stop();
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
}

/** Only codes and messages of ours leave the process; anything else is a defect whose text may name internals. */
function refusal(error: unknown): Reply {
  if (hasCode(error, "CLI_REGISTRY_PROTOCOL") || error instanceof CliError) return { ok: false, code: error.code, message: error.message };
  if (error instanceof RansomeyeError) return { ok: false, code: error.code, message: error.message };
  return {
    ok: false,
    code: "CLI_UNREACHABLE",
    message: `the registry could not carry this out: ${error instanceof Error ? error.message : String(error)}`,
  };
}

/** Binds under a restrictive mode; a socket file left by a killed process is removed first (the supervisor's lock says that it is ours). */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
}
