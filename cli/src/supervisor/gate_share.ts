/**
 * Why it exists: the kernel gives a new connection to whichever gateway is awake first; a gateway that has just been restarted would stay nearly
 * empty, and one that cannot take more would still be given its part. A rule spreads them; it needs no proxy, only that a full gateway stops listening.
 * Enforces: a gateway takes connections while it has at most a quarter and a handful more than the emptiest of those that take; one that says it is
 * paused or full takes none while another can.
 * Forbids: a port on which nobody listens: where none is willing all listen, and each says for itself why it refuses.
 */

/** What a gateway says of itself. */
export interface GateLoad {
  readonly connections: number;
  readonly connectionsMax: number;
  /** False while it is paused: what it took now would only wait. */
  readonly willing: boolean;
}

/** A gateway may have this much more than the emptiest. */
const aheadRatio = 1.25;
/** And this many, so that small numbers need no balance. It is also what a gateway takes before it has said anything. */
export const aheadConnections = 32;
export const unbounded: number = Number.MAX_SAFE_INTEGER;

/** Connections that each gateway may hold before it stops listening, by name. */
export function shares(loads: ReadonlyMap<string, GateLoad>): Map<string, number> {
  const taking = [...loads.values()].filter((load) => load.willing && load.connections < load.connectionsMax);
  if (taking.length === 0) return new Map([...loads.keys()].map((name) => [name, unbounded]));
  const emptiest = Math.min(...taking.map(({ connections }) => connections));
  const share = taking.length === 1 ? unbounded : Math.floor(emptiest * aheadRatio) + aheadConnections;
  return new Map([...loads].map(([name, load]) => [name, taking.includes(load) ? Math.min(share, load.connectionsMax) : 0]));
}

/** Connections to send elsewhere, by name: what a gateway has beyond an equal part, where that is clearly more than the others have. */
export function excess(loads: ReadonlyMap<string, GateLoad>): Map<string, number> {
  const taking = [...loads].filter(([, load]) => load.willing && load.connections < load.connectionsMax);
  const total = taking.reduce((sum, [, { connections }]) => sum + connections, 0);
  const fair = Math.ceil(total / Math.max(1, taking.length));
  const over = new Map<string, number>();
  for (const [name, { connections }] of taking) {
    if (connections > Math.ceil(fair * aheadRatio) + aheadConnections) over.set(name, connections - fair);
  }
  return over;
}
