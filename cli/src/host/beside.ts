/**
 * Why it exists: a database or a log's server that somebody runs on this host shares its memory; one elsewhere does not.
 * Enforces: both are told by where their addresses lead: a loopback address, a unix socket, or not here.
 * Forbids: asking the network for names.
 */
import { parseConnectionUrl } from "ransomeye-db";
import type { Config } from "ransomeye-kernel";
import { redisUrl } from "../supervisor/bus_url.ts";
import type { Beside } from "./plan.ts";

/** What the configuration says of services that run on this host as units of their own; `more` names further ones. */
export function besideOf(config: Config, more: readonly Beside[] = []): readonly Beside[] {
  const found = new Set(more);
  if (hosts(() => (config.database.url.isEmpty ? [] : [parseConnectionUrl(config.database.url.reveal()).host])).some(isHere))
    found.add("postgres");
  if (hosts(() => busHosts(redisUrl(config) ?? "")).some(isHere)) found.add("bus");
  return [...found];
}

/** What is wrong with an address is for whoever connects to say. */
function hosts(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** Hosts of a log's URL; for a unix socket its path. */
export function busHosts(url: string): string[] {
  const rest = url.replace(/^[a-z+]+:\/\//, "").replace(/^[^@/]*@/, "");
  if (url.startsWith("redis+unix:")) return [rest.replace(/\?.*$/, "")];
  return (/^[^/?]*/.exec(rest)?.[0] ?? "").split(",").map((host) => host.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
}

function isHere(host: string): boolean {
  return host.startsWith("/") || isLoopback(host);
}

/** Whether only this host reaches what listens there. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
