/**
 * Why it exists: operators' commands ask the running registry over its private socket, all in the same way.
 * Enforces: a running system; what the registry refuses comes back with its reason.
 * Forbids: nothing beyond that.
 */
import { registryRequest } from "../registry/client.ts";
import type { Question } from "../registry/requests.ts";
import { requireRuntime } from "../supervisor/runtime_file.ts";
import type { CommandContext } from "./command.ts";

/** Asks. @throws CliError CLI_NOT_RUNNING, CLI_UNREACHABLE, CLI_REGISTRY_REFUSED */
export async function ask(context: CommandContext, question: Question): Promise<unknown> {
  const { registrySocket } = await requireRuntime(await context.dataDir());
  return registryRequest(registrySocket, question, context.clock);
}
