/**
 * Why it exists: a gateway's certificate has to name every address under which producers of this host or network call it.
 * Enforces: loopback always; the listening address; the host's own name when it listens on all addresses.
 * Forbids: wildcards.
 */
import { isIP } from "node:net";
import { machineFacts } from "ransomeye-kernel";
import { splitAddress } from "../supervisor/gateway_address.ts";

/** IP addresses and DNS names for the gateway's certificate. */
export function gatewayNames(listen: string): string[] {
  const { host } = splitAddress(listen);
  const names = ["127.0.0.1", "::1", "localhost"];
  if (host === "0.0.0.0" || host === "::") {
    const own = machineFacts().hostname;
    if (/^[a-z0-9][a-z0-9.-]*$/i.test(own) && isIP(own) === 0) names.push(own.toLowerCase());
  } else names.push(host);
  return [...new Set(names)];
}
