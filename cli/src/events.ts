/**
 * Why it exists: what the supervisor, the registry and the other roles report, in one list.
 * Enforces: one definition gives the log line and the metric.
 * Forbids: free log text; ERROR for anything but data at risk or an operator needed.
 */
import { defineEvent, defineGauge, type EventDefinition, type GaugeDefinition } from "ransomeye-kernel";

export const registryRequest: EventDefinition<{ op: string; outcome: string }> = defineEvent({
  name: "registry_request",
  level: "info",
  help: "The registry answered a request.",
  counter: { name: "registry_requests_total", help: "Requests answered by the registry.", labels: ["op", "outcome"] },
});
export const registryConnectionFailed: EventDefinition<{ reason: string }> = defineEvent({
  name: "registry_connection_failed",
  level: "warn",
  help: "A connection to the registry's socket ended badly.",
  counter: { name: "registry_connections_failed_total", help: "Connections to the registry's socket that ended badly.", labels: [] },
});
export const registryLost: EventDefinition<{ reason: string; version: number }> = defineEvent({
  name: "registry_lost",
  level: "warn",
  help: "The registry is not heard; its last word ages until it is.",
  counter: { name: "registry_lost_total", help: "Times that the connection to the registry ended.", labels: [] },
});
export const registrySynced: EventDefinition<{ version: number }> = defineEvent({
  name: "registry_synced",
  level: "debug",
  help: "A snapshot or change of the registry was taken over.",
  counter: { name: "registry_changes_total", help: "Snapshots and changes taken over.", labels: [] },
});
export const producerEnrolled: EventDefinition<{ producer: string; kind: string; name: string; known: boolean }> = defineEvent({
  name: "producer_enrolled",
  level: "info",
  help: "A producer was enrolled, or asked again with a known key.",
  counter: { name: "producers_enrolled_total", help: "Enrolments answered.", labels: ["kind"] },
});
export const producerBarred: EventDefinition<{ producer: string; status: string }> = defineEvent({
  name: "producer_status_changed",
  level: "warn",
  help: "A producer was suspended, resumed or revoked.",
  counter: { name: "producer_status_changes_total", help: "Suspensions, resumptions and revocations.", labels: ["status"] },
});
export const cloneSuspected: EventDefinition<{ producer: string; evidence: string; detail: string }> = defineEvent({
  name: "clone_suspected",
  level: "error",
  help: "One identity is in use on two machines, by all signs (R-6); `ransomeye producer clones` lists it.",
  counter: { name: "clones_suspected_total", help: "New findings of suspected clones.", labels: ["evidence"] },
  alarm: { title: "One identity is in use on two machines, by all signs", severity: "critical", about: ["producer", "evidence"] },
});
export const authorityChanged: EventDefinition<{ what: string; pin: string; certificates: number }> = defineEvent({
  name: "authority_changed",
  level: "warn",
  help: "Another authority took over, or the one before it was retired with its certificates.",
  counter: { name: "authority_changes_total", help: "Takeovers and retirements of authorities.", labels: ["what"] },
});
export const certificateEnding: EventDefinition<{ what: string; days: number }> = defineEvent({
  name: "certificate_ending",
  level: "warn",
  help: "A certificate of this installation ends within 30, 14 or 7 days.",
});
export const enrolmentAnswered: EventDefinition<{ path: string; outcome: string; source: string }> = defineEvent({
  name: "enrolment_answered",
  level: "info",
  help: "An agent's request was answered over the network.",
  counter: { name: "enrolment_requests_total", help: "Requests of agents, by path and outcome.", labels: ["path", "outcome"] },
});
export const enrolmentTurnedAway: EventDefinition<{ reason: string; source: string }> = defineEvent({
  name: "enrolment_turned_away",
  level: "debug",
  help: "A connection to the enrolment listener ended before a request.",
  counter: { name: "enrolment_turned_away_total", help: "Connections that ended before a request, by reason.", labels: ["reason"] },
});
export const enrolmentListening: EventDefinition<{ address: string }> = defineEvent({
  name: "enrolment_listening",
  level: "info",
  help: "Agents may enrol and renew over the network.",
});
export const materialFailed: EventDefinition<{ reason: string }> = defineEvent({
  name: "gateway_material_failed",
  level: "error",
  help: "The gateway cannot take over its new key, certificate or authorities; it goes on with the old ones.",
  counter: { name: "gateway_material_failures_total", help: "Times that new TLS material could not be taken over.", labels: [] },
  alarm: { title: "A gateway cannot take over its new key, certificate or authorities", severity: "high", about: [] },
});
export const roleReady: EventDefinition<{ ms: number }> = defineEvent({
  name: "role_ready",
  level: "info",
  help: "The role does its work now.",
});
export const roleStopped: EventDefinition<{ reason: string }> = defineEvent({
  name: "role_stopped",
  level: "info",
  help: "The role ends.",
});
export const roleFailed: EventDefinition<{ code: string; reason: string }> = defineEvent({
  name: "role_failed",
  level: "error",
  help: "The role cannot go on; the supervisor starts it again.",
  noAlarm: "the supervisor tells it as child_ended, with the same code",
});
export const childEnded: EventDefinition<{ child: string; how: string; restarts: number; pauseMs: number; code: string | undefined }> =
  defineEvent({
    name: "child_ended",
    level: "error",
    help: "A process ended without being asked to; it is started again after a pause. `code` is what it said before, if it said anything.",
    counter: { name: "child_restarts_total", help: "Processes that ended without being asked to.", labels: ["child"] },
    alarm: { title: "A process of the system ended without being asked to", severity: "high", about: ["child"] },
  });
export const retentionHeld: EventDefinition<{ day: string; reason: string }> = defineEvent({
  name: "retention_held",
  level: "warn",
  help: "A day is due to be dropped but still holds what a group has not read, or is today's.",
});
export const busPaused: EventDefinition<{ reason: string; freeBytes: number }> = defineEvent({
  name: "bus_paused",
  level: "error",
  help: "Appends are paused until the reason is gone; producers keep their events (R-33).",
  counter: { name: "bus_pauses_total", help: "Times that appends were paused.", labels: ["reason"] },
  alarm: { title: "Nothing is taken in: the bus is paused", severity: "critical", about: ["reason"] },
});
export const logLost: EventDefinition<{ parts: string }> = defineEvent({
  name: "log_lost",
  level: "error",
  help: "The log's servers do not hold any more what was read from them: a replica that lagged took over, or an old state was brought back. Nothing is taken until it is there again, or an operator starts with --after-loss.",
  counter: { name: "log_losses_total", help: "Times that the log's servers were found to lack a part of the log.", labels: [] },
  alarm: { title: "The log's servers have lost a part of the log", severity: "critical", about: [] },
});
export const logFound: EventDefinition<{ parts: string }> = defineEvent({
  name: "log_found",
  level: "info",
  help: "The log's servers hold again what they lacked, in these partitions.",
});
export const deadLetterFound: EventDefinition<{ stream: string; group: string; message_id: string; reason: string }> = defineEvent({
  name: "dead_letter_found",
  level: "error",
  help: "A group could not handle a message, and it lies among the dead letters until a person decides: `ransomeye dlq list`.",
  counter: { name: "dead_letters_found_total", help: "Dead letters that came into their stream.", labels: ["stream", "group"] },
  alarm: { title: "A message went to the dead letters: nobody could handle it", severity: "medium", about: ["stream", "group"] },
});
export const ledgerUnbalanced: EventDefinition<{ since_us: number }> = defineEvent({
  name: "ledger_unbalanced",
  level: "error",
  help: "Signed sequence numbers are neither stored nor dead-lettered nor declared lost nor in flight, or they are so twice; `ransomeye audit` shows whose.",
  counter: { name: "ledger_imbalances_total", help: "Times that the ledger was found unbalanced after it had been balanced.", labels: [] },
  alarm: { title: "The ledger does not balance: events are missing or doubled", severity: "critical", about: [] },
});
export const systemReturned: EventDefinition<{ since: string }> = defineEvent({
  name: "system_returned",
  level: "error",
  help: "The system that ran before in this data directory, since this time, had ended without being stopped. What it would still have counted of its last alarms nobody has counted.",
  counter: { name: "system_returns_total", help: "Starts after an end that nobody asked for.", labels: [] },
  alarm: { title: "The system had ended without being stopped, and runs again", severity: "medium", about: [] },
});
export const alertWaits: EventDefinition<{ alarm: string; process: string; count: number }> = defineEvent({
  name: "alert_waits",
  level: "debug",
  help: "An alarm is on its way to stream:alerts.",
  counter: { name: "alerts_total", help: "Messages made of alarms, by name of the alarm.", labels: ["alarm"] },
});
export const alertsMissed: EventDefinition<{ alarm: string; process: string; count: number }> = defineEvent({
  name: "alerts_missed",
  level: "error",
  help: "Alarms cannot reach stream:alerts for so long that one of them found no room to wait. As soon as there is room, one message tells how many.",
  counter: { name: "alerts_missed_total", help: "Alarms that stream:alerts knows by their number alone.", labels: [], by: "count" },
  alarm: { title: "Alarms found no room to wait: the logs have them", severity: "high", about: [] },
});
export const alertsUnkept: EventDefinition<{ reason: string }> = defineEvent({
  name: "alerts_unkept",
  level: "warn",
  help: "Alarms that wait cannot be read from or written to their file; they wait in memory alone.",
  counter: { name: "alerts_unkept_total", help: "Failed attempts to read or write the file of alarms that wait.", labels: [] },
});
export const alertForeign: EventDefinition<{ process: string }> = defineEvent({
  name: "alert_foreign",
  level: "warn",
  help: "A process told the supervisor an alarm that is none; it is not believed.",
  counter: { name: "alerts_foreign_total", help: "Alarms of processes that were not believed.", labels: ["process"] },
});
export const alertsWaiting: GaugeDefinition = defineGauge({
  name: "alerts_waiting",
  help: "Alarms that the keeper has not put into the outbox yet.",
  unit: "alarms",
  labels: [],
});
export const busResumed: EventDefinition<{ freeBytes: number }> = defineEvent({
  name: "bus_resumed",
  level: "info",
  help: "Appends go on.",
});
export const keeperFailed: EventDefinition<{ task: string; reason: string }> = defineEvent({
  name: "keeper_failed",
  level: "warn",
  help: "A housekeeping task failed; it is tried again at the next round.",
  counter: { name: "keeper_failures_total", help: "Housekeeping tasks that failed.", labels: ["task"] },
});
export const demoTold: EventDefinition<{ chapter: string; host: string }> = defineEvent({
  name: "demo_told",
  level: "info",
  help: "The demo's story reached a chapter.",
});
