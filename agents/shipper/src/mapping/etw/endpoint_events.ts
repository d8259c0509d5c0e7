// Why: Kernel-Process, Kernel-File and DNS-Client tell what happens on the endpoint itself.
// Enforces: each event id goes to the class and activity that it means.
// Forbids: files by their handle: reads and writes that do not name their file stay base events.

import type { Part } from "../draft.ts";
import type { Fields, Json } from "../json.ts";
import { actorOf, domainText, endpoint, fileAt, processOf, unknownActor } from "../ocsf_parts.ts";
import { answersOf } from "../windows/sysmon.ts";
import { usOfFileTime, usOfText, firstTimeUs } from "../source_time.ts";
import { plainInteger } from "./numbers.ts";
import type { EtwPart } from "./providers.ts";

/** Both spellings: the manifest's `ProcessID`, the older classes' `ProcessId`. */
function idOf(data: Fields, name: string): number | undefined {
  return plainInteger(data, `${name}ID`) ?? plainInteger(data, `${name}Id`);
}

function processStart(data: Fields): Json | undefined {
  const created = firstTimeUs(usOfText(data.peek("CreateTime")), usOfFileTime(data.peek("CreateTime")));
  return data.attempt(() =>
    processOf(
      { pid: idOf(data, "Process"), path: data.text("ImageName") },
      {
        cmd_line: data.text("CommandLine"),
        // The exact time stays in unmapped: OCSF counts milliseconds.
        created_time: created === undefined ? undefined : Math.floor(created / 1000),
        parent_process: processOf({ pid: idOf(data, "ParentProcess") }),
      },
    ),
  );
}

const started: EtwPart = ({ data }, logger) => ({
  classUid: 1007,
  activityId: 1,
  fields: { process: processStart(data), actor: actorOf({ process: logger() }) ?? unknownActor },
});

const stopped: EtwPart = ({ data }, logger) => ({
  classUid: 1007,
  activityId: 2,
  fields: {
    process: data.attempt(() => processOf({ pid: idOf(data, "Process"), path: data.text("ImageName") })),
    actor: actorOf({ process: logger() }) ?? unknownActor,
    exit_code: plainInteger(data, "ExitCode"),
  },
});

/** An image that a process loads or unloads; the property names that process, the header who asked for it. */
function image(activityId: number): EtwPart {
  return ({ data }, logger) => {
    const file = fileAt(data.text("ImageName"));
    if (file === undefined) return undefined;
    const target = processOf({ pid: idOf(data, "Process") });
    const module = { load_type_id: 1, load_type: "Standard", base_address: data.text("ImageBase"), file };
    return { classUid: 1005, activityId, fields: { module, actor: actorOf({ process: target ?? logger() }) ?? unknownActor } };
  };
}

/** Readers of Microsoft-Windows-Kernel-Process. */
export const processParts: ReadonlyMap<number, EtwPart> = new Map([
  [1, started],
  [2, stopped],
  [5, image(1)],
  [6, image(2)],
]);

function file(activityId: number): EtwPart {
  return ({ data }, logger): Part | undefined => {
    const path = data.text("FilePath") ?? data.text("FileName");
    if (path === undefined) return undefined;
    return { classUid: 1001, activityId, fields: { file: fileAt(path), actor: actorOf({ process: logger() }) ?? unknownActor } };
  };
}

/** Readers of Microsoft-Windows-Kernel-File. */
export const fileParts: ReadonlyMap<number, EtwPart> = new Map([
  [12, file(14)],
  [15, file(2)],
  [16, file(3)],
  [19, file(5)],
  [26, file(4)],
  [27, file(5)],
  [28, file(1)],
  [30, file(1)],
]);

const recordTypes: Readonly<Record<string, string>> = {
  "1": "A",
  "2": "NS",
  "5": "CNAME",
  "6": "SOA",
  "12": "PTR",
  "15": "MX",
  "16": "TXT",
  "28": "AAAA",
  "33": "SRV",
  "65": "HTTPS",
  "255": "ANY",
};

function dns(activityId: number): EtwPart {
  return ({ data }, logger) => {
    const name = data.text("QueryName");
    if (name === undefined) return undefined;
    const status = data.text("QueryStatus") ?? data.text("Status");
    const type = data.word("QueryType") ?? String(data.peek("QueryType"));
    return {
      classUid: 4003,
      activityId,
      fields: {
        actor: actorOf({ process: logger() }),
        // The type's number stays in unmapped beside its name.
        query: { hostname: domainText(name), type: recordTypes[type] },
        answers: answersOf(data.word("QueryResults")),
        status_code: status,
        rcode_id: status === "0" && activityId === 2 ? 0 : undefined,
        dst_endpoint: endpoint({ ip: data.text("DnsServerIpAddress") }),
      },
    };
  };
}

/** Readers of Microsoft-Windows-DNS-Client: queries asked for, sent and completed. */
export const dnsParts: ReadonlyMap<number, EtwPart> = new Map([
  [3006, dns(1)],
  [3008, dns(2)],
  [3009, dns(1)],
  [3010, dns(1)],
  [3011, dns(2)],
  [3020, dns(2)],
]);
