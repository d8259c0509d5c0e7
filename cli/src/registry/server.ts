/**
 * Why it exists: the registry's word has to reach gateways within moments and commands need a place to ask; this is that socket.
 * Enforces: the socket is 0600 in a private directory (R-35: enrolment of local identities is for this host's owner alone); every subscriber gets
 * one whole snapshot, then each change in order, and a heartbeat each second; one that does not read is cut off, not buffered without end.
 * Forbids: decisions; those are the store's and the authority's.
 */
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, hasCode, type Lifetime, RansomeyeError, type Telemetry, type Timer } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { registryConnectionFailed, registryRequest } from "../events.ts";
import {
  heartbeatMs,
  LineSplitter,
  type Push,
  parseRequest,
  type Reply,
  type Request,
  snapshotPartProducersMax,
  type WireProducer,
} from "./wire.ts";

/** A subscriber that lets this much pile up unread is cut off; it comes back and gets a fresh snapshot. */
const unreadBytesMax = 64 * 1024 * 1024;

/** What the server asks of the registry proper. */
export interface RegistryDesk {
  /** Version and all producers, taken at one moment. */
  snapshot(): { readonly version: number; readonly producers: Iterable<WireProducer> };
  /** Carries out one request; changes are announced through `onChange` before it resolves. */
  handle(request: Exclude<Request, { op: "subscribe" }>): Promise<unknown>;
  onChange(
    listener: (change: { readonly previous: number; readonly version: number; readonly producers: readonly WireProducer[] }) => void,
  ): () => void;
}

/** Serves the registry on `socketPath` until the lifetime ends. Resolves when the socket accepts connections. */
export async function serveRegistry(o: {
  desk: RegistryDesk;
  socketPath: string;
  clock: Clock;
  telemetry: Telemetry;
  lifetime: Lifetime;
}): Promise<void> {
  const subscribers = new Set<Socket>();
  const sockets = new Set<Socket>();

  const push = (socket: Socket, message: Push): void => {
    if (socket.writableLength > unreadBytesMax) socket.destroy();
    else socket.write(`${JSON.stringify(message)}\n`);
  };
  const subscribe = (socket: Socket): void => {
    // No await between the snapshot and joining the set: a change cannot fall between the two.
    const { version, producers } = o.desk.snapshot();
    const all = [...producers];
    const parts = Math.max(1, Math.ceil(all.length / snapshotPartProducersMax));
    for (let part = 0; part < parts; part += 1) {
      push(socket, {
        type: "snapshot",
        version,
        part,
        parts,
        producers: all.slice(part * snapshotPartProducersMax, (part + 1) * snapshotPartProducersMax),
      });
    }
    subscribers.add(socket);
  };
  o.desk.onChange((change) => {
    for (const socket of subscribers) push(socket, { type: "delta", ...change });
  });

  let timer: Timer | undefined;
  const beat = (): void => {
    const { version } = o.desk.snapshot();
    for (const socket of subscribers) push(socket, { type: "heartbeat", version });
    timer = o.clock.setTimer(heartbeatMs, beat);
  };

  const server = createServer((socket) => {
    sockets.add(socket);
    const lines = new LineSplitter();
    socket.on("close", () => {
      sockets.delete(socket);
      subscribers.delete(socket);
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
        subscribe(socket);
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
  beat();
  o.lifetime.defer("registry socket", async () => {
    timer?.cancel();
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
