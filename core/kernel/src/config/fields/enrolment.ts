/**
 * Why: who may become a producer, and how long what they get lasts, is an operator's choice.
 * Enforces: as fields.ts says.
 * Forbids: fields of other sections.
 */

/** Section `enrolment`. */
export const enrolmentFields = {
  "enrolment.enabled": {
    type: "boolean",
    default: false,
    reloadable: false,
    prose:
      "Whether the registry answers agents over the network: enrolment by token, renewal, key rotation, signed time. Off by default, because the process that answers holds the authority's key; identities of this host need it not.",
  },
  "enrolment.listen": {
    type: "address",
    default: "127.0.0.1:7444",
    reloadable: false,
    prose:
      "Where agents enrol and renew, if `enrolment.enabled`. The default is reachable from this host only; use `0.0.0.0:7444` for a fleet.",
  },
  "enrolment.connections_max": {
    type: "integer",
    unit: "connections",
    default: 256,
    min: 4,
    max: 10000,
    reloadable: false,
    prose: "Connections that the enrolment listener holds at once; further ones are closed at once.",
  },
  "enrolment.source_requests_per_minute_max": {
    type: "integer",
    unit: "connections per minute",
    default: 60,
    min: 1,
    max: 100000,
    reloadable: false,
    prose:
      "Connections that one source address (IPv6: one /64) may open to the enrolment listener in a minute, averaged. Raise it where a fleet enrols from behind one address.",
  },
  "enrolment.renew_grace_days": {
    type: "integer",
    unit: "days",
    default: 30,
    min: 0,
    max: 365,
    reloadable: false,
    prose:
      "How long after its end a certificate may still be renewed by its holder: for laptops that come back. Later, a new token is needed.",
  },
  "enrolment.key_overlap_days": {
    type: "integer",
    unit: "days",
    default: 30,
    min: 1,
    max: 365,
    reloadable: false,
    prose: "How long frames signed with a batch key that has been rotated are still taken: as long as a spool may have been away.",
  },
} as const;
