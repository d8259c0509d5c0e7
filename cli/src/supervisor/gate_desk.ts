/**
 * Why it exists: each gateway knows its own load; somebody has to know all of them to say who takes the next connections (gate_share.ts).
 * Enforces: a gateway that starts is given the socket at once; one that is silent counts for nobody; a gateway that leaves for a restart is asked for
 * nothing more.
 * After a rolling restart the last gateway is empty, and sessions that last for days would leave it so: what stays uneven is sent elsewhere, a part at a time.
 * Forbids: connections in this process.
 */
import type { Clock } from "ransomeye-kernel";
import type { LoadMessage } from "./ipc.ts";
import { aheadConnections, excess, type GateLoad, shares } from "./gate_share.ts";
import type { SocketHandle } from "./shared_socket.ts";

/** A gateway as this desk reaches it. */
export interface DeskGate {
  readonly name: string;
  /** Tells how many connections it may hold, with the socket where it needs one. */
  grant(connectionsMax: number, handle: SocketHandle | undefined): void;
  /** Tells it to send so many of its connections elsewhere. */
  shed(connections: number): void;
}

/** A gateway that has not reported for this long may be standing still; its load says nothing any more. */
const loadMsMax = 3000;
/** What is uneven for this long will not even out by itself; then a part of it goes, and the next after a pause in which they have come back. */
const unevenMs = 30_000;
const shedPauseMs = 10_000;
const shedRatio = 0.1;

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
  /** When to send connections of a gateway elsewhere. */
  readonly #shedAtMs = new Map<string, number>();

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
    this.#shedAtMs.delete(name);
  }

  /** The gateway tells its load; everybody's share follows. */
  heard(gate: DeskGate, load: LoadMessage): void {
    const nowMs = this.#clock.monotonicMs();
    const told = this.#known.get(gate.name)?.told ?? aheadConnections;
    this.#known.set(gate.name, { gate, load, heardMs: nowMs, accepting: load.accepting, told });
    const fresh = [...this.#known].filter(([, { heardMs }]) => nowMs - heardMs <= loadMsMax);
    const loads = new Map(fresh.map(([known, { load: theirs }]) => [known, theirs]));
    this.#evenOut(gate, load.connections, excess(loads).get(gate.name), nowMs);
    for (const [name, connectionsMax] of shares(loads)) {
      const known = this.#known.get(name);
      if (known !== undefined) this.#tell(known, connectionsMax);
    }
  }

  #evenOut(gate: DeskGate, connections: number, over: number | undefined, nowMs: number): void {
    const atMs = this.#shedAtMs.get(gate.name);
    if (over === undefined) this.#shedAtMs.delete(gate.name);
    else if (atMs === undefined) this.#shedAtMs.set(gate.name, nowMs + unevenMs);
    else if (nowMs >= atMs) {
      this.#shedAtMs.set(gate.name, nowMs + shedPauseMs);
      gate.shed(Math.min(over, Math.ceil(connections * shedRatio)));
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
