/**
 * Why it exists: tools and tests look at a running system from outside, as the reader.
 * Enforces: role ransomeye_reader, found through the data directory's runtime.json.
 * Forbids: any other role.
 */
import { openPool, type Pool, readSecrets, roleConnection } from "ransomeye-db";
import { recordingTelemetry } from "ransomeye-kernel";
import { CliError } from "./errors.ts";
import { dataDirAt } from "./supervisor/data_dir.ts";
import { requireRuntime } from "./supervisor/runtime_file.ts";

/** A pool to the embedded database of the system that runs in `dataDir`; the caller ends it. @throws CliError CLI_NOT_RUNNING, CLI_UNREACHABLE */
export async function openReader(dataDir: string): Promise<Pool> {
  const dir = dataDirAt(dataDir);
  const { postgres } = await requireRuntime(dir);
  if (postgres === null) throw new CliError("CLI_UNREACHABLE", "the system is starting; its database is not open yet");
  const connection = roleConnection(postgres, await readSecrets(dir.databaseSecrets), "ransomeye_reader");
  return openPool({ connection, max: 2, applicationName: "ransomeye reader", telemetry: recordingTelemetry() });
}
