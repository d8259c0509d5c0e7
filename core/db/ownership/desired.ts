/**
 * Why it exists: the matrix, as the flat list of rights that the catalogue of PostgreSQL would show if it were obeyed.
 * Enforces: schema USAGE only for who has a right inside; nothing for PUBLIC.
 * Forbids: any right that does not follow from a row of the matrix.
 */
import { loginRoles } from "../src/role_names.ts";
import { type Grantee, type MatrixRow, ownershipMatrix, type TableRights } from "./matrix.ts";

/** One right. `columns` is the list that narrows it, or empty. */
export interface Right {
  readonly kind: "database" | "schema" | "table" | "function";
  /** `schema.name`, a schema's name, or empty for the database. */
  readonly object: string;
  readonly grantee: string;
  /** As PostgreSQL names it: CONNECT, USAGE, SELECT, INSERT, UPDATE, DELETE, EXECUTE. */
  readonly privilege: string;
  readonly column: string;
}

/** A right as a key for comparison. */
export function rightKey(right: Right): string {
  return [right.kind, right.object, right.grantee, right.privilege, right.column].join("|");
}

/** All rights that the matrix gives. */
export function desiredRights(matrix: readonly MatrixRow[] = ownershipMatrix): Right[] {
  const rights: Right[] = loginRoles.map((role) => ({ kind: "database", object: "", grantee: role, privilege: "CONNECT", column: "" }));
  const usage = new Set<string>();
  for (const row of matrix) {
    const of =
      row.kind === "function"
        ? functionRights(row.name, row.execute)
        : Object.entries(row.rights).flatMap(([grantee, given]) => tableRights(row.name, grantee, given));
    for (const right of of) usage.add(`${schemaOf(row.name)}|${right.grantee}`);
    rights.push(...of);
  }
  for (const entry of usage) {
    const [object = "", grantee = ""] = entry.split("|");
    rights.push({ kind: "schema", object, grantee, privilege: "USAGE", column: "" });
  }
  return rights;
}

function schemaOf(name: string): string {
  return name.slice(0, name.indexOf("."));
}

function functionRights(object: string, grantees: readonly Grantee[]): Right[] {
  return grantees.map((grantee) => ({ kind: "function", object, grantee, privilege: "EXECUTE", column: "" }));
}

function tableRights(object: string, grantee: string, given: TableRights): Right[] {
  const right = (privilege: string, column = ""): Right => ({ kind: "table", object, grantee, privilege, column });
  const narrowed = (privilege: string, to: true | readonly string[] | undefined): Right[] =>
    to === undefined ? [] : to === true ? [right(privilege)] : to.map((column) => right(privilege, column));
  return [
    ...narrowed("SELECT", given.select),
    ...(given.insert ? [right("INSERT")] : []),
    ...narrowed("UPDATE", given.update),
    ...(given.delete ? [right("DELETE")] : []),
  ];
}
