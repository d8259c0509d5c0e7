/**
 * Why it exists: several processes of the system can be asked for one thing by whoever owns the data directory; the way of asking is one.
 * Enforces: a unix socket of mode 0600 in the private folder; one line a connection, one question after the other; bounds on what is said, by how many, and for how long.
 * Forbids: knowing what is asked.
 */
import { createServer, type Socket } from "node:net";
import type { Clock, Lifetime } from "ransomeye-kernel";
import { listenPrivately } from "./server.ts";
import { LineSplitter } from "./wire.ts";

export interface QuestionSocketOptions {
  readonly socketPath: string;
  readonly lifetime: Lifetime;
  /** Of the lifetime's step. */
  readonly name: string;
  /** Answers one line on its socket, which may be gone by then; it is ended afterwards. Never rejects. */
  readonly answer: (line: string, socket: Socket) => Promise<void>;
  /** For strangers to the work: without them a question may be long and late. */
  readonly bounds?: {
    readonly lineBytesMax: number;
    readonly connectionsMax: number;
    /** To say what is asked, and once it is answered, to take that. */
    readonly takesMsMax: number;
    readonly clock: Clock;
  };
}

/** Answers until the lifetime ends. */
export async function serveQuestions({ socketPath, lifetime, name, answer, bounds }: QuestionSocketOptions): Promise<void> {
  const sockets = new Set<Socket>();
  let last = Promise.resolve();
  const server = createServer((socket) => {
    const patience = (): { cancel(): void } | undefined => bounds?.clock.setTimer(bounds.takesMsMax, () => socket.destroy());
    let timer = patience();
    sockets.add(socket);
    socket.on("close", () => {
      timer?.cancel();
      sockets.delete(socket);
    });
    socket.on("error", () => undefined);
    const lines = new LineSplitter(bounds?.lineBytesMax);
    const take = (chunk: Buffer): void => {
      let line: string | undefined;
      try {
        line = lines.push(chunk)[0];
      } catch {
        socket.destroy();
      }
      if (line === undefined) return;
      timer?.cancel();
      socket.off("data", take);
      socket.resume();
      last = last.then(async () => {
        await answer(line, socket);
        if (socket.destroyed) return;
        socket.end();
        timer = patience();
      });
    };
    socket.on("data", take);
  });
  if (bounds !== undefined) server.maxConnections = bounds.connectionsMax;
  await listenPrivately(server, socketPath);
  lifetime.defer(name, async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
}
