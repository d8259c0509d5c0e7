/**
 * Why: the faults of a bus on Redis servers, by name.
 * Enforces: a fault is struck once, at a moment and for a time that a seed decides, and when it is over everything runs again.
 * Forbids: signals to processes that neither the system's runtime file nor we ourselves name.
 */
import type { Random } from "ransomeye-kernel";
import type { BusServers } from "./bus_servers.ts";
import { laggingFailover } from "./lagging_failover.ts";
import { engineKill, engineStop, gatewayKill, keeperKill, leaseMsMin } from "./process_faults.ts";
import { clusterFailover, serverKill, serverStop } from "./server_faults.ts";
import type { Stage } from "./stage.ts";

/** Struck and judged. */
export const judgedFaults = [
  "server-kill",
  "cluster-failover",
  "engine-kill",
  "engine-stop",
  "gateway-kill",
  "server-stop",
  "keeper-kill",
  "lagging-failover",
] as const;
export type JudgedFault = (typeof judgedFaults)[number];

/** The weaker level, whose losses are measured. */
export const measuredFault = "weak-failover";
export type FaultName = JudgedFault | typeof measuredFault;

export interface Fault {
  readonly on: BusServers["kind"];
  /** Configuration of the system, as `field=value`. */
  readonly settings: readonly string[];
  /** Strikes, and gives everything back. Says what was hit. */
  strike(stage: Stage, random: Random): Promise<string>;
}

/** A receipt waits for one replica besides. */
const replicated: readonly string[] = ["bus.durability=replicated", "bus.replicas_min=1"];

export const faults: Readonly<Record<JudgedFault, Fault>> = {
  "server-kill": { on: "one", settings: [], strike: serverKill },
  "cluster-failover": { on: "cluster", settings: replicated, strike: clusterFailover },
  "engine-kill": { on: "one", settings: [], strike: engineKill },
  "engine-stop": { on: "one", settings: [`engine.lease_ms=${leaseMsMin}`], strike: engineStop },
  "gateway-kill": { on: "one", settings: ["gateway.processes=2"], strike: gatewayKill },
  "server-stop": { on: "one", settings: [], strike: serverStop },
  "lagging-failover": { on: "cluster", settings: [...replicated, "gateway.processes=2"], strike: laggingFailover },
  // Frames that became rows go as soon as they may, so that trimming is under way when the keeper dies.
  "keeper-kill": { on: "one", settings: ["bus.keep_ms_max=1000"], strike: keeperKill },
};
