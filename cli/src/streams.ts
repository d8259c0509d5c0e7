/**
 * Why it exists: the door for consumers: whoever may read a system's data directory finds its message streams there, in the database or on Redis servers.
 * Enforces: nothing but the streams is handed out; what is done with them goes through ransomeye-pipeline.
 * Forbids: a second way to find a system; commands use the same one.
 */
import type { Telemetry } from "ransomeye-kernel";
import type { MessageLog } from "ransomeye-pipeline";
import { createContext } from "./commands/context.ts";
import { openMessageStreams } from "./commands/message_streams.ts";

export interface StreamsOptions {
  /** Where the system keeps everything; default as for every command: RANSOMEYE_DATA_DIR, else `.ransomeye` in this folder. */
  readonly dataDir?: string;
  readonly telemetry: Telemetry;
}

/** The message streams of the system that runs in a data directory. @throws CliError CLI_NOT_RUNNING, CLI_UNREACHABLE; BusError */
export function openStreams({ dataDir, telemetry }: StreamsOptions): Promise<MessageLog> {
  return openMessageStreams(createContext(dataDir === undefined ? {} : { dataDir }), telemetry, "consumer");
}
