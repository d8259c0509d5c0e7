// Why: the kernel writes socket addresses as it holds them in memory.
// Enforces: the families that carry traffic or name a local peer become readable; of all others, and of damaged ones, nothing is claimed.
// Forbids: taking a byte order for granted: the family tells it.

import { hexBytes } from "./audit_fields.ts";
import { type Json, withoutNuls } from "../json.ts";

/** Linux' numbers of address families. */
const unix = 1;
const inet = 2;
const inet6 = 10;
const netlink = 16;

/** Eight groups; the canonical form is whoever maps it to give. */
function ipv6Text(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(":");
}

/** A path ends at its first NUL; an abstract name begins with one, which is written as `@`. */
function unixPath(bytes: Buffer): string {
  if (bytes[0] === 0) return `@${withoutNuls(bytes.subarray(1).toString("utf8")).replaceAll("\0", "@")}`;
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

/** `{ family, addr, port }` or `{ family, path }`; undefined where the bytes are no address of a known family. */
export function socketAddress(hex: string): Json | undefined {
  const bytes = hexBytes(hex);
  if (bytes === undefined || bytes.length < 2) return undefined;
  const family = bytes[0] === 0 ? (bytes[1] as number) : bytes[1] === 0 ? (bytes[0] as number) : 0;
  if (family === unix) return { family: "unix", path: unixPath(bytes.subarray(2)) };
  if (family === inet && bytes.length >= 8) return { family: "inet", addr: bytes.subarray(4, 8).join("."), port: bytes.readUInt16BE(2) };
  if (family === inet6 && bytes.length >= 24)
    return { family: "inet6", addr: ipv6Text(bytes.subarray(8, 24)), port: bytes.readUInt16BE(2), flow: bytes.readUInt32BE(4) };
  if (family === netlink && bytes.length >= 12) return { family: "netlink", hex };
  return undefined;
}
