// Why: whoever clears a log or stops the service wants to be forgotten, and Windows writes that down last of all.
// Enforces: clearing, archiving, starting and stopping as activities of the log that they were done to.
// Forbids: the log that an event stands in as the log that it is about, unless they are one.

import type { Fields } from "../json.ts";
import { fileAt } from "../ocsf_parts.ts";
import { type Part, subjectOf, table } from "./parts.ts";

const service = "Microsoft-Windows-Eventlog";

function ofService(activityId: number): (data: Fields) => Part {
  return (data) => ({ classUid: 1008, activityId, fields: { log_provider: service, actor: subjectOf(data) } });
}

/** Event 104 stands in System and names the log; where only the rendered message has come, that does. */
function clearedLog(data: Fields): string | undefined {
  const message = data.peek("Message");
  return data.text("Channel") ?? (typeof message === "string" ? /^The (.+) log file was cleared/.exec(message)?.[1] : undefined);
}

function cleared(logName: (data: Fields) => string | undefined): (data: Fields) => Part {
  return (data) => ({
    classUid: 1008,
    activityId: 1,
    fields: { log_name: logName(data), log_provider: service, actor: subjectOf(data) },
  });
}

/** A full log was put aside, and a new one begun. */
function archived(data: Fields): Part {
  return {
    classUid: 1008,
    activityId: 4,
    fields: { log_name: data.text("Channel") ?? "Security", log_provider: service, file: fileAt(data.text("BackupPath")) },
  };
}

/** Readers by event id of Microsoft-Windows-Eventlog, in Security and System. */
export const eventLogParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = table([
  [104, cleared(clearedLog)],
  [1100, ofService(7)],
  [1102, cleared(() => "Security")],
  [1105, archived],
]);

/** Readers by event id of the provider EventLog, which tells of the service's own life. */
export const eventLogServiceParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = table([
  [6005, ofService(6)],
  [6006, ofService(7)],
]);
