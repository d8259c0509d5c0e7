// Why: syslog is what everything on a host and beside it can write, and mostly text for people.
// Enforces: host, program, process and severity find their places; a message is kept as it is; sshd's logons are authentications, Sysmon's XML
//   goes the way of Sysmon's events, and everything else is a base event.
// Forbids: reading meaning into messages of programs that do not promise their wording.

import type { Draft } from "../draft.ts";
import { type Json, some, toInteger } from "../json.ts";
import type { MapOptions } from "../map_record.ts";
import { actorOf, processOf } from "../ocsf_parts.ts";
import { readEventXml } from "../windows/event_xml.ts";
import { mapWindows } from "../windows/windows.ts";
import { sshLogon } from "./sshd.ts";
import { parseSyslog } from "./syslog_line.ts";

/** A message on its way from whatever carried it. */
export interface SyslogMessage {
  readonly timeUs: number;
  readonly time: string;
  readonly severity: number | undefined;
  readonly host: string | undefined;
  readonly app: string | undefined;
  readonly process: string | undefined;
  readonly messageId: string | undefined;
  readonly message: string;
  /** What else the carrier says. */
  readonly unmapped: Json;
}

const product: Json = { name: "syslog" };

/** OCSF's severities of syslog's eight. */
const severities = [6, 5, 5, 4, 3, 2, 1, 1] as const;
const levels = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"] as const;
const unknown = 0;

/** What a line says, as an object that can be mapped. */
export function parseSyslogRecord(text: string, options: MapOptions): Json | undefined {
  const line = parseSyslog(text, { referenceUs: options.clock?.nowUs(), zoneMinutes: options.zoneMinutes });
  return line === undefined ? undefined : { ...line };
}

/** A line's draft, or undefined where it has no time. */
export function mapSyslog(record: Json, { host }: MapOptions): Draft | undefined {
  const line = record as unknown as NonNullable<ReturnType<typeof parseSyslog>>;
  if (Number.isNaN(line.timeUs)) return undefined;
  const { priority } = line;
  return messageDraft({
    ...line,
    host: line.host ?? host,
    severity: priority === undefined ? undefined : priority % 8,
    unmapped: {
      priority,
      facility: priority === undefined ? undefined : priority >> 3,
      structured_data: line.data,
    },
  });
}

/** A message's draft, whatever carried it. */
export function messageDraft(o: SyslogMessage): Draft {
  const sysmon = o.message.startsWith("<Event") ? readEventXml(o.message) : undefined;
  const event = sysmon === undefined ? undefined : mapWindows(sysmon);
  const pid = toInteger(o.process);
  const carried: Json = {
    ...o.unmapped,
    app: event === undefined ? undefined : o.app,
    process: event === undefined && pid !== undefined ? undefined : o.process,
  };
  if (event !== undefined)
    return {
      ...event,
      unmapped: { ...event.unmapped, syslog: { ...carried, host: o.host, time: o.time, severity: severityName(o.severity) } },
    };
  const logon = o.app === "sshd" ? sshLogon(o.message) : undefined;
  const process = o.app === undefined ? processOf({ pid }) : { name: o.app, pid };
  return {
    classUid: logon === undefined ? 0 : 3002,
    activityId: logon === undefined ? 99 : 1,
    activityName: logon === undefined ? (o.messageId ?? o.app ?? "message") : undefined,
    severityId: o.severity === undefined ? unknown : (severities[o.severity] ?? unknown),
    timeUs: o.timeUs,
    product,
    metadata: {
      event_code: o.messageId,
      log_name: "syslog",
      log_provider: o.app,
      log_level: severityName(o.severity),
      original_time: o.time,
    },
    fields: {
      device: o.host === undefined ? undefined : { hostname: o.host, type_id: 0 },
      actor: actorOf({ process }),
      message: o.message,
      ...logon,
    },
    unmapped: some(carried),
  };
}

function severityName(severity: number | undefined): string | undefined {
  return severity === undefined ? undefined : levels[severity];
}
