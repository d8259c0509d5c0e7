/**
 * Why it exists: how an operator names servers, in one URL.
 * Enforces: `redis://[user:password@]host[:port][,host[:port]…][/database]`, `rediss://` the same over TLS, `redis+unix:///path/to/socket`; several hosts are a
 * cluster's nodes, or a master and its replicas: the servers say which.
 * Forbids: passwords in errors.
 */
import { BusError } from "../errors.ts";
import type { LinkOptions } from "./link.ts";

const defaultPort = 6379;
const pattern = /^(rediss?):\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?#@]+)(?:\/(\d{1,3})?)?$/;
const socketPattern = /^redis\+unix:\/\/(\/.+)$/;

/** One entry for each host. @throws BusError BUS_BAD_ARGUMENT */
export function parseServers(url: string): LinkOptions[] {
  const path = socketPattern.exec(url)?.[1];
  if (path !== undefined) return [{ path: decoded(path) }];
  const found = pattern.exec(url);
  if (found === null)
    throw new BusError("BUS_BAD_ARGUMENT", "a bus on Redis is named redis://host:port, rediss://host:port or redis+unix:///path");
  const [, scheme, user, password, hosts, database] = found;
  const common: LinkOptions = {
    ...(user ? { username: decoded(user) } : {}),
    ...(password ? { password: decoded(password) } : {}),
    ...(database ? { db: Number(database) } : {}),
    ...(scheme === "rediss" ? { tls: {} } : {}),
  };
  return (hosts as string).split(",").map((text, index) => ({ ...common, ...hostOf(text, index + 1) }));
}

/** The text is not told: it may be a password to which an `@` is missing. */
function hostOf(text: string, number: number): { host: string; port: number } {
  const found = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(found?.[2] ?? defaultPort);
  if (found === null || port < 1 || port > 65_535)
    throw new BusError("BUS_BAD_ARGUMENT", `host ${number} in the URL of the bus on Redis is not host:port`);
  return { host: (found[1] as string).replace(/^\[|\]$/g, ""), port };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new BusError("BUS_BAD_ARGUMENT", "a % in the URL of the bus on Redis is not followed by two hexadecimal digits of UTF-8");
  }
}

/** A name for one server, fit to be shown. */
export function addressOf({ path, host, port }: LinkOptions): string {
  return path ?? `${host}:${port}`;
}
