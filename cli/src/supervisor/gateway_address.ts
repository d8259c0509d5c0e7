/**
 * Why it exists: with port 0 the system chooses a port, and producers must find the gateway there again after any restart, the supervisor's too.
 * Enforces: the port is chosen once for a data directory and kept as long as it is free; a taken port that was asked for is an error with a name before anything starts.
 * Forbids: a gateway that chooses its own port.
 */
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "ransomeye-kernel";
import { bindSharedSocket, type SharedSocket } from "./shared_socket.ts";

/** `host:port` or `[v6]:port` as configuration validates it. */
export function splitAddress(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}

/**
 * The socket that the gateways will listen on. With port 0 its port is the one in `portFile`, if it is still free, or a new one that is noted there.
 * @throws CliError CLI_PORT_BUSY, CLI_PERMISSION
 */
export async function openGatewaySocket(listen: string, portFile: string): Promise<SharedSocket> {
  const { host, port } = splitAddress(listen);
  if (port !== 0) return bindSharedSocket(host, port);
  const kept = Number(await readFile(portFile, "utf8").catch(() => "0"));
  const socket = await bindSharedSocket(host, kept).catch(() => bindSharedSocket(host, 0));
  if (socket.port !== kept) await writeFileAtomic(portFile, `${socket.port}\n`, 0o600);
  return socket;
}

/** Where a client on this host reaches a gateway that listens on `host`. */
export function localHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
