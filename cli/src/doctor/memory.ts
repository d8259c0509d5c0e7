/**
 * Why it exists: several gateways multiply what one may use, and a host that runs out of memory ends a process of its own choice.
 * Enforces: the sum of all bounds is compared with what the machine has, before it matters.
 * Forbids: measuring: what is used now says nothing about a flood.
 */
import { type Config, machineFacts } from "ransomeye-kernel";
import { memoryBytesMax } from "../supervisor/heap_bounds.ts";
import { gatewayProcesses } from "../supervisor/process_names.ts";
import { formatBytes } from "../terminal/format.ts";
import { doubtful, type Finding, fine } from "./finding.ts";

/** PostgreSQL and the operating system's page cache want their part. */
const processesShare = 0.75;

export function checkMemory(config: Config, memoryBytes: number = machineFacts().memoryBytes): Finding {
  const gateways = gatewayProcesses(config.gateway.processes);
  const bytes = memoryBytesMax(config, gateways);
  const text = `all processes at their bounds, ${gateways === 1 ? "one gateway" : `${gateways} gateways`} among them, have ${formatBytes(bytes)} of ${formatBytes(memoryBytes)}`;
  return bytes <= memoryBytes * processesShare
    ? fine("memory", text)
    : doubtful(
        "memory",
        text,
        "Lower gateway.processes or gateway.buffer_bytes_max, or leave the demo fleet out; PostgreSQL needs memory, too.",
      );
}
