/**
 * Why it exists: noise and story speak of the same small company, so that an analyst can follow one host from table to table.
 * Enforces: addresses of the documentation and private ranges only; nobody's real network is named.
 * Forbids: I/O.
 */
import type { Random } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";

export interface Host {
  readonly name: string;
  readonly ip: string;
  readonly user: string;
}

export const workstations: readonly Host[] = ["ada", "ben", "cem", "dora", "emil", "fay", "gus", "hana"].map((user, i) => ({
  name: `ws-${user}`,
  ip: `10.20.1.${11 + i}`,
  user,
}));
export const fileServer: Host = { name: "srv-files", ip: "10.20.0.5", user: "SYSTEM" };
export const windowsServers: readonly Host[] = [
  fileServer,
  { name: "srv-dc", ip: "10.20.0.2", user: "SYSTEM" },
  { name: "srv-backup", ip: "10.20.0.7", user: "backup" },
];
export const linuxServers: readonly Host[] = [
  { name: "srv-web-1", ip: "10.20.0.20", user: "www-data" },
  { name: "srv-web-2", ip: "10.20.0.21", user: "www-data" },
  { name: "srv-db-1", ip: "10.20.0.30", user: "postgres" },
];
export const honeypot: Host = { name: "hp-lobby", ip: "10.20.9.9", user: "nobody" };
export const siteNames: readonly string[] = [
  "intranet.example",
  "mail.example",
  "updates.example",
  "news.example",
  "cdn.example",
  "crm.example",
];

/** The attacker's places: documentation ranges (RFC 5737, RFC 2606). */
export const commandServer = { ip: "203.0.113.66", domain: "cdn-sync.example" } as const;
export const scanner = "198.51.100.23";

/** One event on its way: which producer sends it. */
export interface DemoEvent {
  readonly kind: ProducerKind;
  readonly host: string;
  readonly line: Buffer;
}

/** One item of a list that is not empty. */
export function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random.float() * items.length)] as T;
}

/** An integer from `low` to `high`, both included. */
export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random.float() * (high - low + 1));
}
