// Why: Sysmon's events are the endpoint's processes, files, registry and connections.
// Enforces: each event id goes to the class and activity that it means; ids that have none stay base events.
// Forbids: inventing an actor: whoever loaded a driver is unknown, and the service's own states stay base events.

import type { Fields, Json } from "../json.ts";
import { connection, direction, domainText, fileAt, unknownActor, userNamed } from "../ocsf_parts.ts";
import { endpointBy, fileBy, hashesOf, maskOf, type Part, processBy, table } from "./parts.ts";
import { registryParts } from "./registry.ts";

/** The process that an event is about or by, with its user. */
function image(data: Fields): Json | undefined {
  return processBy(data, "ProcessId", "ProcessGuid", "Image", () => ({ user: userNamed(data.text("User")) }));
}

const integrities: Readonly<Record<string, number>> = { untrusted: 1, low: 2, medium: 3, high: 4, system: 5, protected: 6 };

function processCreate(data: Fields): Part {
  const parent = processBy(data, "ParentProcessId", "ParentProcessGuid", "ParentImage", () => ({
    cmd_line: data.text("ParentCommandLine"),
    user: userNamed(data.text("ParentUser")),
  }));
  const image = data.word("Image");
  const process = processBy(data, "ProcessId", "ProcessGuid", "Image", () => {
    const integrity = data.text("IntegrityLevel");
    return {
      cmd_line: data.text("CommandLine"),
      working_directory: data.text("CurrentDirectory"),
      integrity,
      integrity_id: integrity === undefined ? undefined : (integrities[integrity.toLowerCase()] ?? 99),
      user: userNamed(data.text("User")),
      session: sessionOf(data),
      parent_process: parent,
      file: image === undefined ? undefined : fileAt(image, versionInfo(data)),
    };
  });
  return { classUid: 1007, activityId: 1, fields: { process, actor: { process: parent } } };
}

function sessionOf(data: Fields): Json | undefined {
  const uid = data.text("LogonId");
  return uid === undefined ? undefined : { uid, credential_uid: data.text("LogonGuid") };
}

/** What an executable's resources say of it, with its hashes. */
function versionInfo(data: Fields): Json {
  return {
    hashes: hashesOf(data, "Hashes"),
    company_name: data.text("Company"),
    desc: data.text("Description"),
    version: data.text("FileVersion"),
  };
}

function processEnd(data: Fields): Part {
  const process = image(data);
  return { classUid: 1007, activityId: 2, fields: { process, actor: { process } } };
}

function processAccess(activityId: number, more: Json): (data: Fields) => Part {
  return (data) => {
    // Sysmon spells the same field in two ways.
    const guid = (side: string): string => (data.has(`${side}ProcessGUID`) ? `${side}ProcessGUID` : `${side}ProcessGuid`);
    return {
      classUid: 1007,
      activityId,
      fields: {
        process: processBy(data, "TargetProcessId", guid("Target"), "TargetImage", () => ({ user: userNamed(data.text("TargetUser")) })),
        actor: {
          process: processBy(data, "SourceProcessId", guid("Source"), "SourceImage", () => ({ user: userNamed(data.text("SourceUser")) })),
        },
        requested_permissions: maskOf(data, "GrantedAccess"),
        ...more,
      },
    };
  };
}

function tampering(data: Fields): Part {
  const process = image(data);
  return {
    classUid: 1007,
    activityId: 4,
    fields: { process, actor: { process }, injection_type_id: 99, injection_type: data.text("Type") },
  };
}

function fileEvent(activityId: number): (data: Fields) => Part {
  return (data) => ({
    classUid: 1001,
    activityId,
    fields: {
      actor: { process: image(data) },
      file: fileBy(data, "TargetFilename", () => ({ hashes: hashesOf(data, "Hashes") ?? hashesOf(data, "Hash") })),
    },
  });
}

/** A process that reads a whole device past its file system. */
function rawRead(data: Fields): Part {
  const blockDevice = 4;
  return {
    classUid: 1001,
    activityId: 2,
    fields: { actor: { process: image(data) }, file: fileBy(data, "Device", undefined, blockDevice) },
  };
}

function pipe(activityId: number): (data: Fields) => Part {
  const namedPipe = 6;
  return (data) => ({
    classUid: 1001,
    activityId,
    fields: { actor: { process: image(data) }, file: fileBy(data, "PipeName", undefined, namedPipe) },
  });
}

function imageLoad(data: Fields): Part {
  const file = fileBy(data, "ImageLoaded", () => versionInfo(data));
  // Signer and state stay in unmapped: OCSF has no place for them without the certificate.
  return {
    classUid: 1005,
    activityId: 1,
    fields: { actor: { process: image(data) }, module: { load_type_id: 1, load_type: "Standard", file } },
  };
}

/** Sysmon says which driver, and not who loaded it. */
function driverLoad(data: Fields): Part {
  const file = fileBy(data, "ImageLoaded", () => versionInfo(data));
  return { classUid: 1002, activityId: 1, fields: { actor: unknownActor, driver: file === undefined ? undefined : { file } } };
}

function network(data: Fields): Part {
  const initiated = String(data.peek("Initiated")).toLowerCase();
  const way = initiated === "true" ? direction.outbound : initiated === "false" ? direction.inbound : direction.unknown;
  return {
    classUid: 4001,
    activityId: 1,
    fields: {
      actor: { process: image(data) },
      src_endpoint: endpointBy(data, { ip: "SourceIp", port: "SourcePort", hostname: "SourceHostname" }),
      dst_endpoint: endpointBy(data, { ip: "DestinationIp", port: "DestinationPort", hostname: "DestinationHostname" }),
      connection_info: connection(data.text("Protocol"), {}, way),
    },
  };
}

/** `type:  5 a.example;::ffff:192.0.2.1;` as answers. The text itself stays in unmapped: what else resolvers write into it is not documented. */
export function answersOf(text: string | undefined): Json[] | undefined {
  const parts = text?.split(";").filter((part) => part.trim() !== "") ?? [];
  if (parts.length === 0) return undefined;
  return parts.map((part) => {
    const alias = /^\s*type:\s*(\d+)\s+(.*)$/.exec(part);
    return alias === null ? { rdata: part.trim() } : { rdata: alias[2] as string, type: alias[1] };
  });
}

function dnsQuery(data: Fields): Part {
  const name = data.text("QueryName");
  const status = data.text("QueryStatus");
  return {
    classUid: 4003,
    activityId: 2,
    fields: {
      actor: { process: image(data) },
      query: name === undefined ? undefined : { hostname: domainText(name) },
      answers: answersOf(data.word("QueryResults")),
      status_code: status,
      rcode_id: status === "0" ? 0 : undefined,
    },
  };
}

/** Readers by Sysmon event id. */
export const sysmonParts: ReadonlyMap<number, (data: Fields) => Part | undefined> = new Map([
  ...table([
    [1, processCreate],
    [2, fileEvent(6)],
    [3, network],
    [5, processEnd],
    [6, driverLoad],
    [7, imageLoad],
    [8, processAccess(4, { injection_type_id: 1, injection_type: "Remote Thread" })],
    [9, rawRead],
    [10, processAccess(3, {})],
    [[11, 15, 29], fileEvent(1)],
    [17, pipe(1)],
    [18, pipe(14)],
    [22, dnsQuery],
    [[23, 26], fileEvent(4)],
    [25, tampering],
  ]),
  ...registryParts,
]);
