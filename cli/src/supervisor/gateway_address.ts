/**
 * Why it exists: with port 0 the system chooses a port, and producers must find the gateway there again after any restart, the supervisor's too.
 * Enforces: the port is chosen once for a data directory and kept as long as it is free; a taken port that was asked for is an error with a name before anything starts.
 * Forbids: a gateway that chooses its own port.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { writeFileAtomic } from "ransomeye-kernel";
import { CliError } from "../errors.ts";

/** `host:port` or `[v6]:port` as configuration validates it. */
export function splitAddress(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}

/**
 * The address that the gateway will listen on. With port 0 it is the one in `portFile`, if it is still free, or a new one that is noted there.
 * @throws CliError CLI_PORT_BUSY, CLI_PERMISSION
 */
export async function resolveGatewayAddress(listen: string, portFile: string): Promise<{ readonly host: string; readonly port: number }> {
  const { host, port } = splitAddress(listen);
  if (port !== 0) return { host, port: await bindOnce(host, port) };
  const kept = Number(await readFile(portFile, "utf8").catch(() => "0"));
  const chosen = await bindOnce(host, kept).catch(() => bindOnce(host, 0));
  if (chosen !== kept) await writeFileAtomic(portFile, `${chosen}\n`, 0o600);
  return { host, port: chosen };
}

/** Binds to learn the port, or that it is taken, and lets go. */
async function bindOnce(host: string, port: number): Promise<number> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw new CliError(code === "EACCES" ? "CLI_PERMISSION" : "CLI_PORT_BUSY", `the gateway cannot listen on ${host}:${port} (${code})`, {
      cause,
    });
  }
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : port;
}

/** Where a client on this host reaches a gateway that listens on `host`. */
export function localHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
