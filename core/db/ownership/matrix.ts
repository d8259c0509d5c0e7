/**
 * Why it exists: who may do what to which object of the database, in one typed table (DB-2). Grants, the permission test and the
 * documentation page come from it; nothing is granted anywhere else.
 * Enforces: every table, view and function that we make has a row here; a right that is not written here does not exist, and PostgreSQL
 * answers 42501 (promise 6).
 * Forbids: rights for PUBLIC, for agents (they have no role), and for the gate beyond five functions.
 */
import type { LoginRole, ownerOf } from "../src/role_names.ts";
import { logRows, rowsElsewhere } from "./matrix_log.ts";
import {
  appendOnly,
  table,
  tableByDay,
  indexByDay,
  view,
  callable,
  internal,
  read,
  append,
  columns,
  engine,
  registry,
  keeper,
  reader,
  sealer,
  custodian,
  indexer,
  rebuilder,
  busOwner,
  viewsOwner,
  type Grantee,
  type MatrixRow,
} from "./matrix_row.ts";

export type { Grantee, MatrixRow, RelationRow, TableRights } from "./matrix_row.ts";

/** What each role does, in the words of the reference page. */
export const roleHelp: Readonly<Record<LoginRole, string>> = {
  ransomeye_gate: "gateways: append signed batches to the log, open epochs, report; no table at all (R-12)",
  ransomeye_engine: "writes rows and the offset that they stand for in one transaction",
  ransomeye_registry: "producers, their keys and certificates, tokens",
  ransomeye_keeper: "days ahead, retention, disk state, alarms, the outbox, operators' changes",
  ransomeye_reader: "command line and API",
  ransomeye_consumer: "publishes and consumes messages",
  ransomeye_sealer: "signs what the log held: checkpoints, and days that retention removes (R-20)",
  ransomeye_custodian: "places and releases legal holds; no process has it, only the command",
  ransomeye_indexer: "notes which batches hold which hashes, addresses, names and users (R-31)",
  ransomeye_rebuilder: "makes a day's rows again from its batches; no process has it, only the command",
};

const data: readonly MatrixRow[] = [
  tableByDay("data.events_dpi", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.events_agent", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.events_honeypot", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.event_dead_letters", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  tableByDay("data.gaps", "binary COPY in the row transaction; read through views", { [engine]: append, [viewsOwner]: read }),
  table("data.sink_head", "locked, compared and moved in the row transaction (R-2); the bus tells producers how far it has come", {
    [engine]: {
      ...columns("producer_id", "epoch", "seq", "hash"),
      insert: true,
      update: ["epoch", "seq", "hash", "producer_kind", "updated_at"],
    },
    [busOwner]: columns("producer_id", "epoch", "seq", "hash"),
    [viewsOwner]: columns("producer_id", "producer_kind", "epoch", "seq", "hash"),
  }),
  appendOnly("data.sink_epochs", "written when the sink leaves an epoch (R-7)", {
    [engine]: { select: true, insert: true },
    [viewsOwner]: read,
  }),
];

const registryRows: readonly MatrixRow[] = [
  table("registry.producers", "the registry process alone", { [registry]: { select: true, insert: true, update: true } }),
  table("registry.producer_keys", "the registry process alone", { [registry]: { select: true, insert: true, update: true } }),
  table("registry.certificates", "the registry process alone", { [registry]: { select: true, insert: true, update: true } }),
  table("registry.version", "raised with every change, never lowered", { [registry]: { select: true, update: true } }),
  appendOnly("registry.audit", "every change, by the registry process alone", { [registry]: { select: true, insert: true } }),
  table("registry.enrolment_tokens", "hashes of tokens; a use is counted here", {
    [registry]: { select: true, insert: true, update: true },
  }),
  appendOnly("registry.token_uses", "who enrolled with which token", { [registry]: { select: true, insert: true } }),
  table("registry.clone_findings", "suspected clones, for an operator (R-6)", { [registry]: { select: true, insert: true, update: true } }),
  internal("registry.refuse_regress"),
];

const evidence: readonly MatrixRow[] = [
  appendOnly("evidence.statement", "the sealer alone, one transaction for each statement", {
    [sealer]: { select: true, insert: true },
    [viewsOwner]: read,
  }),
  appendOnly("evidence.sealed_range", "the sealer alone, with the checkpoint", {
    [sealer]: { select: true, insert: true },
    [viewsOwner]: read,
  }),
  tableByDay("evidence.leaves", "the sealer alone, with the checkpoint; gone with their day", { [sealer]: append, [viewsOwner]: read }),
  appendOnly("evidence.legal_hold", "written by ops.hold_place", { [viewsOwner]: read }),
  appendOnly("evidence.legal_hold_release", "written by ops.hold_release", { [viewsOwner]: read }),
  appendOnly("evidence.expired_chain", "the sealer alone, with the statement", { [sealer]: append, [viewsOwner]: read }),
  appendOnly("evidence.expiry_wish", "the keeper, before it drops a day", { [keeper]: append, [viewsOwner]: read }),
];

const observables: readonly MatrixRow[] = [
  table("observable.state", "written by observable.rebuild", { [viewsOwner]: columns("salt", "rules") }),
  table("observable.mark", "the indexer alone, in the transaction of the summaries", {
    [indexer]: { select: true, insert: true, update: ["off", "received_at", "fence"] },
    [viewsOwner]: read,
  }),
  indexByDay("observable.summary", "the indexer alone, binary COPY with the marks; gone when they are sorted", {
    [indexer]: { select: true, insert: true, delete: true },
    [viewsOwner]: read,
  }),
  indexByDay("observable.segment", "the indexer alone, in the transaction that sorts; gone with their day", {
    [indexer]: { select: ["received_at", "number"], insert: true },
    [viewsOwner]: read,
  }),
  indexByDay("observable.posting", "the indexer alone, binary COPY with their segment; gone with their day", {
    [indexer]: append,
    [viewsOwner]: read,
  }),
  callable("observable.rebuild", "an operator's, and the indexer's when the rules are others", [keeper, indexer]),
];

const ops: readonly MatrixRow[] = [
  appendOnly("ops.migration", "written by the runner of migrations, as administrator", { [viewsOwner]: read }),
  table("ops.day_table", "written by migrations", {}),
  table("ops.expired", "written by ops.expire_day", { [viewsOwner]: read }),
  table("ops.ledger_sum", "written by ops.ledger_fold, expire_day and ledger_rebuild", { [viewsOwner]: read }),
  table("ops.ledger_mark", "written by ops.ledger_fold and ledger_rebuild", {}),
  table("ops.day_removal", "written by ops.expire_day, emptied by ops.finish_removal", { [viewsOwner]: read }),
  view("ops.ledger_place", "the engine's place beside the ledger's marks", []),
  view("ops.ledger_tail", "what lies behind the ledger's marks, counted from the tables (R-19)", [viewsOwner]),
  callable("ops.ledger_fold", "what lies behind the marks into the sums (R-19)", [keeper, rebuilder]),
  callable("ops.ledger_rebuild", "an operator's, after a finding", [keeper]),
  callable("ops.ensure_partitions", "days ahead, and on demand when a day is missing", [keeper, engine]),
  callable("ops.missing_days", "each second: what the intake waits for (R-16)", [keeper]),
  callable("ops.finish_detaches", "at start", [keeper]),
  callable("ops.day_sizes", "disk state (R-33)", [keeper, reader]),
  callable("ops.day_holds", "which open holds keep a day", [keeper, sealer, reader]),
  callable("ops.hold_place", "legal holds, by the command alone", [custodian]),
  callable("ops.hold_release", "legal holds, by the command alone", [custodian]),
  callable("ops.expire_day", "retention: counts a day, and begins its removal (R-33)", [keeper]),
  callable("ops.finish_removal", "retention: drops what was detached", [keeper]),
  callable("ops.next_detach", "what of a counted day is to be detached: asked as its owner, on the supervisor's connection", []),
  table("ops.day_rebuild", "written by ops.rebuild_seal and rebuild_replace, emptied by rebuild_discard and finish_removal", {
    [viewsOwner]: read,
  }),
  table("ops.day_rebuild_finding", "written by ops.rebuild_compare, gone with its rebuild", { [viewsOwner]: read }),
  table("ops.day_rebuild_sum", "written by ops.rebuild_compare, gone with its rebuild", {}),
  appendOnly("ops.rebuild_record", "written when a day is replaced, put back or let go", { [viewsOwner]: read }),
  callable("ops.rebuild_begin", "empty tables for a day's rows, which the caller alone may fill, in the same transaction", [rebuilder]),
  callable("ops.rebuild_compare", "the new rows beside those that are stored", [rebuilder]),
  callable("ops.rebuild_seal", "the new rows are held against the batches and put beside the day", [rebuilder]),
  callable("ops.rebuild_close_day", "nothing is received any more in a day that is to be replaced", [rebuilder]),
  callable("ops.rebuild_replace", "the new rows into the day's place, or the old ones back", [rebuilder]),
  callable("ops.rebuild_check_kept", "before the old ones are put back", [rebuilder]),
  callable("ops.rebuild_discard", "what stands beside a day goes", [rebuilder]),
  internal("ops.rebuild_verdict"),
  internal("ops.rebuild_lock"),
  internal("ops.derived_tables"),
  internal("ops.aside_name"),
  internal("ops.drop_aside"),
  internal("ops.forget_rebuild"),
  internal("ops.exchange_day"),
  internal("ops.account_rebuild"),
  internal("ops.day_ends"),
  internal("ops.day_ends_mark"),
  internal("ops.range_sum"),
  internal("ops.range_squares"),
  internal("ops.partition_name"),
  internal("ops.retention_lock"),
  internal("ops.set_upkeep"),
  internal("ops.guard_table"),
  internal("ops.refuse_change"),
  internal("ops.count_day"),
];

const views: readonly MatrixRow[] = [
  view("views.events", "all sources"),
  view("views.dead_letters", "events that could not become rows"),
  view("views.gaps", "declared losses"),
  view("views.ledger_producer", "recounted, per producer and epoch (R-19)"),
  view("views.ledger", "recounted, the whole system (R-19)"),
  view("views.ledger_kind", "recounted, per kind of producer (R-19)"),
  view("views.ledger_live_producer", "sums and what lies behind their marks, per producer and epoch (R-19)"),
  view("views.ledger_live_kind", "sums and what lies behind their marks, per kind of producer (R-19)"),
  view("views.ledger_live", "sums and what lies behind their marks, the whole system (R-19)", [keeper, reader]),
  view("views.ledger_audit", "the recount beside the sums (R-19)"),
  view("views.transmissions", "counters of the gates (R-19)"),
  view("views.transmission_sums", "counters of the gates, over the lives of their processes (R-19)"),
  view("views.gates", "the gates by what they last said of themselves"),
  view("views.quarantine", "producers that a gate refuses for a while"),
  view("views.consumer_lag", "how far readers of the log are behind, and whether their place is still the log's (R-2)", [
    engine,
    keeper,
    reader,
  ]),
  view("views.sink_diverged", "producers whose rows are ahead of the log, or beside it (R-2)"),
  view("views.log", "which log this is, and how it stands", [engine, keeper, rebuilder, reader]),
  view("views.statements", "what the sealer has signed", [reader]),
  view("views.sealed_ranges", "what each checkpoint covers", [sealer, reader]),
  view("views.sealed_leaves", "what a proof of one entry is made of", [sealer, reader]),
  view("views.expired_chains", "what removed days held", [reader]),
  view("views.legal_holds", "legal holds with their releases", [keeper, reader]),
  view("views.day_removal", "the day that is on its way out", [keeper, reader]),
  view("views.day_rebuilds", "days beside which rows stand that were replaced, or are to replace them", [rebuilder, reader]),
  view("views.rebuild_findings", "in what the new rows differ", [rebuilder, reader]),
  view("views.rebuild_records", "who has rebuilt which day", [rebuilder, reader]),
  view("views.expiry_wishes", "days that shall go and are not yet signed away", [keeper, sealer, reader]),
  view("views.sealable", "up to where rows were made of the log", [sealer, reader]),
  view("views.log_heads", "where the log's partitions end; one query over all of them wakes readers", [engine, keeper, reader]),
  view("views.log_entries", "the log's entries, by COPY of its readers", [engine, sealer, indexer, rebuilder, reader]),
  view("views.row_places", "up to where rows were made", [indexer, reader]),
  view("views.observable_state", "the key and the rules of the index of observables", [indexer, reader]),
  view("views.observable_marks", "up to where observables are indexed", [reader]),
  view("views.observable_summaries", "keys of batches that were not sorted yet", [reader]),
  view("views.observable_segments", "batches of sorted postings", [reader]),
  view("views.observable_postings", "sorted postings", [reader]),
  view("views.observable_unindexed", "batches that are to be read directly", [reader]),
  view("views.migrations", "what has been applied"),
  callable("views.event", "one event by its id", [reader]),
  callable("views.event_bytes", "the bytes that were signed (R-18)", [reader]),
  callable("views.event_document", "the same as text (R-18)", [reader]),
  callable("views.frame", "for the check of a proof", [reader]),
  callable("views.frame_of", "where an event's frame is", [reader]),
  callable("views.kind_name", "names of kinds of producers", [reader]),
];

/** The matrix: every object that we make in the database. */
export const ownershipMatrix: readonly MatrixRow[] = [...logRows, ...data, ...registryRows, ...evidence, ...observables, ...ops, ...views];

/** Where the frame log lies: in this database, or on other servers, and then this database holds the archive of its frames. */
export type LogPlace = "here" | "elsewhere";

/** The matrix of a database, by where its log lies. */
export function matrixFor(log: LogPlace): readonly MatrixRow[] {
  if (log === "here") return ownershipMatrix;
  const other = new Map(rowsElsewhere.map((row) => [row.name, row]));
  return ownershipMatrix.map((row) => other.get(row.name) ?? row);
}

/** Owners that act in other schemas altogether: the functions of ops make and drop partitions there. */
export const memberships: readonly { readonly member: Grantee; readonly of: ReturnType<typeof ownerOf> }[] = [
  { member: "ransomeye_ops_owner", of: "ransomeye_bus_owner" },
  { member: "ransomeye_ops_owner", of: "ransomeye_data_owner" },
  { member: "ransomeye_ops_owner", of: "ransomeye_evidence_owner" },
  { member: "ransomeye_ops_owner", of: "ransomeye_observable_owner" },
];
