/**
 * Why it exists: a test's server is configured as one that must not lose anything, whatever its distribution's defaults are.
 * Enforces: loopback only, every write flushed before its reply, nothing evicted; what a version does not know is left out.
 * Forbids: settings by which a server would no longer be where its test looks for it.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { loopback } from "./ports.ts";

/** As in redis.conf: a name, and what stands behind it. */
export type Settings = Readonly<Record<string, string>>;

/** What a server's place decides. */
const reserved: ReadonlySet<string> = new Set(["port", "dir", "logfile", "daemonize"]);

/** Major version of the program. Valkey counts on from Redis 7. */
export async function majorOf(program: string): Promise<number> {
  const { stdout } = await promisify(execFile)(program, ["--version"]);
  const major = /v=(\d+)\./.exec(stdout)?.[1];
  if (major === undefined) throw new Error(`${program} --version says ${stdout.trim()}`);
  return Number(major);
}

/** True if these settings make a node of a cluster. */
export function isClustered(settings: Settings): boolean {
  return settings["cluster-enabled"] === "yes";
}

/** Text of the configuration file: our defaults, under the given settings. */
export function configurationOf(place: { directory: string; log: string; port: number; major: number }, settings: Settings): string {
  const all: Settings = {
    bind: loopback,
    "protected-mode": "yes",
    appendonly: "yes",
    appendfsync: "always",
    "no-appendfsync-on-rewrite": "no",
    save: "",
    maxmemory: "0",
    "maxmemory-policy": "noeviction",
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": "0",
    // Older versions allow DEBUG always, and refuse to start with what they do not know.
    ...(place.major >= 7 ? { "enable-debug-command": "local" } : {}),
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => {
    if (reserved.has(name)) throw new Error(`a test's server has its own ${name}`);
    if (/[\r\n]/.test(name + value)) throw new Error(`the setting ${name} has a line break`);
    return `${name} ${value === "" ? '""' : value}`;
  });
  const quote = (path: string): string => `"${path.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  lines.push("daemonize no", `port ${place.port}`, `dir ${quote(place.directory)}`, `logfile ${quote(place.log)}`);
  return `${lines.join("\n")}\n`;
}
