/**
 * Why it exists: every node of a cluster has its own opinion of it, and a test must know when they agree.
 * Enforces: a view is read whole from one node; nodes are told apart by their port.
 * Forbids: calling a cluster settled on the word of one node.
 */
import type { Server } from "./server.ts";

/** What a node thinks of a node. */
interface Seen {
  readonly id: string;
  /** Undefined for a master. */
  readonly masterPort: number | undefined;
  /** Said to be failing, or not known well enough. */
  readonly doubtful: boolean;
  readonly slots: readonly (readonly [number, number])[];
}

/** What one node thinks of the cluster. */
export interface View {
  /** By port. */
  readonly nodes: ReadonlyMap<number, Seen>;
  /** `cluster_state:ok`. */
  readonly isOk: boolean;
}

/** Asks a node for its view. */
export function viewOf(server: Server): Promise<View> {
  return server.ask(async (client) => {
    const info = String(await client.call("CLUSTER", "INFO"));
    return { isOk: info.includes("cluster_state:ok\r"), nodes: parseNodes(String(await client.call("CLUSTER", "NODES"))) };
  });
}

/** `<id> <ip:port@bus> <flags> <master's id or -> <ping> <pong> <epoch> <link> <slots…>`, a line for each node. */
function parseNodes(text: string): ReadonlyMap<number, Seen> {
  const lines = text.trimEnd().split("\n");
  const fields = lines.map((line) => line.split(" "));
  const portOf = (address = ""): number => Number(/:(\d+)@/.exec(address)?.[1]);
  const ports = new Map(fields.map(([id, address]) => [id, portOf(address)]));
  return new Map(
    fields.map(([id = "", address, flags = "", master, , , , , ...slots]) => [
      portOf(address),
      {
        id,
        masterPort: ports.get(master),
        doubtful: flags.split(",").some((flag) => /^(fail\??|handshake|noaddr)$/.test(flag)) || address?.startsWith(":") === true,
        // Slots on their way between nodes stand in brackets, and only where they come from or go to.
        slots: slots.filter((range) => !range.startsWith("[")).map(rangeOf),
      },
    ]),
  );
}

function rangeOf(text: string): readonly [number, number] {
  const [first, last] = text.split("-");
  return [Number(first), Number(last ?? first)];
}

/** Port of the slot's owner. */
export function ownerOf(view: View, slot: number): number | undefined {
  for (const [port, { slots }] of view.nodes) if (slots.some(([first, last]) => first <= slot && slot <= last)) return port;
  return undefined;
}

/** True if in this view all of these nodes are known and well. */
export function knowsAll(view: View, ports: readonly number[]): boolean {
  return ports.every((port) => view.nodes.get(port)?.doubtful === false);
}

/** True if in all views these nodes are well and have the same roles and slots, and nobody else has any. */
export function agree(views: readonly View[], ports: readonly number[]): boolean {
  const roles = views.map(({ nodes }) =>
    ports.map((port) => `${port} ${nodes.get(port)?.masterPort} ${nodes.get(port)?.slots.join(" ")}`).join("\n"),
  );
  const left = (view: View): boolean => [...view.nodes].every(([port, { slots }]) => slots.length === 0 || ports.includes(port));
  return new Set(roles).size === 1 && views.every((view) => view.isOk && knowsAll(view, ports) && left(view));
}
