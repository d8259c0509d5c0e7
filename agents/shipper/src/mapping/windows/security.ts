// Why: the Security log says who logged on, what was started and which connections Windows itself let through.
// Enforces: each event id goes to the class and activity that it means; ids that have none stay base events.
// Forbids: taking the subject (who asked) for the target (who it was about).

import type { Fields, Json } from "../json.ts";
import { actorOf, connection, direction, endpoint, processOf } from "../ocsf_parts.ts";
import { endpointBy, type Part, processBy, sessionBy, subjectOf, table, userBy } from "./parts.ts";

function processCreate(data: Fields): Part {
  const creator = processBy(data, "ProcessId", "ParentProcessGuid", "ParentProcessName");
  const actor = subjectOf(data, creator);
  const process = processBy(data, "NewProcessId", "NewProcessGuid", "NewProcessName", () => ({
    cmd_line: data.text("CommandLine"),
    user: userBy(data, "Target") ?? actor?.["user"],
    parent_process: creator,
    session: sessionBy(data, "Target"),
  }));
  return { classUid: 1007, activityId: 1, fields: { process, actor } };
}

function processEnd(data: Fields): Part {
  const process = processBy(data, "ProcessId", "ProcessGuid", "ProcessName");
  return { classUid: 1007, activityId: 2, fields: { process, actor: subjectOf(data, process), exit_code: data.integer("Status") } };
}

const protocols: Readonly<Record<string, readonly [id: number, name: string]>> = { ntlm: [1, "NTLM"], kerberos: [2, "Kerberos"] };

function authProtocol(name: string | undefined): Json {
  if (name === undefined) return {};
  const [id, known] = protocols[name.toLowerCase()] ?? [99, name];
  return { auth_protocol_id: id, auth_protocol: known };
}

const kerberos: Json = { auth_protocol_id: 2, auth_protocol: "Kerberos" };
const ntlm: Json = { auth_protocol_id: 1, auth_protocol: "NTLM" };

/** Who logged on from where. `status_id` 1 is success, 2 failure. The protocol is the event's word where the kind of event does not say it. */
function logon(activityId: number, statusId: number, protocol?: Json): (data: Fields) => Part {
  return (data) => {
    const type = data.integer("LogonType");
    const process = processBy(data, "ProcessId", "ProcessGuid", "ProcessName");
    return {
      classUid: 3002,
      activityId,
      fields: {
        actor: subjectOf(data, process),
        user: userBy(data, "Target"),
        session: sessionBy(data, "Target"),
        src_endpoint: endpointBy(data, {
          ip: "IpAddress",
          port: "IpPort",
          hostname: data.has("WorkstationName") ? "WorkstationName" : "Workstation",
        }),
        logon_type_id: type,
        is_remote: type === undefined ? undefined : type === 3 || type === 8 || type === 10,
        ...(protocol ?? authProtocol(data.text("AuthenticationPackageName") ?? data.text("PackageName"))),
        status_id: statusId,
        status_code: data.text("Status"),
        status_detail: data.text("FailureReason") ?? data.text("SubStatus"),
      },
    };
  };
}

/** Logging on with somebody else's credentials: the target server may be another host. */
function explicitLogon(data: Fields): Part {
  const part = logon(1, 1)(data);
  return { ...part, fields: { ...part.fields, dst_endpoint: endpoint({ hostname: data.text("TargetServerName") }) } };
}

/** Kerberos on a domain controller: success is status 0x0. */
function ticket(activityId: number): (data: Fields) => Part {
  return (data) => {
    const status = data.peek("Status");
    const part = logon(activityId, status === undefined || status === "0x0" ? 1 : 2, kerberos)(data);
    const service = data.text("ServiceName");
    return {
      ...part,
      fields: {
        ...part.fields,
        service: service === undefined ? undefined : { name: service, uid: data.text("ServiceSid") },
      },
    };
  };
}

const ways: Readonly<Record<string, 1 | 2>> = { "%%14592": direction.inbound, "%%14593": direction.outbound };

/** Windows Filtering Platform: what a program may send, receive, bind and listen to. */
function filtering(activityId: number, activityName?: string): (data: Fields) => Part {
  return (data) => {
    const way = ways[String(data.peek("Direction"))] ?? direction.unknown;
    const process = processOf({ pid: data.integer("ProcessID") ?? data.integer("ProcessId"), path: data.text("Application") });
    return {
      classUid: 4001,
      activityId,
      activityName,
      fields: {
        actor: actorOf({ process }),
        src_endpoint: endpointBy(data, { ip: "SourceAddress", port: "SourcePort" }),
        dst_endpoint: endpointBy(data, { ip: "DestAddress", port: "DestPort" }),
        connection_info: connection(data.text("Protocol"), {}, way),
      },
    };
  };
}

/** Readers by Security event id, but for access to objects and changes of accounts. */
export const securityParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = table([
  [4624, logon(1, 1)],
  [4625, logon(1, 2)],
  [[4634, 4647], logon(2, 1)],
  [4648, explicitLogon],
  [4688, processCreate],
  [4689, processEnd],
  [4768, ticket(3)],
  [4769, ticket(4)],
  [4770, ticket(5)],
  [4771, ticket(6)],
  [4776, ticketless],
  [5154, filtering(7)],
  [[5152, 5157], filtering(5)],
  [5156, filtering(1)],
  [5158, filtering(99, "bind")],
  [5159, filtering(5)],
]);

/** NTLM validation on a domain controller. */
function ticketless(data: Fields): Part {
  return logon(1, data.peek("Status") === "0x0" ? 1 : 2, ntlm)(data);
}
