/**
 * Where connections come in.
 *
 * Why: several gateway processes share one port. Node 20 ignores `reusePort`, so whoever started them holds the listening socket and hands
 *   it to each; a process that has its share of the connections lets go of it, and the kernel gives the next one to another.
 * Enforces: connections are counted and bounded here, before TLS; a shared port is listened on only as long as its owner allows and there is room.
 * Forbids: knowing TLS and HTTP/2; and passing a connection on: the process that took it serves it.
 */
import { createServer, type Server, type Socket } from "node:net";
import { IngestError } from "../errors/ingest_errors.ts";

/** A port of the gateway's own. */
export interface OwnPort {
  readonly host: string;
  readonly port: number;
}

/** A listening socket as Node hands it from process to process: bound, and closed here when it is no longer listened on. */
export interface PortHandle {
  close(): void;
}

/** What a gateway may take from a shared port. */
export interface PortGrant {
  /** Connections that it may hold before it lets others take the next ones. */
  readonly connectionsMax: number;
  /** The socket to listen on, where the gateway has let go of it or never had it. */
  readonly handle?: PortHandle;
}

/** A port that belongs to whoever started this process and several others. */
export interface SharedPort extends OwnPort {
  /** Calls `take` with each grant from now on, the last earlier one first. */
  follow(take: (grant: PortGrant) => void): void;
}

/** Where a gateway listens. */
export type ListenAt = OwnPort | SharedPort;

/** The open door. */
export interface Door {
  readonly host: string;
  readonly port: number;
  /** Connections that came in here and are open, in whatever state. */
  readonly connections: number;
  /** Whether further ones are taken at the moment. */
  readonly accepting: boolean;
  /** Takes no more; open ones live on. */
  close(): void;
}

/** What a door tells. */
export interface DoorEvents {
  connection(socket: Socket): void;
  /** One was cut because there are as many as there may be. */
  refused(): void;
  /** The bound was reached and the shared port has been let go. */
  full?(): void;
}

/** Opens the door. Connections beyond `connectionsMax` are cut at once. Rejects with INGEST_LISTEN_FAILED. */
export async function openDoor(at: ListenAt, connectionsMax: number, events: DoorEvents): Promise<Door> {
  const door = new OpenDoor(at, connectionsMax, events);
  await door.open();
  return door;
}

class OpenDoor implements Door {
  readonly host: string;
  #port: number;
  readonly #at: ListenAt;
  readonly #connectionsMax: number;
  readonly #events: DoorEvents;
  #grantedMax = Number.MAX_SAFE_INTEGER;
  #connections = 0;
  #listening: Server | undefined;
  #closed = false;

  constructor(at: ListenAt, connectionsMax: number, events: DoorEvents) {
    this.host = at.host;
    this.#port = at.port;
    this.#at = at;
    this.#connectionsMax = connectionsMax;
    this.#events = events;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#connections;
  }

  get accepting(): boolean {
    return this.#listening !== undefined;
  }

  async open(): Promise<void> {
    const at = this.#at;
    if (!("follow" in at)) return this.#listen(at);
    await new Promise<void>((resolve, reject) => {
      at.follow((grant) => {
        this.#granted(grant).then(resolve, reject);
      });
    });
  }

  close(): void {
    this.#closed = true;
    this.#letGo();
  }

  async #granted({ connectionsMax, handle }: PortGrant): Promise<void> {
    this.#grantedMax = connectionsMax;
    if (this.#connections >= connectionsMax) this.#letGo();
    const wanted = !this.#closed && this.#listening === undefined && this.#connections < connectionsMax;
    if (wanted && handle !== undefined) return this.#listen(handle);
    handle?.close();
  }

  #letGo(): void {
    this.#listening?.close();
    this.#listening = undefined;
  }

  #take(socket: Socket): void {
    if (this.#connections >= this.#connectionsMax) {
      socket.resetAndDestroy();
      this.#events.refused();
      return;
    }
    this.#connections += 1;
    socket.once("close", () => {
      this.#connections -= 1;
    });
    this.#events.connection(socket);
    if (this.#connections < this.#grantedMax || this.#listening === undefined) return;
    this.#letGo();
    this.#events.full?.();
  }

  async #listen(on: OwnPort | PortHandle): Promise<void> {
    const server = createServer((socket) => this.#take(socket));
    this.#listening = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => {
        if (this.#listening === server) this.#listening = undefined;
        reject(new IngestError("INGEST_LISTEN_FAILED", `cannot listen on ${this.host}:${this.#port}`, { cause }));
      });
      server.once("listening", resolve);
      if ("port" in on) server.listen(on.port, on.host);
      else server.listen(on);
    });
    server.on("error", () => undefined);
    const address = server.address();
    if (address !== null && typeof address === "object") this.#port = address.port;
  }
}
