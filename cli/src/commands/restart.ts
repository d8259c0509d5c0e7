/**
 * Why it exists: starting a role's processes again without stopping the system.
 * Enforces: the running supervisor does it, for they are its children; what happens is shown while it happens.
 * Forbids: signals to processes from here.
 */
import { join } from "node:path";
import { askSupervisor, controlSocketName } from "../supervisor/control.ts";
import { requireRuntime } from "../supervisor/runtime_file.ts";
import type { CommandSpec } from "./command.ts";

export const restartCommand: CommandSpec = {
  path: "restart",
  args: "<process>",
  summary: "start a role's processes again, one after the other, without losing an event",
  prose:
    "Takes a role (gateway, engine, keeper, registry, sealer, indexer, forensics, demo) or the name of one process as `status` shows it (gateway-2). Each process finishes what it has accepted and leaves; the next one's turn comes when it is ready again. A gateway answers the batches in flight and tells its producers when to come back; meanwhile the other gateways of this port serve them, and where there is one gateway only, connections wait until it is back. Producers keep in their spools what nobody has receipted, so nothing is lost or stored twice.",
  options: [],
  examples: [
    { line: "ransomeye restart gateway", says: "A rolling restart: one gateway after the other." },
    { line: "ransomeye restart gateway-2", says: "That one process." },
  ],
  json: `{"restarted": string}`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [what = ""]) {
    const { socketDir } = await requireRuntime(await context.dataDir());
    await askSupervisor(join(socketDir, controlSocketName), { op: "restart", what }, (message) => context.note(message));
    context.result({ restarted: what }, "");
    return "ok";
  },
};
