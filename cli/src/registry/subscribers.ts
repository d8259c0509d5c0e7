/**
 * Why it exists: what gateways are told, in which order, is one matter; who connects is another.
 * Enforces: every subscriber gets one whole snapshot, then each change in order, and a heartbeat each second; one that does not read is cut off,
 * not buffered without end.
 * Forbids: an await between a snapshot and the first change after it.
 */
import type { Socket } from "node:net";
import type { Clock, Timer } from "ransomeye-kernel";
import type { RegistryDesk } from "./server.ts";
import { heartbeatMs, partsOf, type Push } from "./wire.ts";

/** A subscriber that lets this much pile up unread is cut off; it comes back and gets a fresh snapshot. */
const unreadBytesMax = 64 * 1024 * 1024;

/** The gateways that follow. */
export class Subscribers {
  readonly #desk: RegistryDesk;
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();
  #timer: Timer | undefined;

  constructor(desk: RegistryDesk, clock: Clock) {
    this.#desk = desk;
    this.#clock = clock;
    desk.onChange((change) => {
      for (const socket of this.#sockets) {
        if (change.kind === "all") this.#tellAll(socket);
        else if (change.kind === "material") this.#tellMaterial(socket);
        else push(socket, { type: "delta", previous: change.previous, version: change.version, producers: change.producers });
      }
    });
  }

  add(socket: Socket): void {
    this.#tellAll(socket);
    this.#tellMaterial(socket);
    this.#sockets.add(socket);
  }

  remove(socket: Socket): void {
    this.#sockets.delete(socket);
  }

  /** Begins the heartbeat. */
  beat(): void {
    const { version } = this.#desk.snapshot();
    for (const socket of this.#sockets) push(socket, { type: "heartbeat", version });
    this.#timer = this.#clock.setTimer(heartbeatMs, () => this.beat());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #tellAll(socket: Socket): void {
    const { version, producers } = this.#desk.snapshot();
    const parts = partsOf(producers);
    for (const [part, some] of parts.entries()) push(socket, { type: "snapshot", version, part, parts: parts.length, producers: some });
  }

  #tellMaterial(socket: Socket): void {
    const revision = this.#desk.revision();
    if (revision !== undefined) push(socket, { type: "material", version: this.#desk.snapshot().version, revision });
  }
}

function push(socket: Socket, message: Push): void {
  if (socket.writableLength > unreadBytesMax) socket.destroy();
  else socket.write(`${JSON.stringify(message)}\n`);
}
