/**
 * Why it exists: the forensics trigger's process: its death and its slowness are its own (BUS-10, BUS-11).
 * Enforces: ready means that the log knows its group, which therefore misses nothing from then on; a short lease, so that what a killed one held comes
 * back soon.
 * Forbids: anything but wiring.
 */
import { forensicsGroup, startForensicsTrigger } from "ransomeye-engine";
import { MessagePriority, MessageQueueManager, StreamName } from "ransomeye-pipeline";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { openMessageLog } from "./log_place.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

const leaseMs = 10_000;

/** The forensics trigger's process. */
export const forensicsRole: Role = async (context) => {
  const { begin, clock, random, telemetry, lifetime } = context;
  const { config } = begin;
  const log = await openMessageLog(context, openRolePool(context, roleConnections(config).forensics));
  const queue = new MessageQueueManager({ log, producerId: begin.name, clock, random, telemetry, leaseMs });
  await queue.createGroup(StreamName.attacks, forensicsGroup, "beginning");
  const stopping = new AbortController();
  startForensicsTrigger({ queue, telemetry, priorityMin: MessagePriority[config.forensics.priorityMin], stopping: stopping.signal });
  lifetime.defer("forensics trigger", async () => {
    stopping.abort(new Error("stopping"));
    await queue.close();
  });
};
