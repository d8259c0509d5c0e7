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
export const registryWasBehind: EventDefinition<{ version: number; raised_to: number }> = defineEvent({
  name: "registry_was_behind",
  level: "error",
  help: "The log has heard of a newer registry than the database holds: the database came from a backup. Who was barred since then is not: revoke again.",
  counter: { name: "registry_behind_total", help: "Starts at which the registry was older than the log's word.", labels: [] },
  alarm: {
    title: "The registry came from a backup: who was barred since then is not, until somebody revokes again",
    severity: "critical",
    about: [],
  },
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
  help: "A day is due to be dropped but still holds what a group has not read, is today's, or was not signed away by the sealer within an hour.",
});
export const clockJumped: EventDefinition<{ hours: number }> = defineEvent({
  name: "clock_jumped",
  level: "error",
  help: "The clock was set forward by more than a day while the keeper ran, so that days look older than they are: retention takes nothing by age for a day. Set the clock right, or do nothing if it is right now.",
  counter: { name: "clock_jumps_total", help: "Times that the keeper's clock was set forward by more than a day.", labels: [] },
  alarm: { title: "The clock was set forward by more than a day", severity: "high", about: [] },
});
export const removalWaits: EventDefinition<{ day: string; seconds: number; tables: number }> = defineEvent({
  name: "removal_waits",
  level: "warn",
  help: "A day was counted as expired a while ago and is not gone: a transaction has been open since before, and the bytes come free when it ends.",
});
export const detachFailed: EventDefinition<{ reason: string }> = defineEvent({
  name: "detach_failed",
  level: "warn",
  help: "The supervisor could not detach a counted day; it is asked again.",
  counter: { name: "detaches_failed_total", help: "Attempts to detach a counted day that ended in an error.", labels: [] },
});
export const statementSigned: EventDefinition<{ number: number; hash: string }> = defineEvent({
  name: "statement_signed",
  level: "info",
  help: "The sealer signed a statement; whoever keeps this line elsewhere can tell a chain that was made anew.",
  counter: { name: "statements_signed_total", help: "Statements that the sealer has signed.", labels: [] },
});
export const dayExpirySigned: EventDefinition<{ day: string; policy: string; actor: string; entries: number; chains: number }> =
  defineEvent({
    name: "day_expiry_signed",
    level: "info",
    help: "The sealer signed that a day goes by rule; retention may drop it now.",
  });
export const entryMissing: EventDefinition<{ part: number; off: number }> = defineEvent({
  name: "log_entry_missing",
  level: "error",
  help: "An entry of the log is missing between two that are there, so that nothing behind it can be sealed.",
  counter: { name: "log_entries_missing_total", help: "Rounds of the sealer that found an entry missing.", labels: [] },
  alarm: { title: "An entry of the log is missing", severity: "critical", about: ["part", "off"] },
});
export const attestationAnswered: EventDefinition<{ outcome: string }> = defineEvent({
  name: "attestation_answered",
  level: "info",
  help: "The sealer was asked to attest an event, and has signed, or said why not.",
  counter: { name: "attestations_answered_total", help: "Answers of the sealer to whoever asked for an attestation.", labels: ["outcome"] },
});
export const entryChanged: EventDefinition<{ part: number; off: number; checkpoint: number }> = defineEvent({
  name: "log_entry_changed",
  level: "error",
  help: "An entry of the log is not the one that a checkpoint was signed over: it was changed in the database.",
  counter: {
    name: "log_entries_changed_total",
    help: "Times that the sealer found an entry changed when it was to attest an event.",
    labels: [],
  },
  alarm: { title: "A sealed entry of the log was changed", severity: "critical", about: ["part", "off"] },
});
export const observablesIndexed: EventDefinition<{ batches: number; bytes: number; keys: number; sorted: number }> = defineEvent({
  name: "observables_indexed",
  level: "debug",
  help: "The indexer noted which values some batches hold, or sorted what had gathered of a day.",
  counter: { name: "observables_indexed_batches_total", help: "Batches whose values were indexed.", labels: [], by: "batches" },
});
export const busPaused: EventDefinition<{ reason: string; freeBytes: number }> = defineEvent({
  name: "bus_paused",
  level: "error",
  help: "Appends are paused until the reason is gone; producers keep their events (R-33).",
  counter: { name: "bus_pauses_total", help: "Times that appends were paused.", labels: ["reason"] },
  alarm: { title: "Nothing is taken in: the bus is paused", severity: "critical", about: ["reason"] },
});
export const serverStrained: EventDefinition<{ signal: string; level: number }> = defineEvent({
  name: "server_strained",
  level: "warn",
  help: "PostgreSQL shows that it has too much to do: producers are slowed down from 5/8 of the value at which they pause, and hear the signal's name.",
  counter: { name: "server_strains_total", help: "Times that the database server began to suffer from a signal.", labels: ["signal"] },
});
export const serverStrainOver: EventDefinition<{ signal: string }> = defineEvent({
  name: "server_strain_over",
  level: "info",
  help: "What PostgreSQL suffered from is over.",
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
export const ledgerUnbalanced: EventDefinition<{ imbalance: number; misplaced_epochs: number; unbalanced_epochs: number }> = defineEvent({
  name: "ledger_unbalanced",
  level: "error",
  help: "Signed sequence numbers are neither stored nor dead-lettered nor declared lost nor in flight, or they are so twice; `ransomeye audit` shows whose. Told when the finding is another one than before.",
  counter: { name: "ledger_imbalances_total", help: "Findings that the ledger does not balance, each counted once.", labels: [] },
  alarm: { title: "The ledger does not balance: events are missing or doubled", severity: "critical", about: [] },
});
export const ledgerSumsDiffer: EventDefinition<{ epochs: number }> = defineEvent({
  name: "ledger_sums_differ",
  level: "error",
  help: "A recount of all rows finds other figures than the ledger's sums: rows that had been counted were removed, added or changed since, or the sums were; `ransomeye audit` shows whose.",
  counter: {
    name: "ledger_sums_differ_total",
    help: "Recounts that found other figures than the ledger's sums, each finding counted once.",
    labels: [],
  },
  alarm: { title: "Stored events are not what the ledger had counted", severity: "critical", about: [] },
});
export const ledgerFolded: EventDefinition<{ epochs: number; folded: number; ms: number }> = defineEvent({
  name: "ledger_folded",
  level: "debug",
  help: "What had been stored since was brought into the ledger's sums.",
  counter: { name: "ledger_folded_total", help: "Sequence numbers brought into the ledger's sums.", labels: [], by: "folded" },
});
export const ledgerImbalance: GaugeDefinition = defineGauge({
  name: "ledger_imbalance",
  help: "Sequence numbers by which the ledger does not add up, over all epochs of all producers without their sign; 0 when all is well.",
  unit: "sequence numbers",
  labels: [],
});
export const ledgerUnbalancedEpochs: GaugeDefinition = defineGauge({
  name: "ledger_unbalanced_epochs",
  help: "Epochs of producers whose ledger is wrong: it does not add up, numbers are missing and others doubled, or rows are ahead of the log; 0 when all is well.",
  unit: "epochs",
  labels: [],
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
