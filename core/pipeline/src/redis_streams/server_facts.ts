/**
 * Why it exists: the look at a server before it is trusted with a receipt.
 * Enforces: what a durability level needs of a server, as a pure judgement over what INFO and CONFIG say; a server of which it cannot be learnt is
 * not trusted, unless the operator has said so.
 * Forbids: assuming by version what can be asked.
 */

/** How far a receipt reaches. */
export type Durability =
  /** On the disk of the one server: every append is flushed before it is answered. */
  | { readonly level: "local" }
  /** On that many replicas besides, confirmed within the time. */
  | { readonly level: "replicated"; readonly replicas: number; readonly waitMs: number };

/** What one server says of itself. Settings are null where it does not tell (CONFIG may be forbidden) or was not asked. */
export interface ServerFacts {
  readonly version: string;
  readonly isMaster: boolean;
  readonly isCluster: boolean;
  readonly appendOnly: boolean;
  readonly appendFsync: string | null;
  readonly fsyncPausedByRewrite: boolean | null;
  readonly aofWriteOk: boolean;
  readonly usedBytes: number;
  /** 0: no bound. */
  readonly bytesMax: number;
  readonly evictionPolicy: string;
  readonly replicasOnline: number;
}

/** Of the memory bound; above it the bus says that it is full, before the server does. */
const fullRatio = 0.95;

/** `INFO` as `name:value` lines, and `CONFIG GET` as a flat list, empty where it is forbidden. */
export function readFacts(info: string, config: readonly string[]): ServerFacts {
  const said = new Map<string, string>();
  for (const line of info.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) said.set(line.slice(0, colon), line.slice(colon + 1));
  }
  const settings = new Map<string, string>();
  for (let at = 0; at + 1 < config.length; at += 2) settings.set(config[at] as string, config[at + 1] as string);
  const rewrite = settings.get("no-appendfsync-on-rewrite");
  return {
    version: said.get("valkey_version") ?? said.get("redis_version") ?? "",
    isMaster: said.get("role") === "master",
    isCluster: said.get("cluster_enabled") === "1",
    appendOnly: said.get("aof_enabled") === "1",
    appendFsync: settings.get("appendfsync") ?? null,
    fsyncPausedByRewrite: rewrite === undefined ? null : rewrite === "yes",
    aofWriteOk: said.get("aof_last_write_status") !== "err",
    usedBytes: Number(said.get("used_memory") ?? 0),
    bytesMax: Number(said.get("maxmemory") ?? 0),
    evictionPolicy: said.get("maxmemory_policy") ?? "",
    replicasOnline: [...said].filter(([name, value]) => /^slave\d+$/.test(name) && value.includes("state=online")).length,
  };
}

/** Settings that INFO does not tell and the level needs; the right to ask for them would also tell how replicas log in. */
export function settingsAsked({ level }: Durability): readonly string[] {
  return level === "local" ? ["appendfsync", "no-appendfsync-on-rewrite"] : [];
}

/** Settings under which a receipt would promise what the server does not keep; none where all is well. */
export function undurable(facts: ServerFacts, { level }: Durability): string[] {
  const found: string[] = [];
  if (!facts.appendOnly) found.push("appendonly is no");
  if (level === "local") {
    if (facts.appendFsync === null) found.push("appendfsync cannot be read (CONFIG GET is forbidden)");
    else if (facts.appendFsync !== "always") found.push(`appendfsync is ${facts.appendFsync}`);
    if (facts.fsyncPausedByRewrite === true) found.push("no-appendfsync-on-rewrite is yes");
  }
  // Keys of ours never expire, so the volatile policies evict none of them; they refuse writes as noeviction does.
  if (facts.bytesMax > 0 && facts.evictionPolicy.startsWith("allkeys")) found.push(`maxmemory-policy is ${facts.evictionPolicy}`);
  return found;
}

/** Why a fit server takes no frames at this moment, or null. */
export function pausedBy(facts: ServerFacts, durability: Durability): string | null {
  if (undurable(facts, durability).length > 0) return "not_durable";
  if (!facts.aofWriteOk) return "disk_error";
  if (facts.bytesMax > 0 && facts.usedBytes >= facts.bytesMax * fullRatio) return "full";
  if (durability.level === "replicated" && facts.replicasOnline < durability.replicas) return "replicas_missing";
  return null;
}
