/**
 * Why: a result without the command, the commit and the machine that gave it is a rumour.
 * Enforces: facts that are read and not typed, and a command that can be typed again.
 * Forbids: names of hosts, users, and folders outside of the checkout.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { basename, isAbsolute, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { machineFacts } from "ransomeye-kernel";

/** Where figures come from. */
export interface Provenance {
  /** The day, UTC. */
  readonly date: string;
  /** Short hash; says so where the checkout differed from it. */
  readonly commit: string;
  readonly command: string;
  readonly machine: string;
}

const checkout = fileURLToPath(new URL("../../../../../", import.meta.url));

/** What this process is: `npm run <script>` with its arguments, here and now. */
export function provenance(script: string): Provenance {
  const given = process.argv.slice(2).map(printable);
  const { cores, memoryBytes, nodeVersion } = machineFacts();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--untracked-files=no") === "" ? "" : ", changed"}`,
    command: `npm run ${script}${given.length === 0 ? "" : ` -- ${given.join(" ")}`}`,
    machine: `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB; ${distribution()}, Linux ${release()}; Node ${nodeVersion}`,
  };
}

/** Paths in the checkout are relative to it; of others only the name is anybody's business. */
function printable(argument: string): string {
  const inside = isAbsolute(argument) ? relative(checkout, argument) : argument;
  const path = isAbsolute(argument) && inside.startsWith("..") ? basename(argument) : inside;
  return path.includes(" ") ? `"${path}"` : path;
}

function git(...args: readonly string[]): string {
  try {
    return execFileSync("git", args, { cwd: checkout, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
}

/** Name and version of the operating system's distribution. */
export function distribution(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown system";
  } catch {
    return "unknown system";
  }
}
