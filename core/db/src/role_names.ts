/**
 * Why it exists: the names of roles and schemas, spelled once.
 * Enforces: owners cannot log in, and who logs in owns nothing (R-12, DB-2).
 * Forbids: a role for agents or probes: they have no way into the database at all.
 */

/** Schemas, each owned by a role of its own that cannot log in. */
export const schemas = ["bus", "data", "registry", "ops", "views"] as const;
export type Schema = (typeof schemas)[number];

/** The owner of everything in a schema. */
export function ownerOf(schema: Schema): `ransomeye_${Schema}_owner` {
  return `ransomeye_${schema}_owner`;
}

/**
 * Who may log in: gate (may only append to the bus), engine (writes rows), registry (producers and keys), keeper (partitions,
 * retention, disk state), reader (command line and API), consumer (publishes and consumes messages).
 */
export const loginRoles = [
  "ransomeye_gate",
  "ransomeye_engine",
  "ransomeye_registry",
  "ransomeye_keeper",
  "ransomeye_reader",
  "ransomeye_consumer",
] as const;
export type LoginRole = (typeof loginRoles)[number];
