/**
 * Why: the gateway has the most to set.
 * Enforces: as fields.ts says.
 * Forbids: fields of other sections.
 */

/** Section `gateway`. */
export const gatewayFields = {
  "gateway.listen": {
    type: "address",
    default: "127.0.0.1:7443",
    reloadable: false,
    prose: "Where producers connect. The default is reachable from this host only; use `0.0.0.0:7443` or `[::]:7443` for a fleet.",
  },
  "gateway.processes": {
    type: "integer",
    unit: "processes",
    default: 0,
    min: 0,
    max: 64,
    reloadable: false,
    prose:
      "Gateway processes that share the port. Bounds of section gateway are for each of them. 0: one for every three cores, for a gateway's part in the work is about a third; bus and engine have the rest.",
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
} as const;
