/**
 * Why: proofs read and write a running system's message streams as any consumer on its host does.
 * Enforces: through the door that consumers have, with a consumer's rights, wherever the streams lie.
 * Forbids: looking into tables, and a way of a proof's own.
 */
import { recordingTelemetry } from "ransomeye-kernel";
import type { MessageLog } from "ransomeye-pipeline";
import { openStreams as openAnywhere } from "ransomeye/streams";
import type { RunningSystem } from "./running_system.ts";

/** The system's message streams, as a consumer on this host opens them. */
export function openStreams({ dataDir }: RunningSystem): Promise<MessageLog> {
  return openAnywhere({ dataDir, telemetry: recordingTelemetry() });
}
