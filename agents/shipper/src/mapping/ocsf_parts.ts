// Why: addresses, files, hashes, processes and users look alike in every source and must look the same in every event.
// Enforces: OCSF's objects with what they require, in canonical form where there is one.
// Forbids: objects that say nothing: a part is `undefined` unless something is known.

import { canonicalDomain, canonicalIp } from "ransomeye-ingestion/protocol";
import { type Json, some } from "./json.ts";

/** Last part of a path, whichever slash it has. */
export function baseName(path: string): string {
  const cut = Math.max(path.lastIndexOf("\\"), path.lastIndexOf("/"));
  return cut < 0 || cut === path.length - 1 ? path : path.slice(cut + 1);
}

/** An address in canonical form. What is none stays as it is written, and so does a zone, which the canonical form would lose. */
export function ipText(text: string | undefined): string | undefined {
  return text === undefined || text.includes("%") ? text : (canonicalIp(text) ?? text);
}

/** A host name or domain in canonical form. */
export function domainText(text: string | undefined): string | undefined {
  return text === undefined ? undefined : (canonicalDomain(text) ?? text);
}

/** An endpoint; without address and name there is none, whatever its port. */
export function endpoint(o: {
  ip?: string | undefined;
  port?: number | undefined;
  hostname?: string | undefined;
  mac?: string | undefined;
}): Json | undefined {
  if (o.ip === undefined && o.hostname === undefined) return undefined;
  return { ip: ipText(o.ip), port: o.port, hostname: domainText(o.hostname), mac: o.mac };
}

const algorithms: Readonly<Record<string, readonly [id: number, name: string]>> = {
  md5: [1, "MD5"],
  sha1: [2, "SHA-1"],
  sha256: [3, "SHA-256"],
  sha512: [4, "SHA-512"],
  imphash: [18, "Imphash"],
};

/** A fingerprint of a known algorithm, or of one that is only named. */
export function fingerprint(algorithm: string, value: string | undefined): Json | undefined {
  if (value === undefined) return undefined;
  const [id, name] = algorithms[algorithm.toLowerCase()] ?? [99, algorithm];
  return { algorithm_id: id, algorithm: name, value: value.toLowerCase() };
}

/** The fingerprints that are there; undefined if none is. */
export function fingerprints(...all: readonly (Json | undefined)[]): Json[] | undefined {
  const known = all.filter((one) => one !== undefined);
  return known.length === 0 ? undefined : known;
}

/** A regular file by its path, with whatever else is known of it. */
export function fileAt(path: string | undefined, more: Json = {}, typeId = 1): Json | undefined {
  return path === undefined ? undefined : { name: baseName(path), path, type_id: typeId, ...more };
}

/** A process by id, unique id and path of its program. */
export function processOf(
  o: { pid?: number | undefined; uid?: string | undefined; path?: string | undefined },
  more: Json = {},
): Json | undefined {
  if (o.pid === undefined && o.uid === undefined && o.path === undefined) return undefined;
  return { pid: o.pid, uid: o.uid, name: o.path === undefined ? undefined : baseName(o.path), file: fileAt(o.path), ...more };
}

/** A user from `DOMAIN\name` or a bare name. */
export function userNamed(text: string | undefined, more: Json = {}): Json | undefined {
  if (text === undefined) return undefined;
  const cut = text.indexOf("\\");
  return cut > 0 && cut < text.length - 1 ? { name: text.slice(cut + 1), domain: text.slice(0, cut), ...more } : { name: text, ...more };
}

/** A user from its parts; none without a name or an id. */
export function userOf(o: { name?: string | undefined; domain?: string | undefined; uid?: string | undefined }): Json | undefined {
  return o.name === undefined && o.uid === undefined ? undefined : { ...o };
}

/** An actor; none if nothing of it is known. */
export function actorOf(o: { process?: Json | undefined; user?: Json | undefined; session?: Json | undefined }): Json | undefined {
  return some({ ...o });
}

/**
 * OCSF wants a device and an actor where some sources name neither. These say so; no column is filled from them, and whose record it is
 * stays known by its producer.
 */
const unknownDevice: Json = { uid: "unknown", type_id: 0 };
export const unknownActor: Json = { app_name: "unknown" };

/** The machine that a record names. */
export function deviceNamed(hostname: string | undefined): Json {
  return hostname === undefined ? unknownDevice : { hostname, type_id: 0 };
}

const protocolNumbers: Readonly<Record<string, number>> = { icmp: 1, igmp: 2, tcp: 6, udp: 17, "ipv6-icmp": 58, icmpv6: 58, sctp: 132 };
const protocolNames: Readonly<Record<number, string>> = {
  1: "icmp",
  2: "igmp",
  6: "tcp",
  17: "udp",
  47: "gre",
  50: "esp",
  58: "ipv6-icmp",
  132: "sctp",
};

/** OCSF directions. */
export const direction: { readonly unknown: 0; readonly inbound: 1; readonly outbound: 2 } = { unknown: 0, inbound: 1, outbound: 2 };

/** How two endpoints are connected. `protocol` is a name or an IANA number as text. */
export function connection(protocol: string | undefined, more: Json = {}, directionId: 0 | 1 | 2 = direction.unknown): Json | undefined {
  const lower = protocol?.toLowerCase();
  const number = lower === undefined ? undefined : /^\d+$/.test(lower) ? Number(lower) : protocolNumbers[lower];
  const name = number === undefined ? lower : (protocolNames[number] ?? lower);
  const known = some({ protocol_name: name, protocol_num: number, ...more });
  return known === undefined && directionId === direction.unknown ? undefined : { direction_id: directionId, ...known };
}

const httpActivities: Readonly<Record<string, number>> = {
  CONNECT: 1,
  DELETE: 2,
  GET: 3,
  HEAD: 4,
  OPTIONS: 5,
  POST: 6,
  PUT: 7,
  TRACE: 8,
  PATCH: 9,
};

/** OCSF's activity of an HTTP method: 99 (other) for methods that have none here, 0 (unknown) without a method. */
export function httpActivity(method: string | undefined): number {
  return method === undefined ? 0 : (httpActivities[method.toUpperCase()] ?? 99);
}

/** A URL from a request's target: its path and query, or the whole text where it is absolute. */
export function urlOf(target: string | undefined, hostname: string | undefined, port?: number): Json | undefined {
  if (target === undefined) return hostname === undefined ? undefined : { url_string: hostname, hostname: domainText(hostname), port };
  const host = { hostname: domainText(hostname), port };
  if (!target.startsWith("/")) return { url_string: target, ...host };
  const cut = target.indexOf("?");
  return cut < 0 ? { path: target, ...host } : { path: target.slice(0, cut), query_string: target.slice(cut + 1), ...host };
}

const rcodes: readonly string[] = [
  "NOERROR",
  "FORMERR",
  "SERVFAIL",
  "NXDOMAIN",
  "NOTIMP",
  "REFUSED",
  "YXDOMAIN",
  "YXRRSET",
  "NXRRSET",
  "NOTAUTH",
  "NOTZONE",
];

/** OCSF's number of a DNS response code's name; 99 for names that have none here. */
export function rcodeId(name: string | undefined): number | undefined {
  if (name === undefined) return undefined;
  const id = rcodes.indexOf(name.toUpperCase());
  return id < 0 ? 99 : id;
}
