/**
 * Why: bus, database, engine, and how long and how much is kept.
 * Enforces: as fields.ts says.
 * Forbids: fields of other sections.
 */

/** Sections `bus`, `database`, `engine`, `retention` and `disk`. */
export const dataFields = {
  "bus.url": {
    type: "url",
    default: "",
    protocols: ["redis:", "rediss:", "redis+unix:", "postgres:", "postgresql:"],
    secret: true,
    reloadable: false,
    prose:
      "Where the frame log lies. Empty: in the database of `database.url`, by default the embedded PostgreSQL. `redis://host:port`, `rediss://host:port` (TLS) or `redis+unix:///path`: on Redis or Valkey servers; several hosts with commas are a cluster's nodes, or a master and its replicas.",
  },
  "bus.users_file": {
    type: "path",
    default: "",
    pattern: "[^\\n]{0,4096}",
    expected: "a path, or nothing",
    reloadable: false,
    prose:
      "File with the passwords of the Redis servers' users, as `ransomeye bus acl` makes it: each role then logs in as a user of its own. Empty: all as `bus.url` says.",
  },
  "bus.durability": {
    type: "choice",
    choices: ["local", "replicated"],
    default: "local",
    reloadable: false,
    prose:
      "What a receipt waits for where the log lies on Redis servers. `local`: the server's own disk (it must run with appendfsync always). `replicated`: `bus.replicas_min` replicas besides; on their disks and the master's where the servers have WAITAOF, else as far as replicas have received it.",
  },
  "bus.replicas_min": {
    type: "integer",
    unit: "replicas",
    default: 1,
    min: 1,
    max: 16,
    reloadable: false,
    prose: "Replicas of a Redis server that must have a change before it is answered, with `bus.durability` replicated.",
  },
  "bus.replica_wait_ms": {
    type: "integer",
    unit: "milliseconds",
    default: 2000,
    min: 10,
    max: 60000,
    reloadable: false,
    prose: "How long replicas may take; a change that too few have confirmed by then has an unknown outcome, and is asked for again.",
  },
  "bus.unverified": {
    type: "boolean",
    default: false,
    reloadable: false,
    prose:
      "Uses Redis servers that are less durable than `bus.durability` asks, or do not tell. Receipts then promise more than the servers keep: for trials only.",
  },
  "bus.key_prefix": {
    type: "text",
    default: "ransomeye",
    pattern: "[A-Za-z0-9_.-]{1,64}",
    expected: "1 to 64 letters, digits, dots, dashes or underscores",
    reloadable: false,
    prose: "Begins the name of every key on Redis servers, so that installations can share them.",
  },
  "bus.keep_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 600000,
    min: 1000,
    max: 604800000,
    reloadable: false,
    prose: "How long Redis servers keep frames that have become rows; what comes again within that time is recognised byte for byte.",
  },
  "bus.keep_bytes_max": {
    type: "bytes",
    default: "1GiB",
    min: "16MiB",
    max: "1TiB",
    reloadable: false,
    prose:
      "Memory of a Redis server above which frames that have become rows go at once; half of its own bound (maxmemory), if that is less.",
  },
  "bus.partitions": {
    type: "integer",
    unit: "partitions",
    default: 16,
    min: 1,
    max: 1024,
    reloadable: false,
    prose:
      "Partitions of the frame log. Appends to one partition are serial, so more of them let more producers append at once. May be raised later, but not of a log on Redis servers.",
  },
  "database.url": {
    type: "url",
    default: "",
    protocols: ["postgres:", "postgresql:"],
    secret: true,
    reloadable: false,
    prose:
      "An external PostgreSQL, 15 or newer, as a role that may create roles and schemas. Empty: the embedded PostgreSQL, for one host.",
  },
  "database.pool_connections_max": {
    type: "integer",
    unit: "connections",
    default: 8,
    min: 2,
    max: 400,
    reloadable: false,
    prose: "Connections that one process may open to the database.",
  },
  "database.listen_port": {
    type: "integer",
    unit: "port number",
    default: 5432,
    min: 1,
    max: 65535,
    reloadable: false,
    prose: "Port number in the name of the embedded PostgreSQL's unix socket. No TCP port is opened.",
  },
  "engine.commit_rows_max": {
    type: "integer",
    unit: "rows",
    default: 20000,
    min: 1,
    max: 1000000,
    reloadable: false,
    prose: "The engine commits at this many rows at the latest. Larger groups cost less per row and more when one has to be repeated.",
  },
  "engine.commit_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 25,
    min: 1,
    max: 10000,
    reloadable: false,
    prose: "The engine commits after this time at the latest, and at once when the bus has nothing more.",
  },
  "engine.writers": {
    type: "integer",
    unit: "connections",
    default: 2,
    min: 1,
    max: 64,
    reloadable: false,
    prose: "Connections that the engine writes rows with, each for partitions of its own.",
  },
  "engine.lease_ms": {
    type: "integer",
    unit: "milliseconds",
    default: 10000,
    min: 1000,
    max: 600000,
    reloadable: false,
    prose:
      "How long an engine owns a partition without renewing. A dead engine's partitions go to another one after this time, to its own successor at once.",
  },
  "retention.bytes_max": {
    type: "bytes",
    default: "10 GiB",
    min: "256 MiB",
    max: "1024 TiB",
    reloadable: false,
    prose:
      "Bytes of stored days; beyond it the oldest day is dropped. Never today's, and never one with frames that a live group has not read.",
  },
  "retention.days_max": {
    type: "integer",
    unit: "days",
    default: 30,
    min: 1,
    max: 36500,
    reloadable: false,
    prose: "Age of stored days; older ones are dropped, under the same conditions.",
  },
  "disk.free_ratio_min": {
    type: "ratio",
    unit: "share of the disk",
    default: 0.05,
    min: 0,
    max: 0.9,
    reloadable: false,
    prose:
      "Share of the disk that stays free. Below it, or below `disk.free_bytes_min`, the gateway pauses with a reason instead of PostgreSQL stopping.",
  },
  "disk.free_bytes_min": {
    type: "bytes",
    default: "2 GiB",
    min: "64 MiB",
    max: "64 TiB",
    reloadable: false,
    prose: "Bytes of disk that stay free; see `disk.free_ratio_min`.",
  },
} as const;
