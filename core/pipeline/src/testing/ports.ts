/**
 * Why it exists: many servers start at once, and each wants a port that nobody has, in a cluster two of them.
 * Enforces: a port is given out once in this process as long as its server may come back to it.
 * Forbids: trust in a free port: another process may take it before the server does, and then the server's start says so.
 */
import { createServer } from "node:net";

/** Where all servers listen. */
export const loopback = "127.0.0.1";

/** A cluster's nodes talk to each other this far above their port, so the port itself stays below `clusterPortEnd`. */
const busOffset = 10_000;
const clusterPortEnd = 55_000;
const triesMax = 200;

const held = new Set<number>();

/** A free port, held until it is released. `withBus`: the cluster bus port above it is free and held as well. */
export async function holdPort(withBus: boolean): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = await freePort(0);
    if (port === undefined || (withBus && port >= clusterPortEnd)) continue;
    if (withBus && (await freePort(port + busOffset)) === undefined) continue;
    const wanted = withBus ? [port, port + busOffset] : [port];
    if (wanted.some((one) => held.has(one))) continue;
    for (const one of wanted) held.add(one);
    return port;
  }
  throw new Error(`no free port on ${loopback}${withBus ? ` below ${clusterPortEnd} with the port ${busOffset} above it` : ""}`);
}

/** Gives a held port back, with the bus port above it if that was held too. */
export function releasePort(port: number, withBus: boolean): void {
  held.delete(port);
  if (withBus) held.delete(port + busOffset);
}

/** `port` (0: any) if one can listen there now. */
function freePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const listener = createServer();
    listener.once("error", () => resolve(undefined));
    listener.listen(port, loopback, () => {
      const address = listener.address();
      const found = typeof address === "object" ? address?.port : undefined;
      listener.close(() => resolve(found));
    });
  });
}
