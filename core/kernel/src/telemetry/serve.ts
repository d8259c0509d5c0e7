/**
 * Why: metrics are read on the host, by a collector; no process opens a port for them.
 * Enforces: a unix socket that only its owner may open; `GET /metrics` and nothing else.
 * Forbids: TCP, other methods and paths.
 */
import { chmod, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { KernelError } from "../kernel_errors.ts";
import type { Lifetime } from "../lifetime.ts";
import { limits } from "../limits.ts";
import type { Telemetry } from "./telemetry.ts";

/** Serves the metrics on a unix socket until the lifetime closes. A socket that a dead process left behind is replaced. */
export async function serveMetrics(telemetry: Telemetry, socketPath: string, lifetime: Lifetime): Promise<void> {
  if (Buffer.byteLength(socketPath) > limits.socketPathBytesMax) {
    throw new KernelError("KERNEL_SOCKET_PATH_TOO_LONG", `${socketPath} is longer than ${limits.socketPathBytesMax} bytes`);
  }
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    telemetry.metricsText().then(
      (text) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await rm(socketPath, { force: true });
  await listen(server, socketPath);
  lifetime.defer("metrics socket", () => close(server));
  await chmod(socketPath, 0o600);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
