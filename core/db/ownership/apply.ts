/**
 * Why it exists: the matrix becomes the law of the database.
 * Enforces: owners, then rights, in one transaction, so that there is no moment at which something is open; only differences are written,
 * so that a start changes nothing where nothing has changed; what nobody gave is taken away, whoever gave it.
 * Forbids: granting what has no row; an object without a row gets its owner and no right at all, and is reported.
 */
import { quoteName } from "../src/database.ts";
import type { Queryable } from "../src/pool.ts";
import { ownerOf, type Schema, schemas } from "../src/role_names.ts";
import { type LiveObject, liveObjects, liveRights, rolesOfClosedDefaults, schemaOwners } from "./catalogue.ts";
import { desiredRights, type Right, rightKey } from "./desired.ts";
import { type MatrixRow, memberships, ownershipMatrix } from "./matrix.ts";

/** What the matrix and the catalogue do not agree on. */
export interface MatrixDrift {
  /** Objects that exist and have no row. */
  readonly unlisted: readonly string[];
  /** Rows whose object does not exist. */
  readonly missing: readonly string[];
}

/**
 * Makes owners and rights what the matrix says. Run it inside a transaction, as administrator.
 * Gives what it could not decide; with the migrations of one release both lists are empty (a test holds that).
 */
export async function applyOwnership(client: Queryable, matrix: readonly MatrixRow[] = ownershipMatrix): Promise<MatrixDrift> {
  await applyOwners(client);
  await closeDefaults(client);
  for (const { member, of } of memberships) await client.query(`GRANT ${of} TO ${member}`);
  const objects = await liveObjects(client);
  const listed = new Set(matrix.map((row) => row.name as string));
  const existing = new Set(objects.map((object) => object.name));
  await applyRights(client, objects, matrix);
  return {
    unlisted: objects
      .filter((object) => object.kind !== "type" && !object.partition && !listed.has(object.name))
      .map((object) => object.name),
    missing: [...listed].filter((name) => !existing.has(name)),
  };
}

async function applyOwners(client: Queryable): Promise<void> {
  for (const [schema, owner] of await schemaOwners(client)) {
    const wanted = ownerOf(schema as Schema);
    if (owner !== wanted) await client.query(`ALTER SCHEMA ${schema} OWNER TO ${wanted}`);
  }
  const verbs = { table: "TABLE", view: "VIEW", sequence: "SEQUENCE", type: "TYPE", function: "FUNCTION" } as const;
  for (const object of await liveObjects(client)) {
    const wanted = ownerOf(object.name.slice(0, object.name.indexOf(".")) as Schema);
    if (object.owner !== wanted) await client.query(`ALTER ${verbs[object.kind]} ${object.sql} OWNER TO ${wanted}`);
  }
}

/** What an owner makes later is nobody's until the matrix says more; PostgreSQL's own default for functions is everybody. */
async function closeDefaults(client: Queryable): Promise<void> {
  const closed = new Set(await rolesOfClosedDefaults(client));
  for (const owner of schemas.map(ownerOf))
    if (!closed.has(owner)) await client.query(`ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`);
}

async function applyRights(client: Queryable, objects: readonly LiveObject[], matrix: readonly MatrixRow[]): Promise<void> {
  const places = new Map(objects.map((object) => [object.name, object]));
  const exists = (right: Right): boolean => right.kind === "database" || right.kind === "schema" || places.has(right.object);
  const wanted = new Map(
    desiredRights(matrix)
      .filter(exists)
      .map((right) => [rightKey(right), right]),
  );
  const { rows } = await client.query<{ name: string }>("SELECT current_database() AS name");
  const database = quoteName(rows[0]?.name ?? "");
  const target = (right: Right): string => {
    if (right.kind === "database") return `DATABASE ${database}`;
    if (right.kind === "schema") return `SCHEMA ${right.object}`;
    const place = places.get(right.object);
    const sql = place?.sql ?? right.object;
    if (right.kind === "function") return `FUNCTION ${sql}`;
    return place?.kind === "sequence" ? `SEQUENCE ${sql}` : `TABLE ${sql}`;
  };
  const columns = (right: Right): string => (right.column === "" ? "" : ` (${quoteName(right.column)})`);
  for (const right of await liveRights(client)) {
    if (wanted.delete(rightKey(right))) continue;
    const grantee = right.grantee === "PUBLIC" ? "PUBLIC" : quoteName(right.grantee);
    await client.query(`REVOKE ${right.privilege}${columns(right)} ON ${target(right)} FROM ${grantee}`);
  }
  for (const right of wanted.values()) {
    await client.query(`GRANT ${right.privilege}${columns(right)} ON ${target(right)} TO ${right.grantee}`);
  }
}
