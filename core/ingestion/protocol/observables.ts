// Why: an analyst pivots from one value to every event that has it; what counts as such a value, and when two are the same, must be said once.
// Enforces: where observables stand in an event, and one canonical text of each: hashes in lower case, addresses as canonical.ts has them, names in lower case
//   as A-labels without the root's dot, users in lower case. Raise OBSERVABLE_RULES when any event would give other observables: the index is then made anew.
// Forbids: guessing. A text that is no hash, address, name or user is no observable, wherever it stands, and no question can be asked for it.

import { domainToASCII } from "node:url";
import { canonicalDomain, canonicalIp } from "./canonical.ts";

/** Version of the rules here and in observable_scan.ts, kept with the index. */
export const OBSERVABLE_RULES = 1;

/** What can be asked for. A name may be a host's and a domain's at once. */
export type ObservableKind = "hash" | "ip" | "domain" | "host" | "user";
export const observableKinds: readonly ObservableKind[] = ["hash", "ip", "domain", "host", "user"];

/** Bits of the kinds. */
export const kindBits: Readonly<Record<ObservableKind, number>> = { hash: 1, ip: 2, domain: 4, host: 8, user: 16 };

/** Values of one space are compared with each other; hosts and domains share one. */
export const spaces = { hash: 0, ip: 1, name: 2, user: 3 } as const;
export type ObservableSpace = (typeof spaces)[keyof typeof spaces];

/** A value as it is compared. */
export interface Observable {
  readonly space: ObservableSpace;
  /** Bits of the kinds that it may be asked for as. */
  readonly kinds: number;
  readonly text: string;
}

/** What stands at a place of an event. */
export const places = { none: 0, hash: 1, ip: 2, machine: 3, host: 4, domain: 5, user: 6, url: 7, rdata: 8 } as const;
export type Place = (typeof places)[keyof typeof places];

/** Objects that are machines, by the name of the field that holds them. */
const machines: readonly string[] = ["device", "src_endpoint", "dst_endpoint", "reporter"];
const fingerprints: readonly string[] = ["hashes", "fingerprints", "ja3_hash", "ja3s_hash"];

/** A field that may hold observables. `in`: only in objects that stand in a field of these names; else in any. */
interface PlaceRule {
  readonly field: string;
  readonly in?: readonly string[];
  readonly place: Place;
}

/** The places, the more particular first: the nearest named object decides, lists do not count. */
export const placeRules: readonly PlaceRule[] = [
  { field: "value", in: fingerprints, place: places.hash },
  { field: "ip", place: places.ip },
  { field: "hostname", in: ["query", "url"], place: places.domain },
  { field: "hostname", place: places.machine },
  { field: "name", in: machines, place: places.host },
  { field: "domain", in: ["url", ...machines], place: places.domain },
  { field: "sni", place: places.domain },
  { field: "name", in: ["user"], place: places.user },
  { field: "uid", in: ["user"], place: places.user },
  { field: "email_addr", in: ["user"], place: places.user },
  { field: "url_string", place: places.url },
  { field: "rdata", place: places.rdata },
];

/** Fields that hold lists of texts. */
export const listRules: Readonly<Record<string, Place>> = { x_forwarded_for: places.ip };

/** OCSF's list `observables`: what `value` is, by `type_id`. Other types are no observables of ours. */
export const observablesField = "observables";
export const placeOfType: ReadonlyMap<number, Place> = new Map<number, Place>([
  [1, places.machine],
  [2, places.ip],
  [4, places.user],
  [5, places.user],
  [6, places.url],
  [8, places.hash],
]);

/** Characters of a canonical text; longer names and users are none. */
const textCharsMax = 255;
/** Hexadecimal digits of MD5, SHA-1, SHA-224, SHA-256, SHA-384 and SHA-512. */
const hashDigits: ReadonlySet<number> = new Set([32, 40, 56, 64, 96, 128]);

function hashText(text: string): string | null {
  if (!hashDigits.has(text.length) || !/^[0-9a-fA-F]+$/.test(text)) return null;
  return text.toLowerCase();
}

/** True for a text with white space or a control character in it. */
function isBroken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f) return true;
  }
  return false;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

function nameText(text: string): string | null {
  // Longer than any name, escapes of A-labels included; nothing of it is looked at.
  if (text.length > 4 * textCharsMax || isBroken(text)) return null;
  const plain = canonicalDomain(text);
  if (plain === null) return null;
  // What is no international name by the standard's rules is compared as it is written.
  const name = isAscii(plain) ? plain : domainToASCII(plain) || plain.normalize("NFC");
  return name.length <= textCharsMax ? name : null;
}

function userText(text: string): string | null {
  if (text.length > 4 * textCharsMax) return null;
  const user = text.normalize("NFC").toLowerCase().trim();
  if (user === "" || user.length > textCharsMax) return null;
  for (let i = 0; i < user.length; i++) if (user.charCodeAt(i) < 0x20) return null;
  return user;
}

/** The host of a URL: between `//` and the next `/`, `?`, `#` or end, without user, password and port. */
function hostOfUrl(url: string): string | null {
  const scheme = url.indexOf("//");
  if (scheme < 0) return null;
  const rest = url.slice(scheme + 2);
  const end = rest.search(/[/?#\\]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  if (host.startsWith("[")) {
    const close = host.indexOf("]");
    return close < 0 ? null : host.slice(1, close);
  }
  const port = host.indexOf(":");
  return port < 0 ? host : host.slice(0, port);
}

/** A name, or the address that stands where a name is expected. */
function named(text: string | null, kinds: number): Observable | null {
  if (text === null) return null;
  const ip = canonicalIp(text);
  if (ip !== null) return { space: spaces.ip, kinds: kindBits.ip, text: ip };
  const name = nameText(text);
  return name === null ? null : { space: spaces.name, kinds, text: name };
}

/** The observable that a text is at its place, or `null`. Never throws. */
export function observableAt(place: Place, text: string): Observable | null {
  switch (place) {
    case places.hash: {
      const hash = hashText(text);
      return hash === null ? null : { space: spaces.hash, kinds: kindBits.hash, text: hash };
    }
    case places.ip: {
      const ip = canonicalIp(text);
      return ip === null ? null : { space: spaces.ip, kinds: kindBits.ip, text: ip };
    }
    case places.machine:
      return named(text, kindBits.host | kindBits.domain);
    case places.host:
      return named(text, kindBits.host);
    case places.domain:
    case places.rdata:
      return named(text, kindBits.domain);
    case places.url:
      return named(hostOfUrl(text), kindBits.domain);
    case places.user: {
      const user = userText(text);
      return user === null ? null : { space: spaces.user, kinds: kindBits.user, text: user };
    }
    default:
      return null;
  }
}

const placeOfKind: Readonly<Record<ObservableKind, Place>> = {
  hash: places.hash,
  ip: places.ip,
  domain: places.domain,
  host: places.host,
  user: places.user,
};

/**
 * What somebody asks for, as it is compared; `null` where the text is no such value. An address that is asked for as a host or a domain is an address: the events
 * that name it say so in either way.
 */
export function askedObservable(kind: ObservableKind, text: string): Observable | null {
  return observableAt(placeOfKind[kind], text);
}
