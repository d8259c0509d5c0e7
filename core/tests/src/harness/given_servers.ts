/**
 * Why: the same proofs are to hold wherever the log lies; who wants them with the log on Redis or Valkey servers names those in BUS_URL.
 * Enforces: many systems may share the servers: each has keys of its own, named after its data directory, and leaves none behind.
 * Forbids: a second variable beside BUS_URL for tests. RANSOMEYE_BUS_URL is the system's own, and the harness sets it.
 */
import { basename } from "node:path";
import { givenBusUrl, removeKeys } from "ransomeye-pipeline/testing";

/** What a system's processes get beside our environment. */
export function givenServers(dataDir: string): Readonly<Record<string, string>> {
  const url = givenBusUrl();
  const own = { RANSOMEYE_BUS_KEY_PREFIX: basename(dataDir) };
  return url === undefined ? own : { ...own, RANSOMEYE_BUS_URL: url };
}

/** Removes what the system in this directory has written to the given servers; one that had servers of its test's is left alone. */
export async function leaveServers(dataDir: string, environment: Readonly<Record<string, string>>): Promise<void> {
  const url = givenBusUrl();
  if (url === undefined || environment["RANSOMEYE_BUS_URL"] !== url) return;
  await removeKeys(url, environment["RANSOMEYE_BUS_KEY_PREFIX"] ?? basename(dataDir));
}
