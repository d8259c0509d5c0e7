// Why: a line of osquery's names its query, which people call what they like; which table it asked shows in that name or in the columns.
// Enforces: the query's name first, by the table's own name in it; else columns that together only that table has.
// Forbids: claiming a table by a column that many have.

import type { Part } from "../draft.ts";
import type { Fields } from "../json.ts";
import { group, kernelModule, member, user } from "./host_state.ts";
import { fileEvent, loggedInUser, openSocket, processEvent, socketEvent, userEvent } from "./rows.ts";

/** Reads one row of a table; undefined where the row has not what its class needs. */
export interface RowReader {
  readonly read: (columns: Fields, action: string) => Part | undefined;
  /** The rows are events and their column `time` says when they happened. */
  readonly evented: boolean;
}

interface Table extends RowReader {
  /** Own name; tables whose names end in it (`es_process_events`) are read alike. */
  readonly name: string;
  readonly shape: readonly string[];
  /** Its name is a word that people use for other queries too, and its columns come along in joins: only both together tell it. */
  readonly common?: boolean;
}

/** Longer names first: one may end in another. */
const tables: readonly Table[] = [
  { name: "process_open_sockets", read: openSocket, evented: false, shape: ["pid", "fd", "socket", "remote_address"] },
  { name: "process_file_events", read: fileEvent, evented: true, shape: ["operation", "executable", "pid"] },
  { name: "process_etw_events", read: processEvent, evented: true, shape: ["type", "pid", "ppid", "mandatory_label"] },
  { name: "logged_in_users", read: loggedInUser, evented: false, shape: ["type", "user", "tty", "host"] },
  { name: "process_events", read: processEvent, evented: true, shape: ["pid", "cmdline", "parent", "auid"] },
  { name: "socket_events", read: socketEvent, evented: true, shape: ["action", "pid", "remote_address", "auid"] },
  { name: "file_events", read: fileEvent, evented: true, shape: ["target_path", "action"] },
  { name: "kernel_modules", read: kernelModule, evented: false, shape: ["name", "size", "used_by", "status", "address"] },
  { name: "user_groups", read: member, evented: false, shape: ["uid", "gid"], common: true },
  { name: "user_events", read: userEvent, evented: true, shape: ["auid", "type", "message", "terminal"] },
  { name: "groups", read: group, evented: false, shape: ["gid", "groupname"], common: true },
  { name: "users", read: user, evented: false, shape: ["uid", "username"], common: true },
];

const named: readonly (readonly [RegExp, Table])[] = tables.map((table) => [
  new RegExp(`(?:^|[^a-z0-9])${table.name}(?:[^a-z0-9]|$)`, "i"),
  table,
]);

/** The reader of a query's rows; undefined for tables that no class suits. */
export function rowReader(query: string | undefined, columns: Fields): RowReader | undefined {
  const hasShape = ({ shape }: Table): boolean => shape.every((column) => columns.has(column));
  const isNamed = ([pattern, table]: readonly [RegExp, Table]): boolean =>
    query !== undefined && pattern.test(query) && (table.common !== true || hasShape(table));
  return named.find(isNamed)?.[1] ?? tables.find((table) => table.common !== true && hasShape(table));
}
