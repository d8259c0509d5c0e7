// Why: what auditd says of one event stands in up to a hundred records, in any order.
// Enforces: one view on them all, by type; of whatever a mapping leaves, nothing is lost.
// Forbids: knowledge of single types.

import { Fields, type Json } from "../json.ts";
import { recordFields } from "./audit_fields.ts";
import { auditHead } from "./audit_line.ts";
import { mergedExecve } from "./execve.ts";
import { socketAddress } from "./sockaddr.ts";

/** An event's lines as `{ node, time, timeUs, serial, records: { SYSCALL: [{…}], PATH: [{…}, {…}] } }`; undefined where a line has no head. */
export function parseAudit(text: string): Json | undefined {
  let event: Json | undefined;
  const records: Record<string, Json[]> = Object.create(null) as Record<string, Json[]>;
  for (const line of text.split("\n")) {
    const head = auditHead(line);
    if (head === undefined) return undefined;
    const { node, type, time, timeUs, serial, body } = head;
    event ??= { node, time, timeUs, serial };
    (records[type] ??= []).push(recordFields(body, type));
  }
  for (const type of Object.keys(records)) if (type.startsWith("AUOMS_")) unflatten(records, type);
  if (records["EXECVE"] !== undefined) records["EXECVE"] = [mergedExecve(records["EXECVE"])];
  for (const record of records["SOCKADDR"] ?? []) record["saddr"] = socketAddress(String(record["saddr"])) ?? record["saddr"];
  return event === undefined ? undefined : { ...event, records };
}

/** Fields of auoms' records, which have a whole event in one, with the records that they come from. */
const flattened: Readonly<Record<string, readonly string[]>> = {
  CWD: ["cwd"],
  PATH: ["name", "nametype", "mode", "ouid", "ogid", "cap_fp", "cap_fi", "cap_fe", "cap_fver", "cap_frootid"],
  PROCTITLE: ["proctitle"],
};

/** Puts a flat record back into its parts. */
function unflatten(records: Record<string, Json[]>, type: string): void {
  for (const flat of records[type] ?? []) {
    for (const [part, names] of Object.entries(flattened)) {
      const there = names.filter((name) => flat[name] !== undefined);
      if (there.length > 0) (records[part] ??= []).push(Object.fromEntries(there.map((name) => [name, flat[name]])));
      for (const name of there) delete flat[name];
    }
    (records["SYSCALL"] ??= []).push(flat);
  }
  records[type] = [];
}

/** Types that describe what another record of the same event says happened. */
const companions: ReadonlySet<string> = new Set(
  "SYSCALL PATH CWD EXECVE SOCKADDR SOCKETCALL PROCTITLE EOE FD_PAIR MMAP OBJ_PID IPC IPC_SET_PERM BPRM_FCAPS CAPSET".split(" "),
);

/** A view on an event's records. */
export class AuditRecords {
  readonly #records: Readonly<Record<string, Json[]>>;
  readonly #views = new Map<Json, Fields>();

  constructor(records: Readonly<Record<string, Json[]>>) {
    this.#records = records;
  }

  /** The type that names the event: not that of a mere companion, if there is another. */
  get type(): string {
    const types = Object.keys(this.#records);
    return types.find((type) => !companions.has(type)) ?? (types.includes("SYSCALL") ? "SYSCALL" : (types[0] ?? "EOE"));
  }

  has(type: string): boolean {
    return this.#records[type] !== undefined;
  }

  all(type: string): readonly Fields[] {
    return (this.#records[type] ?? []).map((record) => {
      const view = this.#views.get(record) ?? new Fields(record);
      this.#views.set(record, view);
      return view;
    });
  }

  /** The first record of a type; an empty one if there is none. */
  one(type: string): Fields {
    return this.all(type)[0] ?? new Fields({});
  }

  /** What nobody took, by type; lists of records keep their places. */
  rest(): Json | undefined {
    const rest: Json = {};
    for (const type of Object.keys(this.#records)) {
      const left = this.all(type).map((record) => record.rest());
      if (left.some((one) => one !== undefined)) rest[type] = left.length === 1 ? left[0] : left.map((one) => one ?? {});
    }
    return Object.keys(rest).length > 0 ? rest : undefined;
  }
}
