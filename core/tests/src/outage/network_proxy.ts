/**
 * Why: between producers and gateway stands a network that is slow, swallows, or breaks; this proxy is that network, on purpose.
 * Enforces: bytes are delayed, swallowed or refused as told, never changed or reordered: TLS would notice that, and nothing else would be learned.
 * Forbids: ending a swallowed connection in order: its ends are to find out by themselves that nobody is there.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * pass · delay: everything arrives later · swallow: connections open and stay, and nothing arrives (half-open) · cut: open connections are reset and new ones
 * refused.
 */
export type Weather = "pass" | "delay" | "swallow" | "cut";

const delayMs = 300;

export class NetworkProxy implements AsyncDisposable {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #weather: Weather = "pass";

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer((client) => this.#pair(client));
  }

  /** A proxy on a free port in front of `target`. */
  static async open(target: { readonly host: string; readonly port: number }): Promise<NetworkProxy> {
    const proxy = new NetworkProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get address(): { readonly host: string; readonly port: number } {
    const at = this.#server.address();
    if (at === null || typeof at === "string") throw new Error("the proxy does not listen");
    return { host: at.address, port: at.port };
  }

  /** From now on. What was swallowed is gone: its connections end when the weather clears. */
  become(weather: Weather): void {
    const lost = weather === "cut" || (this.#weather === "swallow" && weather !== "swallow");
    this.#weather = weather;
    if (lost) for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pair(client: Socket): void {
    if (this.#weather === "cut") {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(this.#target.port, this.#target.host);
    this.#carry(client, upstream);
    this.#carry(upstream, client);
  }

  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("error", () => from.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      if (this.#weather !== "swallow") this.#later(() => to.destroy());
    });
    from.on("data", (chunk: Buffer) => {
      if (this.#weather === "swallow") return;
      this.#later(() => {
        if (to.destroyed || to.write(chunk)) return;
        from.pause();
        to.once("drain", () => from.resume());
      });
    });
  }

  /** One delay for all: what came first still goes first. */
  #later(work: () => void): void {
    setTimeout(work, this.#weather === "delay" ? delayMs : 0);
  }
}
