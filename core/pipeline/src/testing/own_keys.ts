/**
 * Why it exists: tests on servers that somebody else has given leave them as they were.
 * Enforces: only keys under the prefix that is named are removed, one by one, on every master.
 * Forbids: flushing, and a prefix that could be a pattern.
 */
import { Redis } from "ioredis";
import { addressOf, parseServers } from "../redis_streams/address.ts";
import type { LinkOptions } from "../redis_streams/link.ts";

const keysPerStep = 500;

/** Removes the keys of all installations whose prefix is this one, or this one and more behind a dot; gives how many there were. */
export async function removeKeys(url: string, prefix: string): Promise<number> {
  if (!/^[A-Za-z0-9_.-]{8,}$/.test(prefix)) throw new Error(`${prefix} is no prefix of a test's own`);
  let removed = 0;
  for (const master of await mastersOf(url)) removed += await withServer(master, (client) => removeOn(client, `{${prefix}.`));
  return removed;
}

/** Where the servers of a URL keep what is written: each master of a cluster, or the one that says that it is the master. */
export async function mastersOf(url: string): Promise<LinkOptions[]> {
  const seeds = parseServers(url);
  const first = await Promise.any(seeds.map((seed) => infoOf(seed).then((info) => ({ seed, info })))).catch((error: unknown) => {
    throw (error as AggregateError).errors[0] as Error;
  });
  if (first.info.includes("cluster_enabled:1")) {
    const { host: _host, port: _port, ...common } = first.seed;
    const slots = await withServer(first.seed, (client) => client.cluster("SLOTS"));
    const masters = slots.flatMap(([, , master]): LinkOptions[] => {
      const [host, port] = master ?? [];
      return port === undefined ? [] : [{ ...common, host: host === "" ? (first.seed.host ?? "") : (host ?? ""), port }];
    });
    return [...new Map(masters.map((master) => [addressOf(master), master])).values()];
  }
  if (seeds.length === 1) return seeds;
  const infos = await Promise.all(seeds.map((seed) => infoOf(seed).catch(() => "")));
  return seeds.filter((_seed, index) => infos[index]?.includes("role:master"));
}

/** What one server says of itself. */
export function infoOf(server: LinkOptions): Promise<string> {
  return withServer(server, (client) => client.info());
}

async function removeOn(client: Redis, beginning: string): Promise<number> {
  let removed = 0;
  for (let cursor = "0", first = true; first || cursor !== "0"; first = false) {
    const [next, found] = await client.scan(cursor, "MATCH", `${beginning}*`, "COUNT", keysPerStep);
    cursor = next;
    // One at a time: those of two slots are not removed in one command.
    const answers = await Promise.all(found.filter((key) => key.startsWith(beginning)).map((key) => client.unlink(key)));
    removed += answers.reduce((sum, count) => sum + count, 0);
  }
  return removed;
}

async function withServer<T>(server: LinkOptions, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ ...server, lazyConnect: true, retryStrategy: null, protocol: 2, disableClientInfo: true });
  let trouble: Error | undefined;
  client.on("error", (error) => (trouble = error));
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    // What a client says in the end is that its connection is closed; why, it has said before.
    throw new Error(`the server at ${addressOf(server)}: ${(trouble ?? (error as Error)).message}`, { cause: error });
  } finally {
    client.disconnect();
  }
}
