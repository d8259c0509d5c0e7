/**
 * Why it exists: a connection that is lost after the server has done the work and before its answer arrives is the one failure that no
 * client can tell from any other. This proxy makes it happen on purpose.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "ransomeye-db";

export interface LossyProxy {
  readonly connection: Connection;
  /** From now on answers are swallowed; requests still pass. */
  swallow(): void;
  /** Cuts every connection, and lets new ones pass whole again. */
  cut(): void;
  close(): Promise<void>;
}

function socketPath(connection: Connection): string {
  return join(connection.host, `.s.PGSQL.${connection.port}`);
}

export async function openLossyProxy(target: Connection): Promise<LossyProxy> {
  const directory = await mkdtemp(join(tmpdir(), "bus-"));
  const connection = { ...target, host: directory, port: 5432 };
  const sockets = new Set<Socket>();
  let swallowing = false;
  const server: Server = createServer((client) => {
    const upstream = target.host.startsWith("/") ? connect(socketPath(target)) : connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    client.pipe(upstream);
    upstream.on("data", (chunk) => {
      if (!swallowing) client.write(chunk);
    });
    upstream.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(socketPath(connection), resolve));
  return {
    connection,
    swallow: () => {
      swallowing = true;
    },
    cut: () => {
      swallowing = false;
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
