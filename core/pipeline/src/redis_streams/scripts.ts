/**
 * Why it exists: the scripts that the server runs for us, each read once from core/pipeline/redis and known to the server by its hash.
 * Enforces: a script is its preludes and its own file, nothing put together at run time, so that a server caches each once.
 * Forbids: Lua in TypeScript.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A script and the SHA-1 by which EVALSHA names it. */
export interface Script {
  readonly name: string;
  readonly text: string;
  readonly sha: string;
}

/** From dist/src/redis_streams. */
const directory = fileURLToPath(new URL("../../../redis/", import.meta.url));

function load(name: string, preludes: readonly string[]): Script {
  const text = ["numbers", ...preludes, name].map((file) => readFileSync(`${directory}${file}.lua`, "utf8")).join("");
  return { name, text, sha: createHash("sha1").update(text).digest("hex") };
}

export type ScriptName =
  | "append"
  | "openEpoch"
  | "read"
  | "place"
  | "seek"
  | "oldest"
  | "oldestMetas"
  | "trim"
  | "barrier"
  | "prepareBus"
  | "preparePartition"
  | "setVersion"
  | "setRevoked"
  | "setPaused"
  | "lease"
  | "groupAcquire"
  | "groupRenew"
  | "groupRelease"
  | "groupCommit"
  | "groupRewind"
  | "raiseFloor"
  | "groupNote"
  | "noteStored"
  | "messagePublish"
  | "messageGroup"
  | "messageTake"
  | "messageSettle"
  | "messageExtend"
  | "messageBury"
  | "messageRewind"
  | "messageTrim"
  | "messageArchiveBegin"
  | "messageArchived";

export const scripts: Readonly<Record<ScriptName, Script>> = {
  append: load("append", ["head", "entry"]),
  openEpoch: load("open_epoch", ["head"]),
  read: load("read", ["entry"]),
  place: load("place", ["entry"]),
  seek: load("seek", ["entry"]),
  oldest: load("oldest", ["entry"]),
  oldestMetas: load("oldest_metas", ["entry"]),
  trim: load("trim", ["head"]),
  prepareBus: load("prepare_bus", []),
  barrier: load("barrier", []),
  preparePartition: load("prepare_partition", []),
  setVersion: load("set_version", []),
  setRevoked: load("set_revoked", []),
  setPaused: load("set_paused", []),
  lease: load("lease", []),
  groupAcquire: load("group_acquire", ["group"]),
  groupRenew: load("group_renew", ["group"]),
  groupRelease: load("group_release", ["group"]),
  groupCommit: load("group_commit", ["group"]),
  groupRewind: load("group_rewind", ["group"]),
  raiseFloor: load("raise_floor", ["group"]),
  groupNote: load("group_note", ["group"]),
  noteStored: load("note_stored", []),
  messagePublish: load("message_publish", ["messages"]),
  messageGroup: load("message_group", ["messages"]),
  messageTake: load("message_take", ["messages"]),
  messageSettle: load("message_settle", ["messages"]),
  messageExtend: load("message_extend", ["messages"]),
  messageBury: load("message_bury", ["messages"]),
  messageRewind: load("message_rewind", ["messages"]),
  messageTrim: load("message_trim", ["messages"]),
  messageArchiveBegin: load("message_archive_begin", []),
  messageArchived: load("message_archived", []),
};
