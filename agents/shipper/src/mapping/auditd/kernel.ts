// Why: code in the kernel sees and hides everything: which modules and BPF programs came and went has to be plain.
// Enforces: modules by the path that was loaded, or by the name that the kernel read out of them (KERN_MODULE); BPF programs by their ids, whatever
//   call it was in which they came or went.
// Forbids: a module that no record names.

import type { Fields, Json } from "../json.ts";
import { unknownActor } from "../ocsf_parts.ts";
import type { AuditRecords } from "./audit_event.ts";
import type { AuditPart } from "./calls.ts";
import { fileBy } from "./files.ts";
import { actorBy, known, processBy } from "./subjects.ts";
import { syscallName } from "./syscalls.ts";

const load = 1;
const unload = 2;
const unknown = 0;
const moduleActivities: ReadonlyMap<string, number> = new Map([
  ["init_module", load],
  ["finit_module", load],
  ["delete_module", unload],
]);

function moduleFile(records: AuditRecords): Json | undefined {
  const path = records.has("PATH") ? fileBy(records.one("PATH"), records.one("CWD").word("cwd")) : undefined;
  if (path !== undefined) return path;
  const name = known(records.one("KERN_MODULE"), "name");
  return name === undefined ? undefined : { name, type_id: unknown };
}

function actor(call: Fields): Json {
  return actorBy(call, processBy(call)) ?? unknownActor;
}

function moduleChange(records: AuditRecords, call: Fields, activityId: number): AuditPart | undefined {
  const file = moduleFile(records);
  return file === undefined ? undefined : { classUid: 1002, activityId, fields: { actor: actor(call), driver: { file } } };
}

const kernelActivity = 1003;
const programActivities: Readonly<Record<string, number>> = { LOAD: 1, UNLOAD: 3 };
const invoke = 4;
const systemCall = 2;
const otherResource = 99;

/** A program came, or went with the last that held it. */
function programChange(records: AuditRecords, call: Fields): AuditPart | undefined {
  const record = records.one("BPF");
  const activityId = programActivities[record.word("op") ?? ""];
  const id = activityId === undefined ? undefined : known(record, "prog-id");
  if (activityId === undefined || id === undefined) return undefined;
  const kernel = { name: `BPF program ${id}`, type_id: otherResource, type: "BPF program" };
  return { classUid: kernelActivity, activityId, fields: { actor: actor(call), kernel } };
}

function bpfCall(call: Fields): AuditPart {
  const kernel = { name: "bpf", type_id: systemCall, system_call: "bpf" };
  return { classUid: kernelActivity, activityId: invoke, fields: { actor: actor(call), kernel } };
}

/** What changed in the kernel; undefined where nothing did. */
export function kernelPart(records: AuditRecords, call: Fields): AuditPart | undefined {
  const name = syscallName(call) ?? "";
  const program = records.has("BPF") ? programChange(records, call) : undefined;
  if (program !== undefined || name === "bpf") return program ?? bpfCall(call);
  const activityId = moduleActivities.get(name) ?? (records.has("KERN_MODULE") ? unknown : undefined);
  return activityId === undefined ? undefined : moduleChange(records, call, activityId);
}
