// Why: a line of osquery's names its query, which people call what they like; which table it asked shows in that name or in the columns.
// Enforces: the query's name first, by the table's own name in it; else columns that together only that table has.
// Forbids: claiming a table by a column that many have.

import type { Part } from "../draft.ts";
import type { Fields } from "../json.ts";
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
  { name: "user_events", read: userEvent, evented: true, shape: ["auid", "type", "message", "terminal"] },
];

const named: readonly (readonly [RegExp, Table])[] = tables.map((table) => [
  new RegExp(`(?:^|[^a-z0-9])${table.name}(?:[^a-z0-9]|$)`, "i"),
  table,
]);

/** The reader of a query's rows; undefined for tables that no class suits. */
export function rowReader(query: string | undefined, columns: Fields): RowReader | undefined {
  const byName = query === undefined ? undefined : named.find(([pattern]) => pattern.test(query))?.[1];
  return byName ?? tables.find(({ shape }) => shape.every((column) => columns.has(column)));
}
