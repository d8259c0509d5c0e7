/**
 * Why it exists: with port 0 the system chooses a port, and producers must find the gateway there again after it restarts.
 * Enforces: the port is chosen once, by the supervisor; a taken port is an error with a name before anything starts.
 * Forbids: a gateway that chooses its own port.
 */
import { createServer } from "node:net";
import { CliError } from "../errors.ts";

/** `host:port` or `[v6]:port` as configuration validates it. */
export function splitAddress(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}

/** Binds once, to learn the port or that it is taken, and lets go. @throws CliError CLI_PORT_BUSY */
export async function resolveGatewayAddress(listen: string): Promise<{ readonly host: string; readonly port: number }> {
  const { host, port } = splitAddress(listen);
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw new CliError(code === "EACCES" ? "CLI_PERMISSION" : "CLI_PORT_BUSY", `the gateway cannot listen on ${listen} (${code})`, { cause });
  }
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return { host, port: typeof address === "object" && address !== null ? address.port : port };
}

/** Where a client on this host reaches a gateway that listens on `host`. */
export function localHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
