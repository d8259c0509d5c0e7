// Why: ransomware is seen by what it does to files, and auditd tells of it in a call and the paths that it touched.
// Enforces: the call chooses the activity, and where it says only "open", what became of the path does; a path is made whole where its folder is known.
// Forbids: taking a call's folder for its file.

import type { Fields, Json } from "../json.ts";
import { fileAt } from "../ocsf_parts.ts";
import type { AuditRecords } from "./audit_event.ts";
import type { AuditPart } from "./calls.ts";
import { actorBy, known, processBy } from "./subjects.ts";

/** OCSF's types of files by the bits of a mode. */
const types: Readonly<Record<number, number>> = { 0o100: 1, 0o040: 2, 0o020: 3, 0o060: 4, 0o140: 5, 0o010: 6, 0o120: 7 };
const unknownType = 0;

function typeOf(mode: string | undefined): number {
  return mode === undefined || !/^[0-7]+$/.test(mode) ? unknownType : (types[(Number.parseInt(mode, 8) & 0o170000) >> 9] ?? unknownType);
}

/** The file of a PATH record; undefined where it has no name. A relative name is put behind `folder`. */
export function fileBy(path: Fields, folder: string | undefined): Json | undefined {
  const name = known(path, "name");
  if (name === undefined) return undefined;
  const whole = name.startsWith("/") || folder === undefined ? name : `${folder.replace(/\/$/, "")}/${name.replace(/^\.\//, "")}`;
  return fileAt(whole, {}, typeOf(path.word("mode")));
}

/** What became of a path in the call: CREATE, DELETE, NORMAL, PARENT. Older kernels call it objtype. */
function fateOf(path: Fields): string | undefined {
  return path.word("nametype") ?? path.word("objtype");
}

function pathWith(records: AuditRecords, fate: string): Fields | undefined {
  return records.all("PATH").find((path) => fateOf(path) === fate);
}

/** The path that the call was about. */
function subject(records: AuditRecords): Fields | undefined {
  const named = ["DELETE", "CREATE", "NORMAL", "UNKNOWN"].map((fate) => pathWith(records, fate)).find((path) => path !== undefined);
  return named ?? records.all("PATH").find((path) => fateOf(path) === undefined);
}

/** Calls whose names end in `at` begin at an open folder, unless it is said to be the current one. */
const currentFolder: ReadonlySet<string> = new Set(["ffffff9c", "ffffffffffffff9c", "AT_FDCWD"]);

/** The folder that relative names begin at; undefined where only an open descriptor knew it. */
function folderOf(records: AuditRecords, call: Fields, atFolder: boolean): string | undefined {
  const cwd = records.one("CWD").word("cwd");
  return atFolder && !currentFolder.has(call.word("a0") ?? "") ? undefined : cwd;
}

const create = 1;
const open = 14;

function ofFile(activityId: number | ((records: AuditRecords) => number), atFolder = false) {
  return (records: AuditRecords, call: Fields): AuditPart | undefined => {
    const path = subject(records);
    const file = path === undefined ? undefined : fileBy(path, folderOf(records, call, atFolder));
    if (file === undefined) return undefined;
    const process = processBy(call, { working_directory: known(records.one("CWD"), "cwd") });
    return {
      classUid: 1001,
      activityId: typeof activityId === "number" ? activityId : activityId(records),
      fields: { file, actor: actorBy(call, process) },
    };
  };
}

/** Both names of a file that was renamed. */
function rename(atFolder: boolean) {
  return (records: AuditRecords, call: Fields): AuditPart | undefined => {
    const after = pathWith(records, "CREATE");
    // Before the folder is taken for the process.
    const folder = folderOf(records, call, atFolder);
    const part = ofFile(5, atFolder)(records, call);
    if (part === undefined || after === undefined) return part;
    return { ...part, fields: { ...part.fields, file_result: fileBy(after, folder) } };
  };
}

const opened = (records: AuditRecords): number => (pathWith(records, "CREATE") === undefined ? open : create);

/** Readers by name of call. Activities: 3 update, 4 delete, 6 set attributes, 7 set security, 12 mount, 13 unmount. */
export const fileParts: readonly (readonly [call: string, part: (records: AuditRecords, call: Fields) => AuditPart | undefined])[] = [
  ["open", ofFile(opened)],
  ["openat", ofFile(opened, true)],
  ["openat2", ofFile(opened, true)],
  ...["creat", "mkdir", "mknod", "link", "symlink"].map((name) => [name, ofFile(create)] as const),
  ...["mkdirat", "mknodat"].map((name) => [name, ofFile(create, true)] as const),
  // Their first argument is no folder to begin at.
  ...["linkat", "symlinkat"].map((name) => [name, ofFile(create)] as const),
  ...["truncate", "ftruncate"].map((name) => [name, ofFile(3)] as const),
  ...["unlink", "rmdir"].map((name) => [name, ofFile(4)] as const),
  ["unlinkat", ofFile(4, true)],
  ["rename", rename(false)],
  ["renameat", rename(true)],
  ["renameat2", rename(true)],
  ...["setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"].map((name) => [name, ofFile(6)] as const),
  ...["chmod", "fchmod", "chown", "fchown", "lchown"].map((name) => [name, ofFile(7)] as const),
  ...["fchmodat", "fchmodat2", "fchownat"].map((name) => [name, ofFile(7, true)] as const),
  ["mount", ofFile(12)],
  ...["umount", "umount2"].map((name) => [name, ofFile(13)] as const),
];
