/**
 * Why it exists: the supervisor starts each process with what the plan gives it, and puts it in its place on the host.
 * Enforces: the plan of `doctor --plan` is what runs: heaps, PostgreSQL's settings, priorities and, where a control group was handed over, its division.
 * Forbids: a second derivation.
 */
import { type Config, diskFacts, invariant, machineFacts } from "ransomeye-kernel";
import { formatBytes } from "../terminal/format.ts";
import type { RoleName } from "../supervisor/runtime_file.ts";
import { besideOf } from "./beside.ts";
import { ControlGroups } from "./control_groups.ts";
import { type HostPlan, planHost, type ServicePlan } from "./plan.ts";
import { prioritise } from "./priorities.ts";
import { type ServiceName, services } from "./services.ts";

/** This host, as the supervisor divides it. */
export class Host {
  readonly plan: HostPlan;
  readonly #groups: ControlGroups | undefined;

  private constructor(plan: HostPlan, groups: ControlGroups | undefined) {
    this.plan = plan;
    this.#groups = groups;
  }

  /** Plans for this machine. A machine that is too small is said, and everything runs with the least. @throws CliError CLI_CONTROL_GROUPS */
  static async open(config: Config, dataDir: string, say: (line: string) => void): Promise<Host> {
    const { cores, memoryBytes } = machineFacts();
    const { freeBytes } = await diskFacts(dataDir);
    const plan = planHost({ cores, memoryBytes, diskFreeBytes: freeBytes, config, beside: besideOf(config) });
    if (!plan.fits)
      say(
        `this machine has ${formatBytes(memoryBytes)} of memory, and its services may need ${formatBytes(plan.neededBytes)}: see \`ransomeye doctor --plan\``,
      );
    const own = line(plan, "supervisor");
    prioritise(process.pid, services.supervisor);
    const groups = config.supervisor.controlGroups ? ControlGroups.open(process.pid, own, say) : undefined;
    return new Host(plan, groups);
  }

  /** Bound of a role's heap in MiB. */
  heapMibMax(role: RoleName): number {
    return line(this.plan, role).heapMibMax ?? 0;
  }

  /** A process has just been started: `name` is its own where a service has several. */
  settle(pid: number, service: ServiceName, name: string = service): void {
    prioritise(pid, services[service]);
    this.#groups?.place(pid, name, line(this.plan, service));
  }
}

function line(plan: HostPlan, service: ServiceName): ServicePlan {
  const found = plan.services.find(({ name }) => name === service);
  invariant(found !== undefined, `the plan has no ${service}`);
  return found;
}
