/**
 * Why it exists: commands and consumers beside a running system reach its message streams, wherever those lie.
 * Enforces: found through the data directory; role ransomeye_consumer where they lie in the database; where they lie on servers of their own, the
 * database is asked only for what those no longer hold.
 * Forbids: knowing what is read or published.
 */
import type { Pool } from "ransomeye-db";
import type { Telemetry } from "ransomeye-kernel";
import { type MessageLog, openMessageArchive, openPostgresMessages, openRedisMessages } from "ransomeye-pipeline";
import { busOptions, streamBounds } from "../roles/log_place.ts";
import { type BusGuest, readBusFile } from "../supervisor/bus_file.ts";
import { requireRuntime } from "../supervisor/runtime_file.ts";
import type { CommandContext } from "./command.ts";
import { openAs, type Reader } from "./context.ts";

/** The running system's message streams, with the rights of this guest where its servers know users; `close` gives up what was opened for them. @throws CliError CLI_NOT_RUNNING, CLI_UNREACHABLE; BusError */
export async function openMessageStreams(context: CommandContext, telemetry: Telemetry, guest: BusGuest): Promise<MessageLog> {
  const dir = await context.dataDir();
  const { streams } = await requireRuntime(dir);
  const bounds = streams === undefined ? {} : streamBounds(streams);
  const servers = await readBusFile(dir, guest);
  if (servers === undefined) {
    const database = await openAs(context, "ransomeye_consumer");
    const log = openPostgresMessages({ pool: database.pool, telemetry, ...bounds });
    return Object.assign(log, { close: () => database[Symbol.asyncDispose]() });
  }
  // Of its database it needs what its servers no longer hold, and mostly nothing.
  let database: Reader | undefined;
  const pool = async (): Promise<Pool> => (database ??= await openAs(context, "ransomeye_consumer")).pool;
  const archive = openMessageArchive({ pool, telemetry });
  const log = await openRedisMessages({ ...busOptions(servers), ...bounds, clock: context.clock, telemetry, archive });
  const closeLog = log.close.bind(log);
  return Object.assign(log, {
    close: async () => {
      await closeLog();
      await database?.[Symbol.asyncDispose]();
    },
  });
}
