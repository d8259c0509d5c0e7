// Why: what the kernel audits are system calls, and a call's name says which of OCSF's classes it belongs to.
// Enforces: programs started are process activity, files touched file activity, internet addresses network activity, modules and BPF programs the
//   kernel's; other calls have no class here.
// Forbids: naming a file that no PATH record names, or an address that no SOCKADDR record has.

import type { Fields, Json } from "../json.ts";
import { connection, direction, endpoint } from "../ocsf_parts.ts";
import type { AuditRecords } from "./audit_event.ts";
import { argumentsOf } from "./execve.ts";
import { fileBy, fileParts } from "./files.ts";
import { kernelPart } from "./kernel.ts";
import { actorBy, known, outcomeOf, processBy } from "./subjects.ts";
import { syscallName } from "./syscalls.ts";

/** Class, activity and fields of an event. */
export interface AuditPart {
  readonly classUid: number;
  readonly activityId: number;
  readonly activityName?: string | undefined;
  readonly fields: Json;
}

/** The command line by the arguments that were audited. auoms has them in one field. */
function argumentsLine(records: AuditRecords, call: Fields): string | undefined {
  const execve = records.one("EXECVE");
  const list = argumentsOf(execve);
  if (list.length === 0) return known(call, "cmdline");
  const title = records.one("PROCTITLE");
  if (title.word("proctitle") === list.join(" ")) title.take("proctitle");
  // Where spaces would hide where an argument ends, the arguments stay in unmapped as well.
  if (list.every((argument) => argument !== "" && !/\s/.test(argument))) for (let i = 0; i < list.length; i++) execve.take(`a${i}`);
  return list.join(" ");
}

/** A program was started, or could not be. After success the record and the title show the new program, else the one that tried. */
function launch(records: AuditRecords, call: Fields): AuditPart {
  const succeeded = call.word("success") !== "no";
  const cmdLine = argumentsLine(records, call);
  const title = cmdLine === undefined || !succeeded ? known(records.one("PROCTITLE"), "proctitle") : undefined;
  const cwd = known(records.one("CWD"), "cwd");
  const parent = call.attempt(() => {
    const pid = call.integer("ppid");
    return pid === undefined ? undefined : { pid };
  });
  if (succeeded) {
    const process = processBy(call, { cmd_line: cmdLine ?? title, working_directory: cwd, parent_process: parent });
    return { classUid: 1007, activityId: 1, fields: { process, actor: actorBy(call, parent) } };
  }
  const file = records.has("PATH") ? fileBy(records.one("PATH"), cwd) : undefined;
  const process = { name: file?.["name"], cmd_line: cmdLine, working_directory: cwd, file };
  return {
    classUid: 1007,
    activityId: 1,
    fields: { process, actor: actorBy(call, processBy(call, { cmd_line: title, parent_process: parent })) },
  };
}

/** A process ended, or took another user's rights. */
function ofProcess(activityId: number): (records: AuditRecords, call: Fields) => AuditPart {
  return (_, call) => {
    const process = processBy(call);
    return { classUid: 1007, activityId, fields: { process, actor: actorBy(call, process) } };
  };
}

/** Operation under way, as a connection that does not block begins. */
const inProgress = "-115";

/** A call that names an internet address: the other end's where `remote`, else this host's own. */
function network(
  activityId: number,
  o: { way: 0 | 1 | 2; remote: boolean; name?: string },
): (records: AuditRecords, call: Fields) => AuditPart | undefined {
  return (records, call) => {
    const address = records.one("SOCKADDR").nested("saddr");
    const family = address.word("family");
    if (family !== "inet" && family !== "inet6") return undefined;
    const waiting = call.word("exit") === inProgress;
    const failed = activityId === 1 && call.word("success") === "no" && !waiting;
    const end = endpoint({ ip: address.text("addr"), port: address.integer("port") });
    // Whoever accepts is the destination; whoever connects or binds is the source.
    const source = o.remote === (o.way === direction.inbound);
    return {
      classUid: 4001,
      activityId: failed ? 4 : activityId,
      activityName: o.name,
      fields: {
        actor: actorBy(call, processBy(call)),
        [source ? "src_endpoint" : "dst_endpoint"]: end,
        connection_info: connection(undefined, {}, o.way),
        ...(waiting ? { status_id: 99, status: "in progress", status_code: call.text("exit") } : outcomeOf(call)),
      },
    };
  };
}

const traffic = 6;
const sent = network(traffic, { way: direction.outbound, remote: true });
const received = network(traffic, { way: direction.inbound, remote: true });
const accepted = network(1, { way: direction.inbound, remote: true });

const parts: ReadonlyMap<string, (records: AuditRecords, call: Fields) => AuditPart | undefined> = new Map([
  ["execve", launch],
  ["execveat", launch],
  ["exit", ofProcess(2)],
  ["exit_group", ofProcess(2)],
  ["setuid", ofProcess(5)],
  ["setreuid", ofProcess(5)],
  ["setresuid", ofProcess(5)],
  ["connect", network(1, { way: direction.outbound, remote: true })],
  ["accept", accepted],
  ["accept4", accepted],
  ["bind", network(99, { way: direction.unknown, remote: false, name: "bind" })],
  ["sendto", sent],
  ["sendmsg", sent],
  ["recvfrom", received],
  ["recvmsg", received],
  ...fileParts,
]);

/** What a system call was; undefined where it has no class. */
export function callPart(records: AuditRecords): AuditPart | undefined {
  const call = records.one("SYSCALL");
  const part = kernelPart(records, call) ?? parts.get(syscallName(call) ?? "")?.(records, call);
  return part === undefined
    ? undefined
    : { ...part, fields: { ...(part.fields["status_id"] === undefined ? outcomeOf(call) : {}), ...part.fields } };
}
