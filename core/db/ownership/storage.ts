/**
 * Why it exists: how each table lies on disk was chosen once, for a reason, and has to stay readable beside the figures that it promises.
 * Enforces: every table has a row here; a test holds it against the live catalogue, against rows that it inserts (bytes) and against updates that it makes (HOT).
 * Forbids: a table that nobody has thought about.
 */
import { brin, btree, byTimes, dayOfEvents, evidence, few, key, never, retention, type TableChoice } from "./storage_choice.ts";
import { logTables, messageTables } from "./storage_log.ts";

/** Rows of events, of each source alike. */
function eventTable(name: TableChoice["name"], index: string): TableChoice {
  return {
    name,
    rowFor: "an event",
    crash: evidence,
    byDay: dayOfEvents,
    rowBytes: 241,
    indexes: { [index]: brin(byTimes, 0.06) },
    updates: "none",
    changedBy: retention,
  };
}

const data: readonly TableChoice[] = [
  eventTable("data.events_dpi", "events_dpi_times"),
  eventTable("data.events_agent", "events_agent_times"),
  eventTable("data.events_honeypot", "events_honeypot_times"),
  {
    name: "data.event_dead_letters",
    rowFor: "an event, or a batch, that could not become rows",
    crash: evidence,
    byDay: dayOfEvents,
    rowBytes: 149,
    indexes: { event_dead_letters_times: brin(byTimes, 0.06) },
    updates: "none",
    changedBy: retention,
  },
  {
    name: "data.gaps",
    rowFor: "a declared loss",
    crash: evidence,
    byDay: dayOfEvents,
    rowBytes: 101,
    indexes: { gaps_times: brin(byTimes, 0.06) },
    updates: "none",
    changedBy: retention,
  },
  {
    name: "data.sink_head",
    rowFor: "a producer",
    crash: "exactly-once is judged by it (R-2)",
    fillfactor: 50,
    rowBytes: 234,
    indexes: key("sink_head_pkey", 39),
    updates: "hot",
    changedBy: "each row transaction with events of its producer",
  },
  {
    name: "data.sink_epochs",
    rowFor: "an epoch that the sink has left",
    crash: "a later epoch waits for it (R-7)",
    rowBytes: 101,
    indexes: key("sink_epochs_pkey", 54),
    updates: "none",
    changedBy: never,
  },
];

const registry: readonly TableChoice[] = [
  {
    name: "registry.producers",
    rowFor: "a producer",
    crash: "who may send",
    rowBytes: 85,
    indexes: { ...key("producers_pkey", 39), producers_name_in_use: btree("a name is one producer's", 46) },
    updates: "rare",
    changedBy: "operators",
  },
  {
    name: "registry.producer_keys",
    rowFor: "a key of a producer",
    crash: "whose signatures hold",
    rowBytes: 101,
    indexes: {
      ...key("producer_keys_pkey", 40),
      producer_keys_public_key_key: btree("a key is one producer's", 79),
      producer_keys_of_producer: btree("keys of a producer", 39),
    },
    updates: "rare",
    changedBy: "rotation",
  },
  {
    name: "registry.certificates",
    rowFor: "a certificate",
    crash: "who may connect",
    indexes: {
      ...key("certificates_pkey"),
      certificates_of_producer: btree("certificates of a producer"),
      certificates_of_parent: btree("renewals of one certificate, for forks"),
    },
    updates: "rare",
    changedBy: "renewal and revocation",
  },
  few("registry.version", "the registry", "it never goes backwards", "version_pkey", "each change", "rare"),
  few("registry.audit", "a change", "it is a trail", "audit_pkey", never),
  few("registry.enrolment_tokens", "a token", "a use is counted once", "enrolment_tokens_pkey", "each use", "rare"),
  few("registry.token_uses", "a use of a token", "it is a trail", "token_uses_pkey", never),
  {
    name: "registry.clone_findings",
    rowFor: "a suspicion that an identity was copied",
    crash: "an operator decides about it",
    indexes: { ...key("clone_findings_pkey"), clone_findings_open: btree("one open finding for each kind of evidence") },
    updates: "rare",
    changedBy: "each further sign of it",
  },
];

const evidenceTables: readonly TableChoice[] = [
  {
    name: "evidence.statement",
    rowFor: "a statement of the sealer",
    crash: "it is signed",
    indexes: { ...key("statement_pkey"), statement_expiry: btree("a day is signed away once") },
    updates: "none",
    changedBy: never,
  },
  {
    name: "evidence.sealed_range",
    rowFor: "a partition in a checkpoint",
    crash: "it says what is signed",
    rowBytes: 85,
    indexes: { ...key("sealed_range_pkey", 36), sealed_range_statement: btree("ranges of a statement", 7) },
    updates: "none",
    changedBy: never,
  },
  {
    name: "evidence.leaves",
    rowFor: "1024 leaves of a checkpoint, out of line",
    crash: "proofs are made of it",
    byDay: dayOfEvents,
    rowBytes: 70,
    indexes: { leaves_place: btree("a chunk of a statement", 49) },
    updates: "none",
    changedBy: retention,
  },
  {
    name: "evidence.expired_chain",
    rowFor: "a chain in a day that went",
    crash: "it is signed",
    rowBytes: 158,
    indexes: { ...key("expired_chain_pkey", 32), expired_chain_place: btree("whether an event has expired", 61) },
    updates: "none",
    changedBy: never,
  },
  few("evidence.legal_hold", "a hold", "who, when and why stays on record", "legal_hold_pkey", never),
  few("evidence.legal_hold_release", "the release of a hold", "as the hold", "legal_hold_release_pkey", never),
  few("evidence.expiry_wish", "a day that shall go", "the sealer answers it", "expiry_wish_pkey", never),
];

const observables: readonly TableChoice[] = [
  few("observable.state", "the index", "keys without it mean nothing", "state_pkey", "a rebuild", "rare"),
  {
    name: "observable.mark",
    rowFor: "a partition of the log",
    crash: "it is lost with the summaries that it stands for, or with none",
    fillfactor: 50,
    indexes: key("mark_pkey"),
    updates: "hot",
    changedBy: "each round of the indexer",
  },
  {
    name: "observable.summary",
    rowFor: "a batch that was not sorted yet; its keys out of line where they are many",
    crash: "as its mark",
    byDay: dayOfEvents,
    rowBytes: 455,
    indexes: {},
    updates: "none",
    changedBy: "sorting deletes a day's, or two million keys of it",
  },
  {
    name: "observable.segment",
    rowFor: "up to two million sorted keys; the places of their batches out of line",
    crash: "it stands for summaries that were deleted",
    byDay: dayOfEvents,
    rowBytes: 86,
    indexes: {},
    updates: "none",
    changedBy: retention,
  },
  {
    name: "observable.posting",
    rowFor: "a block of sorted keys, of which four fill a page",
    crash: "as its segment",
    byDay: dayOfEvents,
    rowBytes: 2048,
    indexes: { posting_place: btree("the block of a key; its entries are one in a hundred bytes of the blocks", 41) },
    updates: "none",
    changedBy: retention,
  },
];

const ops: readonly TableChoice[] = [
  few("ops.migration", "a migration", "it says what this database is", "migration_pkey", never),
  few(
    "ops.day_removal",
    "the day that is being removed",
    "an interrupted removal goes on",
    "day_removal_pkey",
    "deleted when the day is gone",
  ),
  few(
    "ops.day_rebuild",
    "a day beside which rows stand",
    "an interrupted rebuild is put away",
    "day_rebuild_pkey",
    "when the day is replaced; deleted when they are let go",
    "rare",
  ),
  {
    name: "ops.day_rebuild_finding",
    rowFor: "a way in which rows of a rebuilt day differ",
    crash: "it belongs to the rows beside the day",
    indexes: {},
    updates: "none",
    changedBy: "deleted with its rebuild",
  },
  few(
    "ops.day_rebuild_sum",
    "an epoch of a rebuilt day",
    "the way back needs it",
    "day_rebuild_sum_pkey",
    "while the day is compared; deleted with its rebuild",
    "rare",
  ),
  few("ops.rebuild_record", "a day that was rebuilt", "it says what was done to rows", "rebuild_record_pkey", never),
  few("ops.day_table", "a table by day", "days are made by it", "day_table_pkey", never),
  {
    name: "ops.expired",
    rowFor: "an epoch of which a day has gone",
    crash: "the ledger balances by it (R-19)",
    rowBytes: 85,
    indexes: key("expired_pkey", 54),
    updates: "rare",
    changedBy: "each day that goes",
  },
  {
    name: "ops.ledger_sum",
    rowFor: "an epoch of a producer",
    crash: "sums and marks move together",
    fillfactor: 50,
    rowBytes: 186,
    indexes: key("ledger_sum_pkey", 54),
    updates: "hot",
    changedBy: "each fold that found events of it",
  },
  {
    name: "ops.ledger_mark",
    rowFor: "a partition of the log",
    crash: "as the sums",
    fillfactor: 50,
    indexes: key("ledger_mark_pkey"),
    updates: "hot",
    changedBy: "each fold",
  },
];

/** Every table. */
export const tableChoices: readonly TableChoice[] = [
  ...logTables,
  ...messageTables,
  ...data,
  ...registry,
  ...evidenceTables,
  ...observables,
  ...ops,
];

/** Of updates that are said to be HOT, so many are: rows that found their page full have moved to another, and go on there. */
export const hotShareMin = 0.75;

/** What a day's table has beside its parent's choices (0011): vacuumed and counted when it has doubled, for nothing in it changes. */
export const dayUpkeep: readonly string[] = ["autovacuum_vacuum_insert_scale_factor=1", "autovacuum_analyze_scale_factor=1"];
