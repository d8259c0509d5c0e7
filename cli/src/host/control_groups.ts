/**
 * Why it exists: a role runs as the supervisor's child and on its word alone, so systemd cannot give each a slice; but it hands the supervisor's control group
 * over to be divided (Delegate=), and what a slice would hold for a service, its group there holds (DB-5).
 * Enforces: each process in a group of its own with the plan's memory, processor and disk; the supervisor in one as well, since a group that is divided holds none.
 * Forbids: touching a control group that nobody handed over: only `supervisor.control_groups` says that one was.
 */
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../errors.ts";
import type { ServicePlan } from "./plan.ts";

/** Where the kernel shows groups; other folders in tests. */
export interface ControlGroupPlaces {
  /** The mounted hierarchy. */
  readonly root: string;
  /** The file that says in which group this process is. */
  readonly self: string;
}

const kernelPlaces: ControlGroupPlaces = { root: "/sys/fs/cgroup", self: "/proc/self/cgroup" };

/** Without these two a group bounds nothing that matters here. */
const required = ["cpu", "memory"] as const;
const welcome = ["io", "pids"] as const;

type Limits = Pick<ServicePlan, "cpuWeight" | "ioWeight" | "memoryHighBytes" | "memoryMaxBytes">;

/** This process's group, divided. */
export class ControlGroups {
  readonly #path: string;
  readonly #say: (line: string) => void;
  /** Says what a kernel lacks, once. */
  readonly #missing = new Set<string>();

  private constructor(path: string, say: (line: string) => void) {
    this.#path = path;
    this.#say = say;
  }

  /** Moves this process into a group `supervisor` below its own and has the kernel divide that. @throws CliError CLI_CONTROL_GROUPS */
  static open(pid: number, limits: Limits, say: (line: string) => void, places: ControlGroupPlaces = kernelPlaces): ControlGroups {
    const path = ownGroup(places);
    const groups = new ControlGroups(path, say);
    try {
      accessSync(join(path, "cgroup.procs"), constants.W_OK);
      const offered = readFileSync(join(path, "cgroup.controllers"), "utf8").trim().split(/\s+/);
      for (const name of required)
        if (!offered.includes(name)) throw refused(`${path} has no controller ${name}: Delegate=cpu io memory pids hands it over`);
      groups.#join("supervisor", pid);
      const divided = [...required, ...welcome].filter((name) => offered.includes(name));
      writeFileSync(join(path, "cgroup.subtree_control"), divided.map((name) => `+${name}`).join(" "));
      groups.#limit("supervisor", limits);
    } catch (cause) {
      if (cause instanceof CliError) throw cause;
      throw refused(`${path} cannot be divided`, cause);
    }
    return groups;
  }

  /** Puts a process, and all that it starts, into the group `name` with these limits. What it does not get is said: it runs all the same. */
  place(pid: number, name: string, limits: Limits): void {
    try {
      mkdirSync(join(this.#path, name), { recursive: true });
      // Bounds before the process: it never runs without.
      this.#limit(name, limits);
      writeFileSync(join(this.#path, name, "cgroup.procs"), String(pid));
    } catch (error) {
      this.#say(
        `${name} (process ${pid}) runs in the supervisor's control group: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  #join(name: string, pid: number): void {
    mkdirSync(join(this.#path, name), { recursive: true });
    writeFileSync(join(this.#path, name, "cgroup.procs"), String(pid));
  }

  #limit(name: string, { memoryHighBytes, memoryMaxBytes, cpuWeight, ioWeight }: Limits): void {
    const values = [
      ["memory.max", String(memoryMaxBytes)],
      ["memory.high", String(memoryHighBytes)],
      ["cpu.weight", String(cpuWeight)],
      ["io.weight", `default ${ioWeight}`],
    ] as const;
    for (const [file, value] of values) {
      try {
        writeFileSync(join(this.#path, name, file), value, { flag: "r+" });
      } catch (error) {
        if (this.#missing.has(file)) continue;
        this.#missing.add(file);
        this.#say(`control groups: ${file} is not set (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
      }
    }
  }
}

/** The folder of this process's group in the unified hierarchy. */
function ownGroup({ root, self }: ControlGroupPlaces): string {
  let text: string;
  try {
    text = readFileSync(self, "utf8");
  } catch (cause) {
    throw refused(`${self} cannot be read`, cause);
  }
  const name = /^0::(\/.*)$/m.exec(text)?.[1];
  if (name === undefined || name === "/") throw refused("this process is in no control group of the unified hierarchy (cgroup2)");
  return join(root, name);
}

function refused(message: string, cause?: unknown): CliError {
  return new CliError("CLI_CONTROL_GROUPS", message, cause === undefined ? {} : { cause });
}
