/**
 * Why: three parts that a gateway depends on can be away for a minute: the engine, the bus, the network.
 * Enforces: a fault begins and ends on command and leaves nothing behind; only processes that the system's own runtime file names are struck.
 * Forbids: faults that a real host cannot have: a stopped process, a server that cannot start, a network that delays, swallows and cuts.
 */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { RunningSystem } from "../harness/running_system.ts";
import type { NetworkProxy } from "./network_proxy.ts";

export const faultNames = ["engine", "bus", "network"] as const;
export type FaultName = (typeof faultNames)[number];

/** What is struck. */
export interface Struck {
  readonly system: RunningSystem;
  /** Between producers and gateway. */
  readonly proxy: NetworkProxy;
}

export interface Fault {
  begin(struck: Struck): Promise<void>;
  /** Called once in each second of the outage; `share` of it is over. */
  goOn(struck: Struck, share: number): void;
  end(struck: Struck): Promise<void>;
}

/** Whether a producer hears of it: the gateway pauses where it cannot hand on; beyond a broken network nobody hears anything. */
export const tellsProducers: Readonly<Record<FaultName, boolean>> = { engine: true, bus: true, network: false };

export const faults: Readonly<Record<FaultName, Fault>> = {
  engine: {
    begin: async ({ system }) => void (await system.signal("engine", "SIGSTOP")),
    goOn: () => undefined,
    end: async ({ system }) => void (await system.signal("engine", "SIGCONT")),
  },
  bus: {
    async begin({ system }) {
      // The supervisor would start it again at once: without its settings file the server does not start.
      await rename(settingsFile(system), `${settingsFile(system)}.away`);
      await system.kill("postgres");
    },
    goOn: () => undefined,
    end: ({ system }) => rename(`${settingsFile(system)}.away`, settingsFile(system)),
  },
  network: {
    begin: ({ proxy }) => Promise.resolve(proxy.become("delay")),
    goOn: ({ proxy }, share) => proxy.become(share < 1 / 3 ? "delay" : share < 2 / 3 ? "swallow" : "cut"),
    end: ({ proxy }) => Promise.resolve(proxy.become("pass")),
  },
};

function settingsFile(system: RunningSystem): string {
  return join(system.dataDir, "postgres", "postgresql.conf");
}
