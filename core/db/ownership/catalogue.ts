/**
 * Why it exists: what PostgreSQL really holds (objects, owners, rights), in the terms of the matrix.
 * Enforces: every relation, column, function and schema of ours is looked at, partitions too.
 * Forbids: writing.
 */
import type { Queryable } from "../src/pool.ts";
import { schemas } from "../src/role_names.ts";
import type { Right } from "./desired.ts";

/** An object in one of our schemas. */
export interface LiveObject {
  readonly kind: "table" | "view" | "sequence" | "type" | "function";
  /** `schema.name`, as in the matrix. */
  readonly name: string;
  /** The name as SQL wants it, with a function's arguments. */
  readonly sql: string;
  readonly owner: string;
  /** True for a day partition, attached or not. */
  readonly partition: boolean;
  /** SECURITY DEFINER. */
  readonly definer: boolean;
  /** A definer without a pinned search_path runs whatever its caller puts there. */
  readonly pinned: boolean;
}

const ours = `'{${schemas.join(",")}}'::text[]`;

/** Sequences of identity columns are left out: they follow their table. So are the row types of tables. */
const objectsSql = `
  SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'table' END AS kind,
         n.nspname || '.' || c.relname AS name, format('%I.%I', n.nspname, c.relname) AS sql, pg_get_userbyid(c.relowner) AS owner,
         c.relispartition OR (c.relkind = 'r' AND c.relname ~ '_[0-9]{4}_[0-9]{2}_[0-9]{2}$') AS partition, false AS definer, true AS pinned
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY (${ours}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i' AND c.relkind = 'S')
  UNION ALL
  SELECT 'function', n.nspname || '.' || p.proname, p.oid::regprocedure::text, pg_get_userbyid(p.proowner), false, p.prosecdef,
         coalesce(EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%'), false)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname = ANY (${ours})
  ORDER BY 1, 2`;

const granteeName = "CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END";

const rightsSql = `
  SELECT 'database' AS kind, '' AS object, ${granteeName} AS grantee, a.privilege_type AS privilege, '' AS column
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  WHERE d.datname = current_database() AND a.grantee <> d.datdba
  UNION ALL
  SELECT 'schema', n.nspname, ${granteeName}, a.privilege_type, ''
  FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
  WHERE (n.nspname = ANY (${ours}) OR n.nspname = 'public') AND a.grantee <> n.nspowner
  UNION ALL
  SELECT 'table', n.nspname || '.' || c.relname, ${granteeName}, a.privilege_type, ''
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
  WHERE n.nspname = ANY (${ours}) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND a.grantee <> c.relowner
  UNION ALL
  SELECT 'table', n.nspname || '.' || c.relname, ${granteeName}, a.privilege_type, t.attname::text
  FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
  WHERE n.nspname = ANY (${ours}) AND a.grantee <> c.relowner
  UNION ALL
  SELECT 'function', n.nspname || '.' || p.proname, ${granteeName}, a.privilege_type, ''
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  WHERE n.nspname = ANY (${ours}) AND a.grantee <> p.proowner`;

/** Objects in our schemas. */
export async function liveObjects(client: Queryable): Promise<LiveObject[]> {
  return (await client.query<LiveObject>(objectsSql)).rows;
}

/** Rights that somebody other than an object's owner has. */
export async function liveRights(client: Queryable): Promise<Right[]> {
  return (await client.query<Right>(rightsSql)).rows;
}

/** Roles whose functions are, when they are made, open to nobody but themselves. */
export async function rolesOfClosedDefaults(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ role: string }>(
    `SELECT pg_get_userbyid(d.defaclrole) AS role FROM pg_default_acl d WHERE d.defaclobjtype = 'f' AND d.defaclnamespace = 0
       AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) a WHERE a.grantee = 0)`,
  );
  return rows.map(({ role }) => role);
}

/** Who owns our schemas. */
export async function schemaOwners(client: Queryable): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; owner: string }>(
    `SELECT nspname AS name, pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = ANY (${ours})`,
  );
  return new Map(rows.map((row) => [row.name, row.owner]));
}
