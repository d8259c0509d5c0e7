/**
 * Why it exists: the supervisor starts its roles through the same program, so there is one thing to install.
 * Enforces: each role's code is loaded in its own process only.
 * Forbids: use by hand: without a supervisor's channel it refuses.
 */
import { CliError } from "../errors.ts";
import type { Role } from "../roles/role_process.ts";
import { type RoleName, roleNames } from "../supervisor/runtime_file.ts";
import type { CommandSpec } from "./command.ts";

const loaders: Readonly<Record<RoleName, () => Promise<Role>>> = {
  registry: async () => (await import("../roles/registry.ts")).registryRole,
  gateway: async () => (await import("../roles/gateway.ts")).gatewayRole,
  engine: async () => (await import("../roles/engine.ts")).engineRole,
  keeper: async () => (await import("../roles/keeper.ts")).keeperRole,
  sealer: async () => (await import("../roles/sealer.ts")).sealerRole,
  indexer: async () => (await import("../roles/indexer.ts")).indexerRole,
  forensics: async () => (await import("../roles/forensics.ts")).forensicsRole,
  demo: async () => (await import("../roles/demo.ts")).demoRole,
};

export const roleCommand: CommandSpec = {
  path: "role",
  args: "<role>",
  summary: "internal: one role's process, started by the supervisor",
  options: [],
  examples: [
    { line: "ransomeye role engine", says: "Refused by hand: roles take their orders and credentials from a supervisor's channel." },
  ],
  exits: ["ok", "usage"],
  hidden: true,
  async run(_context, [name]) {
    const role = roleNames.find((known) => known === name);
    if (role === undefined) throw new CliError("CLI_USAGE", `there is no role ${name}; there are ${roleNames.join(", ")}`);
    const { runRole } = await import("../roles/role_process.ts");
    await runRole(await loaders[role]());
    // The process lives until the supervisor says otherwise.
    await new Promise(() => undefined);
    return "ok";
  },
};
