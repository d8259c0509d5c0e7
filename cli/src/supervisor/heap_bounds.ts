/**
 * Why it exists: a process that grows without bound takes the host along; how large each role may become is said once, for the supervisor and for `doctor`.
 * Enforces: a heap bound for each role. Reaching it ends the process, which comes back.
 * Forbids: counting what is no heap: a gateway's frames have a bound of their own (`gateway.buffer_bytes_max`), and so has PostgreSQL.
 */
import type { Config } from "ransomeye-kernel";
import { gatewayProcesses } from "./process_names.ts";
import type { RoleName } from "./runtime_file.ts";

/** Heap bound of one process of each role in MiB. */
export const heapMibMax: Readonly<Record<RoleName, number>> = {
  registry: 512,
  gateway: 768,
  engine: 1024,
  keeper: 256,
  forensics: 128,
  demo: 256,
};

const mib = 1024 * 1024;

/** Bytes that all processes together have when each is at its bound. */
export function memoryBytesMax(config: Config, gateways: number = gatewayProcesses(config.gateway.processes)): number {
  const { registry, gateway, engine, keeper, forensics, demo } = heapMibMax;
  const others = registry + engine + keeper + (config.forensics.enabled ? forensics : 0) + (config.demo.enabled ? demo : 0);
  return others * mib + gateways * (gateway * mib + config.gateway.bufferBytesMax);
}
