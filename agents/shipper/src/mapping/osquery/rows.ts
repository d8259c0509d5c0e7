// Why: each table that tells of activity has its own columns, and an OCSF class that suits it.
// Enforces: one reader a table, each taking only what its class has a place for.
// Forbids: the owner of a file as who changed it: file_events does not say who did.

import type { Part } from "../draft.ts";
import { asObject, type Fields, type Json, some } from "../json.ts";
import {
  actorOf,
  connection,
  direction,
  endpoint,
  fileAt,
  fingerprint,
  fingerprints,
  processOf,
  unknownActor,
  userOf,
} from "../ocsf_parts.ts";

/** Takes a process id; -1 says that osquery does not know it, and stays. */
function pidOf(columns: Fields, name: string): number | undefined {
  const value = columns.peek(name);
  return value === "-1" || value === -1 ? undefined : columns.integer(name);
}

/** What the audit system writes where no user logged in. */
const unsetId = "4294967295";

function idOf(columns: Fields, name: string): string | undefined {
  return String(columns.peek(name)) === unsetId ? undefined : columns.text(name);
}

const processEnds: ReadonlySet<string> = new Set(["exit", "exit_group", "ProcessStop"]);

export function processEvent(columns: Fields): Part | undefined {
  const kind = columns.word("event_type") ?? columns.word("type") ?? columns.word("syscall");
  const ends = kind !== undefined && processEnds.has(kind);
  const process = columns.attempt(() =>
    processOf(
      { pid: pidOf(columns, "pid"), path: columns.text("path") },
      {
        cmd_line: columns.text("cmdline"),
        working_directory: columns.text("cwd"),
        user: userOf({ name: columns.text("username"), uid: idOf(columns, "uid") }),
        parent_process: processOf({ pid: pidOf(columns, "parent") ?? pidOf(columns, "ppid") }),
      },
    ),
  );
  if (process === undefined) return undefined;
  const actor = actorOf({ process: ends ? process : asObject(process["parent_process"]) }) ?? unknownActor;
  return {
    classUid: 1007,
    activityId: ends ? 2 : 1,
    fields: { process, actor, exit_code: ends ? columns.integer("exit_code") : undefined },
  };
}

const fileActivities: Readonly<Record<string, number>> = {
  CREATED: 1,
  ACCESSED: 2,
  UPDATED: 3,
  DELETED: 4,
  MOVED_FROM: 5,
  MOVED_TO: 5,
  ATTRIBUTES_MODIFIED: 6,
  OPENED: 14,
  create: 1,
  write: 3,
  unlink: 4,
  rename: 5,
  open: 14,
};

/** Of file_events, or of process_file_events, which says who did it. */
export function fileEvent(columns: Fields): Part | undefined {
  const action = columns.word("action") ?? columns.word("operation");
  const path = columns.text("target_path") ?? columns.text("path");
  if (path === undefined) return undefined;
  const hashes = fingerprints(
    fingerprint("sha256", columns.text("sha256")),
    fingerprint("sha1", columns.text("sha1")),
    fingerprint("md5", columns.text("md5")),
  );
  const process = columns.attempt(() => processOf({ pid: pidOf(columns, "pid"), path: columns.text("executable") }));
  return {
    classUid: 1001,
    activityId: fileActivities[action ?? ""] ?? 99,
    activityName: action ?? "file event",
    fields: { file: fileAt(path, { size: columns.integer("size"), hashes }), actor: actorOf({ process }) ?? unknownActor },
  };
}

/** Both ends; undefined for sockets without addresses (Unix sockets). `accepted`: the remote end began. */
function socketFields(columns: Fields, accepted: boolean, way: 0 | 1 | 2): Json | undefined {
  const end = (side: string): Json | undefined =>
    columns.attempt(() => endpoint({ ip: columns.text(`${side}_address`), port: columns.integer(`${side}_port`) }));
  const [local, remote] = [end("local"), end("remote")];
  if (local === undefined && remote === undefined) return undefined;
  const protocol = columns.peek("protocol");
  return {
    src_endpoint: accepted ? remote : local,
    dst_endpoint: accepted ? local : remote,
    connection_info: connection(protocol === "0" || protocol === 0 ? undefined : columns.text("protocol"), {}, way),
  };
}

interface SocketAction {
  readonly activityId: number;
  readonly way: 0 | 1 | 2;
}

const socketActions: Readonly<Record<string, SocketAction>> = {
  connect: { activityId: 1, way: direction.outbound },
  accept: { activityId: 1, way: direction.inbound },
  accept4: { activityId: 1, way: direction.inbound },
  listen: { activityId: 7, way: direction.unknown },
};
const failed = 4;

export function socketEvent(columns: Fields): Part | undefined {
  const action = columns.word("action") ?? columns.word("syscall") ?? "socket event";
  const { activityId, way } = socketActions[action] ?? { activityId: 99, way: direction.unknown };
  const ends = socketFields(columns, way === direction.inbound, way);
  if (ends === undefined) return undefined;
  const actor = actorOf({
    process: columns.attempt(() => processOf({ pid: pidOf(columns, "pid"), path: columns.text("path") })),
    user: userOf({ uid: idOf(columns, "auid") }),
  });
  const isFailed = columns.word("status") === "failed" || String(columns.peek("success")) === "0";
  return { classUid: 4001, activityId: isFailed ? failed : activityId, activityName: action, fields: { ...ends, actor } };
}

const differences: Readonly<Record<string, number>> = { added: 1, removed: 2 };

/** A socket that is there, or no longer; a snapshot says neither that it was opened nor that it was closed. */
export function openSocket(columns: Fields, action: string): Part | undefined {
  const ends = socketFields(columns, false, direction.unknown);
  if (ends === undefined) return undefined;
  const actor = actorOf({ process: columns.attempt(() => processOf({ pid: pidOf(columns, "pid") })) });
  return {
    classUid: 4001,
    activityId: differences[action] ?? 99,
    activityName: action,
    fields: { ...ends, actor, status_detail: columns.text("state") },
  };
}

/** Linux' audit record types of people: beginning and end of a session, login and logout. */
const userActivities: Readonly<Record<string, number>> = { "1105": 1, "1106": 2, "1112": 1, "1113": 2 };

/** The account stands in the message; uid and auid are those of the program that asked. */
export function userEvent(columns: Fields): Part | undefined {
  const type = String(columns.peek("type"));
  const message = columns.word("message");
  const name = /\bacct="([^"]+)"/.exec(message ?? "")?.[1];
  const result = /\bres=(\w+)/.exec(message ?? "")?.[1];
  const user = userOf({ name, uid: idOf(columns, "auid") });
  if (user === undefined) return undefined;
  const process = columns.attempt(() => processOf({ pid: pidOf(columns, "pid"), path: columns.text("path") }));
  const terminal = columns.text("terminal");
  return {
    classUid: 3002,
    activityId: userActivities[type] ?? 99,
    activityName: `audit type ${type}`,
    fields: {
      user,
      actor: actorOf({ process, user: userOf({ uid: idOf(columns, "uid") }) }),
      session: some({ terminal }),
      src_endpoint: endpoint({ ip: addressOf(columns, "address") }),
      message: columns.text("message"),
      status_id: result === undefined ? undefined : result === "success" ? 1 : 2,
    },
  };
}

/** Takes an address; names and `?` stay. */
function addressOf(columns: Fields, name: string): string | undefined {
  return /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/.test(columns.word(name) ?? "") ? columns.text(name) : undefined;
}

/** A session of a person; the table also lists boots, run levels and dead sessions, which are nobody's. */
export function loggedInUser(columns: Fields, action: string): Part | undefined {
  if (columns.has("type") && columns.word("type") !== "user" && columns.word("type") !== "active") return undefined;
  const name = columns.text("user");
  if (name === undefined) return undefined;
  const ip = addressOf(columns, "host");
  return {
    classUid: 3002,
    activityId: differences[action] ?? 99,
    activityName: action,
    fields: {
      user: { name, uid: columns.text("sid") },
      session: some({ terminal: columns.text("tty") }),
      src_endpoint: endpoint({ ip, hostname: ip === undefined ? columns.text("host") : undefined }),
    },
  };
}
