/**
 * Why it exists: a COMMIT whose answer never comes is the one moment in which a client does not know what is true; this makes it happen on purpose.
 * Enforces: the next COMMIT alone is hit, then everything passes again; a connection that is cut stays cut.
 * Forbids: import by anything but tests and proofs.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "../connection.ts";

/** What happens to the next COMMIT: nothing, it is lost before the server has it, or its answer is lost. */
export type CommitLoss = "pass" | "drop_commit" | "drop_answer";

/** A socket in front of PostgreSQL that can lose a COMMIT, or the answer to one. */
export class CommitProxy {
  mode: CommitLoss = "pass";
  losses = 0;
  /** To the same server, through the proxy. */
  readonly connection: Connection;
  readonly #server: Server;
  readonly #directory: string;
  readonly #sockets = new Set<Socket>();

  private constructor(proxy: Server, directory: string, target: Connection) {
    this.#server = proxy;
    this.#directory = directory;
    this.connection = { ...target, host: directory };
    const place = target.host.startsWith("/") ? { path: socketPath(target.host, target) } : { host: target.host, port: target.port };
    proxy.on("connection", (client) => this.#join(client, connect(place)));
  }

  static async open(target: Connection): Promise<CommitProxy> {
    const directory = await mkdtemp(join(tmpdir(), "re-proxy-"));
    const proxy = createServer();
    const opened = new CommitProxy(proxy, directory, target);
    await new Promise<void>((resolve) => proxy.listen(socketPath(directory, target), resolve));
    return opened;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #join(client: Socket, upstream: Socket): void {
    const cut = (): void => {
      client.destroy();
      upstream.end();
    };
    for (const socket of [client, upstream]) this.#sockets.add(socket.on("close", () => this.#sockets.delete(socket)));
    client.on("error", cut).on("close", () => upstream.end());
    upstream.on("error", cut).on("close", () => client.destroy());
    let deaf = false;
    client.on("data", (chunk) => {
      if (this.mode === "pass" || !chunk.includes("COMMIT")) return void upstream.write(chunk);
      this.losses += 1;
      deaf = true;
      if (this.mode === "drop_answer") upstream.write(chunk, cut);
      else cut();
      this.mode = "pass";
      return undefined;
    });
    upstream.on("data", (chunk) => {
      if (!deaf) client.write(chunk);
    });
  }
}

function socketPath(directory: string, { port }: Connection): string {
  return join(directory, `.s.PGSQL.${port}`);
}
