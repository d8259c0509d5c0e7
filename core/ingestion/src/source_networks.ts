/**
 * Under which network a source address counts.
 *
 * Why: before authentication an address is all that is known of a peer, and one host owns many of them: in IPv6 a whole /64.
 * Enforces: IPv4 addresses count one by one, also where they come mapped into IPv6; IPv6 addresses by their /64. An operator may rate ranges
 *   differently: a NAT with a thousand agents behind it is one address.
 * Forbids: trust in an address: a range's rate says how often, never who.
 */
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { IngestError } from "../errors/ingest_errors.ts";

/** Handshakes per second for the addresses of a range; `undefined` means that they are not limited one by one. */
export interface RangeRate {
  readonly range: BlockList;
  readonly perSecondMax: number | undefined;
}

const mappedPrefix = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i;

/** The address without its zone, and an IPv4 address as such. */
export function plainAddress(address: string): string {
  return address.replace(/%.*$/, "").replace(mappedPrefix, "");
}

/** The network that a plain address counts under. */
export function sourceNetwork(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const groups = (text: string | undefined): string[] => (text === undefined || text === "" ? [] : text.split(":"));
  const before = groups(head);
  const after = groups(tail);
  const left = tail === undefined ? before : [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after];
  return left
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}

/** Reads `RANGE=RATE` pairs, separated by commas; a rate is handshakes per second or `unlimited`. Throws INGEST_CONFIG_INVALID. */
export function parseRangeRates(text: string): readonly RangeRate[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part.length > 0)
    .map(parseRangeRate);
}

function parseRangeRate(part: string): RangeRate {
  const { address = "", prefix, rate = "" } = /^(?<address>[^/=]+)(?:\/(?<prefix>\d+))?=(?<rate>.+)$/.exec(part)?.groups ?? {};
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : undefined;
  const bitsMax = family === "ipv4" ? 32 : 128;
  const bits = prefix === undefined ? bitsMax : Number(prefix);
  const perSecondMax = rate === "unlimited" ? undefined : Number(rate);
  const rateFits = perSecondMax === undefined || (Number.isSafeInteger(perSecondMax) && perSecondMax > 0);
  if (family === undefined || bits > bitsMax || !rateFits)
    throw new IngestError(
      "INGEST_CONFIG_INVALID",
      `gateway.handshake_overrides: "${part}" is not RANGE=RATE, for example 10.0.0.0/8=500 or 2001:db8::/32=unlimited`,
    );
  const range = new BlockList();
  range.addSubnet(address, bits, family);
  return { range, perSecondMax };
}

/** The first range that holds a plain address. */
export function rangeOf(ranges: readonly RangeRate[], address: string): RangeRate | undefined {
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  return ranges.find(({ range }) => range.check(address, family));
}
