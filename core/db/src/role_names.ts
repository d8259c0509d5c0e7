/**
 * Why it exists: the names of roles and schemas, spelled once.
 * Enforces: owners cannot log in, and who logs in owns nothing (R-12, DB-2).
 * Forbids: a role for agents or probes: they have no way into the database at all.
 */

/** Schemas, each owned by a role of its own that cannot log in. */
export const schemas = ["bus", "data", "registry", "evidence", "observable", "ops", "views"] as const;
export type Schema = (typeof schemas)[number];

/** The owner of everything in a schema. */
export function ownerOf(schema: Schema): `ransomeye_${Schema}_owner` {
  return `ransomeye_${schema}_owner`;
}

/**
 * Who may log in; what each does stands in ownership/matrix.ts.
 */
export const loginRoles = [
  "ransomeye_gate",
  "ransomeye_engine",
  "ransomeye_registry",
  "ransomeye_keeper",
  "ransomeye_reader",
  "ransomeye_consumer",
  "ransomeye_sealer",
  "ransomeye_custodian",
  "ransomeye_indexer",
  "ransomeye_rebuilder",
] as const;
export type LoginRole = (typeof loginRoles)[number];
