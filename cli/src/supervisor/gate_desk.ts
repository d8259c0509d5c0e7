/**
 * Why it exists: each gateway knows its own load; somebody has to know all of them to say who takes the next connections (gate_share.ts).
 * Enforces: a gateway that starts is given the socket at once; one that is silent counts for nobody; a gateway that leaves for a restart is asked for
 * nothing more.
 * Forbids: connections in this process.
 */
import type { Clock } from "ransomeye-kernel";
import type { LoadMessage } from "./ipc.ts";
import { aheadConnections, type GateLoad, shares } from "./gate_share.ts";
import type { SocketHandle } from "./shared_socket.ts";

/** A gateway as this desk reaches it. */
export interface DeskGate {
  readonly name: string;
  /** Tells how many connections it may hold, with the socket where it needs one. */
  grant(connectionsMax: number, handle: SocketHandle | undefined): void;
}

/** A gateway that has not reported for this long may be standing still; its load says nothing any more. */
const loadMsMax = 3000;

interface Known {
  readonly gate: DeskGate;
  readonly load: GateLoad;
  readonly heardMs: number;
  accepting: boolean;
  told: number;
}

export class GateDesk {
  readonly #clock: Clock;
  readonly #handle: SocketHandle;
  readonly #known = new Map<string, Known>();

  constructor(clock: Clock, handle: SocketHandle) {
    this.#clock = clock;
    this.#handle = handle;
  }

  /** The gateway's process has begun. */
  started(gate: DeskGate): void {
    this.#known.delete(gate.name);
    gate.grant(aheadConnections, this.#handle);
  }

  /** The gateway's process has ended, or has been asked to. */
  left(name: string): void {
    this.#known.delete(name);
  }

  /** The gateway tells its load; everybody's share follows. */
  heard(gate: DeskGate, load: LoadMessage): void {
    const nowMs = this.#clock.monotonicMs();
    const told = this.#known.get(gate.name)?.told ?? aheadConnections;
    this.#known.set(gate.name, { gate, load, heardMs: nowMs, accepting: load.accepting, told });
    const fresh = [...this.#known].filter(([, { heardMs }]) => nowMs - heardMs <= loadMsMax);
    for (const [name, connectionsMax] of shares(new Map(fresh.map(([known, { load: theirs }]) => [known, theirs])))) {
      const known = this.#known.get(name);
      if (known !== undefined) this.#tell(known, connectionsMax);
    }
  }

  #tell(known: Known, connectionsMax: number): void {
    const needsSocket = !known.accepting && known.load.connections < connectionsMax;
    if (!needsSocket && connectionsMax === known.told) return;
    known.told = connectionsMax;
    if (needsSocket) known.accepting = true;
    known.gate.grant(connectionsMax, needsSocket ? this.#handle : undefined);
  }
}
