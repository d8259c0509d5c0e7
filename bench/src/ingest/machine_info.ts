/**
 * Why: a figure without its machine is a rumour.
 * Enforces: facts that a reader needs in order to compare, read and not typed.
 * Forbids: names of hosts and paths of whoever ran it.
 */
import { cpus, loadavg, release, type as systemType } from "node:os";
import { machineFacts } from "ransomeye-kernel";
import { distribution } from "ransomeye-tests";
import type { MachineInfo } from "./result.ts";

export function machineInfo(postgres: string): MachineInfo {
  const { cores, memoryBytes, nodeVersion } = machineFacts();
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores,
    memoryGib: Math.round(memoryBytes / 1024 ** 3),
    system: `${distribution()}, ${systemType()} ${release()}`,
    node: nodeVersion,
    postgres,
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}
