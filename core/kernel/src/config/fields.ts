/**
 * Why: configuration is described once; its type, parsing, validation, JSON Schema and reference page all come from this table.
 * Enforces: every field has a type, a default, bounds, whether it is secret or reloadable, and prose.
 * Forbids: fields that are known anywhere else, and defaults outside their bounds (a test checks).
 */

interface Described {
  /** One sentence or two for the reference page: what it does and why one would change it. */
  readonly prose: string;
  /** True if a running process takes over a new value; else a restart does. */
  readonly reloadable: boolean;
}

/** Free text. `pattern` is a whole-string regular expression that `expected` puts into words. */
export interface TextField extends Described {
  readonly type: "text" | "path";
  readonly default: string;
  readonly pattern?: string;
  readonly expected?: string;
}
/** `host:port`; IPv6 hosts in brackets; port 0 lets the system choose. */
export interface AddressField extends Described {
  readonly type: "address";
  readonly default: string;
}
/** A URL with one of `protocols`, or empty. Always secret: it may hold a password. */
export interface UrlField extends Described {
  readonly type: "url";
  readonly default: "";
  readonly protocols: readonly string[];
  readonly secret: true;
}
export interface ChoiceField extends Described {
  readonly type: "choice";
  readonly choices: readonly string[];
  readonly default: string;
}
export interface BooleanField extends Described {
  readonly type: "boolean";
  readonly default: boolean;
}
/** A whole number (`integer`) or a fraction (`ratio`) in words of `unit`. */
export interface NumberField extends Described {
  readonly type: "integer" | "ratio";
  readonly unit: string;
  readonly default: number;
  readonly min: number;
  readonly max: number;
}
/** An amount of bytes; written as a number or with KiB, MiB, GiB, TiB. */
export interface BytesField extends Described {
  readonly type: "bytes";
  readonly default: string;
  readonly min: string;
  readonly max: string;
}
export type FieldSpec = TextField | AddressField | UrlField | ChoiceField | BooleanField | NumberField | BytesField;

/** The table. Keys are `section.name`, snake_case with the unit last; TypeScript sees `config.section.name` in camelCase. */
export const configFields = {
  data_dir: {
    type: "path",
    default: ".ransomeye",
    reloadable: false,
    prose: "Directory of everything that this system keeps: database, secrets, identities, spool, logs. Created with permissions 0700.",
  },
  "log.level": {
    type: "choice",
    choices: ["debug", "info", "warn", "error", "silent"],
    default: "info",
    reloadable: false,
    prose: "Lines below this level are not written. Metrics count all events at any level.",
  },
  "log.format": {
    type: "choice",
    choices: ["text", "json"],
    default: "text",
    reloadable: false,
    prose:
      "What `ransomeye start` prints: `text` for people, `json` one object a line, as with --json. Log files are JSON lines either way.",
  },
  "gateway.listen": {
    type: "address",
    default: "127.0.0.1:7443",
    reloadable: false,
    prose: "Where producers connect. The default is reachable from this host only; use `0.0.0.0:7443` or `[::]:7443` for a fleet.",
  },
  "gateway.trust_domain": {
    type: "text",
    default: "ransomeye.local",
    pattern: "[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?",
    expected: "a SPIFFE trust domain: lower-case letters, digits, dots, hyphens and underscores",
    reloadable: false,
    prose: "Trust domain in the certificates' `spiffe://` names. A certificate of another trust domain is refused.",
  },
  "gateway.buffer_bytes_max": {
    type: "bytes",
    default: "128 MiB",
    min: "8 MiB",
    max: "64 GiB",
    reloadable: false,
    prose:
      "Bytes of frames that a gateway holds in memory between network and bus. Credit never exceeds it, so honest producers cannot overflow it.",
  },
  "gateway.sessions_max": {
    type: "integer",
    unit: "sessions",
    default: 20000,
    min: 1,
    max: 200000,
    reloadable: false,
    prose:
      "Producers that one gateway process serves at once. Each has a small buffer floor of its own, so all floors must fit the buffer.",
  },
  "gateway.linger_ms": {
    type: "integer",
    unit: "milliseconds",
    default: 20,
    min: 1,
    max: 60000,
    reloadable: false,
    prose: "How long a producer collects events before it signs a frame. Longer means fewer, larger frames; large fleets want seconds.",
  },
  "gateway.append_connections": {
    type: "integer",
    unit: "connections",
    default: 4,
    min: 1,
    max: 64,
    reloadable: false,
    prose: "Database connections that a gateway process appends frames with.",
  },
  "gateway.registry_fresh_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 5000,
    min: 1000,
    max: 60000,
    reloadable: false,
    prose: "After this silence of the producer registry a gateway opens no new sessions.",
  },
  "gateway.registry_stale_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 60000,
    min: 5000,
    max: 600000,
    reloadable: false,
    prose: "After this silence of the producer registry a gateway ends its open sessions, paced.",
  },
  "gateway.rate_events_per_second_max": {
    type: "integer",
    unit: "events per second",
    default: 100000,
    min: 1,
    max: 10000000,
    reloadable: false,
    prose: "Events that one producer may send in a second, averaged; beyond it the producer is throttled, never cut.",
  },
  "gateway.rate_bytes_per_second_max": {
    type: "bytes",
    default: "64 MiB",
    min: "64 KiB",
    max: "8 GiB",
    reloadable: false,
    prose: "Frame bytes that one producer may send in a second, averaged; beyond it the producer is throttled, never cut.",
  },
  "bus.url": {
    type: "url",
    default: "",
    protocols: ["postgres:", "postgresql:"],
    secret: true,
    reloadable: false,
    prose: "Database that holds the frame log. Empty: the same one as `database.url`, by default the embedded PostgreSQL.",
  },
  "bus.partitions": {
    type: "integer",
    unit: "partitions",
    default: 16,
    min: 1,
    max: 1024,
    reloadable: false,
    prose:
      "Partitions of the frame log. Appends to one partition are serial, so more of them let more producers append at once. May be raised later.",
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
  "demo.enabled": {
    type: "boolean",
    default: true,
    reloadable: false,
    prose: "Whether `ransomeye start` also runs a small fleet of synthetic producers.",
  },
  "demo.events_per_second": {
    type: "integer",
    unit: "events per second",
    default: 50,
    min: 1,
    max: 100000,
    reloadable: false,
    prose: "Rate of the whole demo fleet.",
  },
  "demo.seed": {
    type: "text",
    default: "ransomeye",
    pattern: "[!-~]{1,64}",
    expected: "1 to 64 visible ASCII characters",
    reloadable: false,
    prose: "Seed of the demo fleet; the same seed tells the same story.",
  },
  "supervisor.drain_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 30000,
    min: 1000,
    max: 600000,
    reloadable: false,
    prose: "How long a stop waits for the processes to finish accepted work before it destroys them.",
  },
  "supervisor.restart_ms_min": {
    type: "integer",
    unit: "milliseconds",
    default: 250,
    min: 10,
    max: 60000,
    reloadable: false,
    prose: "Pause before a crashed process is started again; it doubles with each crash in a row.",
  },
  "supervisor.restart_ms_max": {
    type: "integer",
    unit: "milliseconds",
    default: 15000,
    min: 100,
    max: 600000,
    reloadable: false,
    prose: "Longest pause before a crashed process is started again.",
  },
} as const;

/** A field's path in the table. */
export type FieldPath = keyof typeof configFields;

/** The table with its values' general type, for code that walks it. */
export const fieldTable: ReadonlyMap<string, FieldSpec> = new Map<string, FieldSpec>(Object.entries(configFields));
