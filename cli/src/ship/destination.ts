/**
 * Why it exists: `ship` and the agent find their gateway and their identity in the same way.
 * Enforces: a local identity is enrolled with the system that runs here and with no other; one that was carried here needs its gateway's address alone.
 * Forbids: connecting.
 */
import { CliError } from "../errors.ts";
import { createDataDir, type DataDir } from "../supervisor/data_dir.ts";
import { localHost } from "../supervisor/gateway_address.ts";
import { requireRuntime } from "../supervisor/runtime_file.ts";
import type { LanesOptions } from "./lanes.ts";

/**
 * Where to, and as whom. A local identity is enrolled with the system that runs here; one that was enrolled elsewhere and carried here needs
 * nothing but its gateway's address. @throws CliError CLI_NOT_RUNNING, CLI_UNREACHABLE, CLI_USAGE
 */
export async function destination(
  dir: DataDir,
  producer: string | null,
  gatewayOption: string | undefined,
): Promise<Pick<LanesOptions, "gateway" | "who">> {
  const given = gatewayOption === undefined ? undefined : splitHostPort(gatewayOption);
  if (producer !== null && !identityName.test(producer))
    throw new CliError("CLI_USAGE", `--producer ${producer}: not the name of an identity`);
  if (given !== undefined && producer !== null) {
    await createDataDir(dir);
    return { gateway: given, who: { producer } };
  }
  const runtime = await requireRuntime(dir);
  const at = given ?? runtime.gateway;
  if (at === null) throw new CliError("CLI_UNREACHABLE", "the system is starting; its gateway is not there yet");
  const gateway = { host: localHost(at.host), port: at.port };
  return { gateway, who: producer === null ? { registrySocket: runtime.registrySocket } : { producer } };
}

/** As the registry names producers: nothing that leads out of the folder of identities. */
const identityName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

function splitHostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new CliError("CLI_USAGE", `${text} is not host:port`);
  return { host: match[1] ?? match[2] ?? "", port: Number(match[3]) };
}
