/**
 * Why it exists: N gateways on one port: the supervisor holds the socket and hands it to each gateway; the kernel gives every new connection to
 * one of those that listen. While a gateway restarts, connections wait in the socket's backlog, and the port is nobody else's.
 * Enforces: this process never accepts: it binds the socket, and the gateways listen on it.
 * Forbids: SO_REUSEPORT, which Node 20 ignores; `node:cluster`, whose workers cannot have a process session of their own and whose primary
 * closes the socket when the last worker is gone; a `net.Server` here, which would accept as soon as it listens.
 */
import { lookup } from "node:dns/promises";
import * as net from "node:net";
import { getSystemErrorName } from "node:util";
import { CliError } from "../errors.ts";

/** A bound TCP socket as Node hands it to a child process. */
export interface SocketHandle {
  /** Fills in address and port; negative with the error of a bind that failed: libuv keeps it to itself until it is asked. */
  getsockname(out: { port?: number }): number;
  close(): void;
}

/** What `node:cluster` makes its sockets with. Node exports it without documenting it; our tests run it on every Node version of CI. */
type CreateServerHandle = (host: string, port: number, family: number) => SocketHandle | number;

/** A bound socket and where it is. */
export interface SharedSocket {
  readonly host: string;
  readonly port: number;
  readonly handle: SocketHandle;
}

/** Binds without accepting; port 0 takes a free one. @throws CliError CLI_PORT_BUSY, CLI_PERMISSION */
export async function bindSharedSocket(host: string, port: number): Promise<SharedSocket> {
  const { address, family } = await lookup(host).catch((cause: unknown) => {
    throw cannotListen(host, port, (cause as NodeJS.ErrnoException).code ?? "unknown");
  });
  const { _createServerHandle: create } = net as unknown as { readonly _createServerHandle: CreateServerHandle };
  const handle = create(address, port, family);
  if (typeof handle === "number") throw cannotListen(host, port, getSystemErrorName(handle));
  const at: { port?: number } = {};
  const error = handle.getsockname(at);
  if (error === 0) return { host, port: at.port ?? port, handle };
  handle.close();
  throw cannotListen(host, port, getSystemErrorName(error));
}

function cannotListen(host: string, port: number, code: string): CliError {
  return new CliError(code === "EACCES" ? "CLI_PERMISSION" : "CLI_PORT_BUSY", `the gateway cannot listen on ${host}:${port} (${code})`);
}
