/**
 * Why it exists: who may do what to which object of the database, in one typed table (DB-2). Grants, the permission test and the
 * documentation page come from it; nothing is granted anywhere else.
 * Enforces: every table, view and function that we make has a row here; a right that is not written here does not exist, and PostgreSQL
 * answers 42501 (promise 6).
 * Forbids: rights for PUBLIC, for agents (they have no role), and for the gate beyond five functions.
 */
import type { LoginRole, Schema } from "../src/role_names.ts";

/** Rights on a table or view. A list of columns narrows update. */
export interface TableRights {
  readonly select?: true;
  readonly insert?: true;
  readonly update?: true | readonly string[];
  readonly delete?: true;
}

/** Whom rights are given to: roles that log in, and owners of other schemas, whose functions and views read on others' behalf. */
export type Grantee = LoginRole | "ransomeye_bus_owner" | "ransomeye_views_owner" | "ransomeye_ops_owner";

/** A table or a view. `byDay` tables have partitions, which nobody has any right on: they are reached through the table. */
export interface RelationRow {
  readonly kind: "table" | "view";
  readonly name: `${Schema}.${string}`;
  readonly byDay?: true;
  /** How it is written and read: the matrix' "method". */
  readonly method: string;
  readonly rights: Readonly<Partial<Record<Grantee, TableRights>>>;
}

/** A function, by name: we have no overloads. */
export interface FunctionRow {
  readonly kind: "function";
  readonly name: `${Schema}.${string}`;
  readonly method: string;
  readonly execute: readonly Grantee[];
}

export type MatrixRow = RelationRow | FunctionRow;

const read: TableRights = { select: true };
const append: TableRights = { insert: true };

function table(name: RelationRow["name"], method: string, rights: RelationRow["rights"]): RelationRow {
  return { kind: "table", name, method, rights };
}
function tableByDay(name: RelationRow["name"], method: string, rights: RelationRow["rights"]): RelationRow {
  return { kind: "table", byDay: true, name, method, rights };
}
function view(name: RelationRow["name"], method: string): RelationRow {
  return { kind: "view", name, method, rights: { ransomeye_reader: read } };
}
function callable(name: FunctionRow["name"], method: string, execute: readonly Grantee[]): FunctionRow {
  return { kind: "function", name, method, execute };
}
/** A function that only functions and views of its own schema call. */
function internal(name: FunctionRow["name"]): FunctionRow {
  return { kind: "function", name, method: "called inside its own schema", execute: [] };
}

const gate = "ransomeye_gate";
const engine = "ransomeye_engine";
const registry = "ransomeye_registry";
const keeper = "ransomeye_keeper";
const reader = "ransomeye_reader";
const consumer = "ransomeye_consumer";
const busOwner = "ransomeye_bus_owner";
const viewsOwner = "ransomeye_views_owner";

const bus: readonly MatrixRow[] = [
  tableByDay("bus.frames", "written by bus.append; read by COPY of the log's readers and by views", { [engine]: read, [viewsOwner]: read }),
  table("bus.generation", "written once, at creation", { [engine]: read, [keeper]: read, [viewsOwner]: read }),
  table("bus.state", "written by bus.pause and bus.configure", { [engine]: read, [keeper]: read }),
  table("bus.registry_version", "written by bus.set_registry", {}),
  table("bus.revoked", "written by bus.set_registry", {}),
  table("bus.partition_head", "written by bus.append and bus.trim; one query over all heads wakes readers", {
    [engine]: read,
    [keeper]: read,
    [viewsOwner]: read,
  }),
  table("bus.producer_head", "written by bus.append and bus.open_epoch", { [engine]: read, [viewsOwner]: read }),
  table("bus.epoch_log", "written by bus.open_epoch", { [viewsOwner]: read }),
  table("bus.consumer_offset", "leases by functions; the engine moves the place itself in its row transaction, under its token (R-3)", {
    [engine]: { select: true, update: ["off", "generation", "entry_hash", "entry_received_us"] },
    [keeper]: read,
    [viewsOwner]: read,
  }),
  table("bus.consumer_group", "written by bus.group_acquire", {}),
  table("bus.group_member", "written by bus.group_acquire and group_renew", {}),
  table("bus.gate_incarnation", "written by bus.counters_put", { [viewsOwner]: read }),
  table("bus.gate_quarantine", "written by bus.counters_put", { [viewsOwner]: read }),
  table("bus.gate_lease", "written by bus.pressure (R-14)", {}),
  table("bus.gate_counters", "written by bus.counters_put", { [viewsOwner]: read }),
  callable("bus.append", "the gate's way to the log (R-12)", [gate]),
  callable("bus.open_epoch", "the gate's way to the log (R-12)", [gate]),
  callable("bus.heads_of", "the gate's way to the log (R-12)", [gate, engine]),
  callable("bus.load", "how the log stands, for operators and the disk guard", [keeper, reader]),
  callable("bus.pressure", "the gate's way to the log (R-12): how the log stands, and a lease of the bytes on their way to it (R-14)", [
    gate,
  ]),
  callable("bus.counters_put", "the gate's way to the log (R-12)", [gate]),
  callable("bus.group_acquire", "leases of a reader", [engine]),
  callable("bus.group_renew", "leases of a reader", [engine]),
  callable("bus.group_release", "leases of a reader", [engine]),
  callable("bus.group_commit", "the place of a reader that writes no rows", [engine]),
  callable("bus.group_rewind", "an operator's", [keeper]),
  callable("bus.seek", "finding a place by time", [engine, keeper]),
  callable("bus.set_registry", "revocation reaches the log (R-13)", [registry]),
  callable("bus.pause", "disk state (R-33)", [keeper]),
  callable("bus.trim", "low mark, before retention", [keeper]),
  callable("bus.trim_day", "low mark, before retention", [keeper]),
  callable("bus.configure", "number of partitions, from the configuration", [keeper]),
  callable("bus.log_ends", "where a log that is to lie elsewhere begins", [keeper]),
  callable("bus.founding_heads", "heads from which a log elsewhere goes on", [keeper]),
  callable("bus.adopt", "from now on the log lies elsewhere", [keeper]),
  callable("bus.note_heads", "heads of a log that lies elsewhere: as far as rows have come, and mirrored", [engine, keeper]),
  callable("bus.note_ends", "ends of a log that lies elsewhere: as far as rows have come, and mirrored", [engine, keeper]),
  table(
    "bus.outbox",
    "written in the row transaction (R-27), and by the keeper for alarms of all processes; emptied by the keeper's relay",
    {
      [engine]: append,
      [keeper]: { select: true, insert: true, delete: true },
    },
  ),
  table("bus.dead_letters_told", "one row: up to where the keeper has alarmed (R-27)", { [keeper]: { select: true, update: true } }),
  table("bus.message", "written by bus.message_publish, removed by bus.message_trim", {}),
  table("bus.message_end", "written by bus.message_publish and message_trim", {}),
  table("bus.message_group", "written by the functions of message groups", {}),
  table("bus.message_out", "written by the functions of message groups", {}),
  callable("bus.message_publish", "messages to a stream", [consumer, engine, keeper]),
  callable("bus.message_group_make", "a group of a stream", [consumer, keeper]),
  callable("bus.message_take", "messages for a member of a group", [consumer, keeper]),
  callable("bus.message_settle", "how a delivery ended", [consumer, keeper]),
  callable("bus.message_extend", "leases of messages", [consumer, keeper]),
  callable("bus.message_bury", "a message that a group gave up", [consumer, keeper]),
  callable("bus.message_rewind", "an operator's", [consumer, keeper]),
  callable("bus.message_trim", "bounds of streams (BUS-5)", [consumer, keeper]),
  callable("bus.message_read", "replay", [consumer, keeper]),
  callable("bus.message_groups", "how far groups have come", [consumer, keeper]),
  table("bus.message_archive", "written by bus.message_archive_put and message_trim, removed by bus.message_archive_forget", {}),
  callable("bus.message_archive_bytes", "how much of a stream is no more", [keeper]),
  callable("bus.message_archive_weigh", "up to where a stream is too much", [keeper]),
  callable("bus.message_archive_put", "what leaves the servers' memory (R-26)", [keeper]),
  callable("bus.message_archive_find", "messages of a group that is behind (R-26)", [consumer, keeper]),
  callable("bus.message_archive_read", "replay", [consumer, keeper]),
  callable("bus.message_archive_seek", "where a time begins", [consumer, keeper]),
  callable("bus.message_archive_forget", "bounds of the archive", [keeper]),
  table("bus.dead_letter_action", "written by bus.dead_letter_note, append-only", {}),
  callable("bus.dead_letter_note", "what an operator did with dead letters", [consumer]),
  callable("bus.dead_letter_trail", "what operators did with dead letters", [consumer]),
  internal("bus.refuse_change"),
  internal("bus.message_begin"),
  internal("bus.message_log_here"),
  internal("bus.clock_us"),
  internal("bus.to_time"),
  internal("bus.paused_reason"),
  internal("bus.force_barrier"),
  internal("bus.known_frame"),
  internal("bus.group_quota"),
];

const data: readonly MatrixRow[] = [
  tableByDay("data.events_dpi", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.events_agent", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.events_honeypot", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.event_dead_letters", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.gaps", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  table("data.sink_head", "locked, compared and moved in the row transaction (R-2); the bus tells producers how far it has come", {
    [engine]: { select: true, insert: true, update: true },
    [busOwner]: read,
    [viewsOwner]: read,
  }),
  table("data.sink_epochs", "written when the sink leaves an epoch (R-7)", {
    [engine]: { select: true, insert: true },
    [viewsOwner]: read,
  }),
];

const registryRows: readonly MatrixRow[] = [
  table("registry.producers", "the registry process alone", { [registry]: { select: true, insert: true, update: true } }),
  table("registry.producer_keys", "the registry process alone", { [registry]: { select: true, insert: true, update: true } }),
  table("registry.certificates", "the registry process alone", { [registry]: { select: true, insert: true, update: true } }),
  table("registry.version", "raised with every change, never lowered", { [registry]: { select: true, update: true } }),
  table("registry.audit", "append-only", { [registry]: { select: true, insert: true } }),
  table("registry.enrolment_tokens", "hashes of tokens; a use is counted here", {
    [registry]: { select: true, insert: true, update: true },
  }),
  table("registry.token_uses", "who enrolled with which token, append-only", { [registry]: { select: true, insert: true } }),
  table("registry.clone_findings", "suspected clones, for an operator (R-6)", { [registry]: { select: true, insert: true, update: true } }),
  internal("registry.refuse_regress"),
];

const ops: readonly MatrixRow[] = [
  table("ops.migration", "written by the runner of migrations, as administrator", { [keeper]: read, [reader]: read }),
  table("ops.day_table", "written by migrations", {}),
  table("ops.expired", "written by ops.drop_day", { [viewsOwner]: read }),
  callable("ops.ensure_partitions", "days ahead, and on demand when a day is missing", [keeper, engine]),
  callable("ops.finish_detaches", "at start", [keeper]),
  callable("ops.day_sizes", "disk state (R-33)", [keeper, reader]),
  callable("ops.drop_day", "retention (R-33)", [keeper]),
  internal("ops.partition_name"),
  internal("ops.set_upkeep"),
  internal("ops.count_day"),
];

const views: readonly MatrixRow[] = [
  view("views.events", "all sources"),
  view("views.dead_letters", "events that could not become rows"),
  view("views.gaps", "declared losses"),
  view("views.ledger_producer", "recounted, per producer and epoch (R-19)"),
  view("views.ledger", "recounted, the whole system (R-19)"),
  view("views.transmissions", "counters of the gates (R-19)"),
  view("views.gates", "the gates by what they last said of themselves"),
  view("views.quarantine", "producers that a gate refuses for a while"),
  view("views.consumer_lag", "how far readers of the log are behind, and whether their place is still the log's (R-2)"),
  view("views.sink_diverged", "producers whose rows are ahead of the log, or beside it (R-2)"),
  callable("views.event", "one event by its id", [reader]),
  callable("views.event_bytes", "the bytes that were signed (R-18)", [reader]),
  callable("views.event_document", "the same as text (R-18)", [reader]),
  callable("views.frame", "for the check of a proof", [reader]),
  callable("views.frame_of", "where an event's frame is", [reader]),
  callable("views.kind_name", "names of kinds of producers", [reader]),
];

/** The matrix: every object that we make in the database. */
export const ownershipMatrix: readonly MatrixRow[] = [...bus, ...data, ...registryRows, ...ops, ...views];

/** Where the frame log lies: in this database, or on other servers, and then this database holds the archive of its frames. */
export type LogPlace = "here" | "elsewhere";

/** Of a log that lies elsewhere: the gate has no business here at all, and the engine writes a frame in the transaction of its rows. */
const elsewhere: readonly MatrixRow[] = [
  tableByDay("bus.frames", "the archive: binary COPY in the row transaction; read through views", {
    [engine]: append,
    [viewsOwner]: read,
  }),
  callable("bus.append", "nobody: the log lies elsewhere", []),
  callable("bus.open_epoch", "nobody: the log lies elsewhere", []),
  callable("bus.heads_of", "how far rows have come", [engine]),
  callable("bus.pressure", "nobody: the log lies elsewhere", []),
  callable("bus.counters_put", "gates' reports, mirrored from the log's servers", [keeper]),
];

/** The matrix of a database, by where its log lies. */
export function matrixFor(log: LogPlace): readonly MatrixRow[] {
  if (log === "here") return ownershipMatrix;
  const other = new Map(elsewhere.map((row) => [row.name, row]));
  return ownershipMatrix.map((row) => other.get(row.name) ?? row);
}

/** Owners that act in other schemas altogether: the functions of ops make and drop partitions there. */
export const memberships: readonly { readonly member: Grantee; readonly of: "ransomeye_bus_owner" | "ransomeye_data_owner" }[] = [
  { member: "ransomeye_ops_owner", of: "ransomeye_bus_owner" },
  { member: "ransomeye_ops_owner", of: "ransomeye_data_owner" },
];
