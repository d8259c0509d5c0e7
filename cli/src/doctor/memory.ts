/**
 * Why it exists: several gateways multiply what one may use, and a host that runs out of memory ends a process of its own choice.
 * Enforces: the sum of all bounds is compared with what the machine has, before it matters.
 * Forbids: measuring: what is used now says nothing about a flood.
 */
import { type Config, machineFacts } from "ransomeye-kernel";
import { besideOf } from "../host/beside.ts";
import { planHost } from "../host/plan.ts";
import { formatBytes } from "../terminal/format.ts";
import { doubtful, type Finding, fine } from "./finding.ts";

/** Looks at the plan for this machine, or for one with so much memory. */
export function checkMemory(config: Config, memoryBytes: number = machineFacts().memoryBytes): Finding {
  const { cores } = machineFacts();
  const plan = planHost({ cores, memoryBytes, diskFreeBytes: Number.MAX_SAFE_INTEGER, config, beside: besideOf(config) });
  const count = plan.services.find(({ name }) => name === "gateway")?.processes ?? 0;
  const gateways = count === 1 ? "one gateway" : `${count} gateways`;
  return plan.fits
    ? fine(
        "memory",
        `all services at their bounds, ${gateways} among them, fit ${formatBytes(memoryBytes)}; \`doctor --plan\` shows who may have what`,
      )
    : doubtful(
        "memory",
        `all services at their bounds, ${gateways} among them, need ${formatBytes(plan.neededBytes)} and the machine has ${formatBytes(memoryBytes)}`,
        "Lower gateway.sessions_max, gateway.processes or gateway.buffer_bytes_max, or leave the demo fleet out; `ransomeye doctor --plan` shows who may have what.",
      );
}
