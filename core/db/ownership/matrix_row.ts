/**
 * Why it exists: what a row of the ownership matrix says, and the few kinds of rows that there are.
 * Enforces: an object that may not be changed, or that goes with its day, is one by the way its row is made.
 * Forbids: rows; those stand in matrix.ts and matrix_log.ts.
 */
import type { LoginRole, Schema } from "../src/role_names.ts";

/** Rights on a table or view. A list of columns narrows them. */
export interface TableRights {
  readonly select?: true | readonly string[];
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
  /** UPDATE, DELETE and TRUNCATE end in 42501 for everybody, owner and superuser too: by a trigger, also on each of its days (DB-3). */
  readonly appendOnly?: true;
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

export const read: TableRights = { select: true };
export const append: TableRights = { insert: true };
export const columns = (...names: readonly string[]): TableRights => ({ select: names });

export function table(name: RelationRow["name"], method: string, rights: RelationRow["rights"]): RelationRow {
  return { kind: "table", name, method, rights };
}
export function appendOnly(name: RelationRow["name"], method: string, rights: RelationRow["rights"]): RelationRow {
  return { kind: "table", appendOnly: true, name, method, rights };
}
/** Append-only, and gone with its day. */
export function tableByDay(name: RelationRow["name"], method: string, rights: RelationRow["rights"]): RelationRow {
  return { kind: "table", byDay: true, appendOnly: true, name, method, rights };
}
/** Gone with its day, and no evidence: what is in it can be made again. */
export function indexByDay(name: RelationRow["name"], method: string, rights: RelationRow["rights"]): RelationRow {
  return { kind: "table", byDay: true, name, method, rights };
}
export function view(name: RelationRow["name"], method: string, readers: readonly Grantee[] = [reader]): RelationRow {
  return { kind: "view", name, method, rights: Object.fromEntries(readers.map((role) => [role, read])) };
}
export function callable(name: FunctionRow["name"], method: string, execute: readonly Grantee[]): FunctionRow {
  return { kind: "function", name, method, execute };
}
/** A function that only functions and views of its own schema call. */
export function internal(name: FunctionRow["name"]): FunctionRow {
  return { kind: "function", name, method: "called inside its own schema", execute: [] };
}

export const gate = "ransomeye_gate";
export const engine = "ransomeye_engine";
export const registry = "ransomeye_registry";
export const keeper = "ransomeye_keeper";
export const reader = "ransomeye_reader";
export const consumer = "ransomeye_consumer";
export const sealer = "ransomeye_sealer";
export const custodian = "ransomeye_custodian";
export const indexer = "ransomeye_indexer";
export const rebuilder = "ransomeye_rebuilder";
export const busOwner = "ransomeye_bus_owner";
export const viewsOwner = "ransomeye_views_owner";
