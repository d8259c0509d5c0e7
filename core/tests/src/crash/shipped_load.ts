/**
 * Why: crash runs and chaos runs strike a system under the same load: `ransomeye ship` processes that are fed numbered events.
 * Enforces: what may leave is said by an allowance, so that a strike comes in the middle however fast the system is; a shipper that ends early is seen.
 * Forbids: help for the system; shippers wait, come back and send again by their own rules.
 */
import type { ChildProcess } from "node:child_process";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { sleep, systemClock } from "ransomeye-kernel";
import { type CommandResult, finished, type RunningSystem } from "../harness/running_system.ts";
import { Allowance, feedNumberedEvents } from "./numbered_events.ts";
import { storedRows } from "./numbered_rows.ts";

/** How often the stored rows are looked at. */
export const progressPollMs = 20;

export interface LoadPlan {
  /** Options of `ship` that say who ships, for each shipper. */
  readonly identities: readonly (readonly string[])[];
  /** Events are numbered from here … */
  readonly first: number;
  /** … to here. */
  readonly last: number;
  readonly seed: number;
  /** The OCSF version that the events claim; the one of this build unless said. */
  readonly schemaVersion?: string;
}

/** What became of a load. */
export interface Shipped {
  /** Events that shippers have receipts for, as they say. */
  readonly accepted: number;
  /** All of them ended, and said that all is well. */
  readonly ended: boolean;
  readonly results: readonly CommandResult[];
}

interface Shipper {
  readonly command: ChildProcess;
  readonly fed: Promise<void>;
  readonly result: Promise<CommandResult>;
}

/** A load under way. */
export class ShippedLoad {
  /** Numbers up to which events may leave. */
  readonly allowance: Allowance = new Allowance();
  readonly #system: RunningSystem;
  readonly #shippers: readonly Shipper[];

  private constructor(system: RunningSystem, shippers: (allowance: Allowance) => readonly Shipper[]) {
    this.#system = system;
    this.#shippers = shippers(this.allowance);
  }

  /** Starts the shippers. Nothing leaves before it is allowed. */
  static start(system: RunningSystem, { identities, first, last, seed, schemaVersion = OCSF_VERSION }: LoadPlan): ShippedLoad {
    return new ShippedLoad(system, (allowance) =>
      identities.map((identity, i) => {
        const { command, stdin } = system.spawnFed("ship", "-", "--wait", "stored", "--json", ...identity);
        const share = { first: first + i, of: identities.length };
        const fed = feedNumberedEvents(stdin, last, seed + i, schemaVersion, allowance, share);
        return { command, fed, result: finished(command) };
      }),
    );
  }

  /** A shipper has ended, so that not all can be shipped any more or all is. */
  get isOver(): boolean {
    return this.#shippers.some(({ command }) => command.exitCode !== null || command.signalCode !== null);
  }

  /** Waits until the system holds so many rows. Returns how many there are. */
  async untilStored(rows: number): Promise<number> {
    let stored = 0;
    while (stored < rows) {
      if (this.isOver) throw new Error(`a shipper ended before ${rows} events were stored`);
      await sleep(systemClock, progressPollMs);
      // The victim before this one may have been PostgreSQL: it is still recovering, and nothing is known meanwhile.
      stored = await storedRows(this.#system.dataDir).catch(() => stored);
    }
    return stored;
  }

  /** Waits until all have ended. */
  async finished(): Promise<Shipped> {
    const results = await Promise.all(this.#shippers.map(({ fed, result }) => Promise.race([fed, result]).then(() => result)));
    const accepted = results.reduce((sum, { stdout }) => sum + acceptedBy(stdout), 0);
    return { accepted, ended: results.every(({ exitCode }) => exitCode === 0), results };
  }

  /** Ends the shippers that still run. What they had not shipped stays in their spools. */
  abandon(): void {
    for (const { command } of this.#shippers) command.kill("SIGKILL");
  }
}

function acceptedBy(stdout: string): number {
  try {
    return (JSON.parse(stdout) as { readonly accepted?: number }).accepted ?? 0;
  } catch {
    // It was ended before it could say.
    return 0;
  }
}

/** Enrols a producer for each of so many shippers. Gives the options of `ship` for each. */
export async function enrolShippers(system: RunningSystem, shippers: number): Promise<readonly (readonly string[])[]> {
  const identities: (readonly string[])[] = [];
  for (let at = 1; at <= shippers; at += 1) identities.push(await enrolShipper(system, `shipper-${at}`));
  return identities;
}

/** One of them. */
export async function enrolShipper(system: RunningSystem, name: string): Promise<readonly string[]> {
  const { exitCode, stderr } = await system.run("producer", "enroll", name, "--kind", "linux");
  if (exitCode !== 0) throw new Error(`${name} cannot be enrolled: ${stderr}`);
  return ["--producer", name];
}
