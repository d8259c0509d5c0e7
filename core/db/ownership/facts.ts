/**
 * Why it exists: everything about a live database that could differ from what the release makes, as lines of text by object, so that any two can be compared.
 * Enforces: the same lines for the same thing on every server and every day: no OIDs, no dates of partitions, no names of administrators.
 * Forbids: rights, which are compared with the matrix itself; and anything that an ordinary role cannot read.
 */
import { loginRoles, ownerOf, schemas } from "../src/role_names.ts";
import type { Queryable } from "../src/pool.ts";
import { schemaLines } from "../src/schema_dump.ts";
import { rolesOfClosedDefaults } from "./catalogue.ts";

/** Lines about an object, by what it is called. */
export type Lines = ReadonlyMap<string, readonly string[]>;

/** What one database is. */
export interface DatabaseFacts {
  /** Of the server: 150000 and more. */
  readonly version: number;
  readonly lines: Lines;
  /** What views ask, by name; servers of different versions write the same question differently. */
  readonly views: ReadonlyMap<string, string>;
  /** By the name of the table that they are days of: each day's name and lines, in which the day itself stands as DAY. */
  readonly days: ReadonlyMap<string, Lines>;
}

type Row = [object: string, line: string];

const ourSchemas = `ARRAY['${schemas.join("','")}']`;
const ourRoles = `ARRAY['${[...loginRoles, ...schemas.map(ownerOf)].join("','")}']`;
const dayName = "'^(.*)_([0-9]{4}_[0-9]{2}_[0-9]{2})$'";
const inOurs = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = ANY (${ourSchemas})`;

/** What schemaLines does not tell. A role is a member by the will of who owns the database, who has to hand objects over to owners. */
const beside: readonly string[] = [
  `SELECT 'role ' || r.rolname, concat_ws(', ', CASE WHEN r.rolcanlogin THEN 'can log in' ELSE 'cannot log in' END, CASE WHEN r.rolinherit THEN 'inherits' END,
     CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
     CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END)
   FROM pg_roles r WHERE r.rolname = ANY (${ourRoles})`,
  `SELECT 'role ' || r.rolname, 'setting ' || s.setting FROM pg_db_role_setting d JOIN pg_roles r ON r.oid = d.setrole, unnest(d.setconfig) AS s (setting)
   WHERE r.rolname = ANY (${ourRoles}) AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`,
  `SELECT 'role ' || o.rolname, 'member ' || m.rolname FROM pg_auth_members a JOIN pg_roles o ON o.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
   WHERE (o.rolname = ANY (${ourRoles}) OR m.rolname = ANY (${ourRoles})) AND m.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database())`,
  `SELECT 'database', 'setting ' || s.setting FROM pg_db_role_setting d, unnest(d.setconfig) AS s (setting)
   WHERE d.setrole = 0 AND d.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  `SELECT 'database', 'event trigger ' || e.evtname || ' on ' || e.evtevent || ' calls ' || e.evtfoid::regproc::text FROM pg_event_trigger e`,
  `SELECT 'database', 'language ' || l.lanname || ' is not trusted' FROM pg_language l WHERE NOT l.lanpltrusted AND l.lanname NOT IN ('internal', 'c')`,
  `SELECT 'database', 'default right ' || a.privilege_type || ' on ' || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' ELSE 'schemas' END
     || coalesce(' in ' || n.nspname, '') || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END
   FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole`,
  `SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || n.nspname || '.' || c.relname, a.privilege_type || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END || ' to be handed on'
   ${inOurs}, aclexplode(c.relacl) a WHERE a.is_grantable AND a.grantee <> c.relowner`,
  `SELECT 'migration ' || m.number, m.name || ', ' || m.sha256 FROM views.migrations m`,
  `SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || n.nspname || '.' || c.relname, 'rule ' || w.rulename || ' on ' || CASE w.ev_type WHEN '1' THEN 'select' WHEN '2' THEN 'update' WHEN '3' THEN 'insert' ELSE 'delete' END
   ${inOurs} JOIN pg_rewrite w ON w.ev_class = c.oid WHERE w.rulename <> '_RETURN'`,
  `SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || n.nspname || '.' || c.relname, 'row security' || CASE WHEN c.relforcerowsecurity THEN ', forced' ELSE '' END ${inOurs}
   WHERE c.relrowsecurity OR c.relforcerowsecurity`,
  `SELECT DISTINCT 'table ' || n.nspname || '.' || c.relname, 'constraint ' || k.conname || ' is not checked'
   ${inOurs} JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgisinternal AND t.tgenabled IN ('D', 'R') JOIN pg_constraint k ON k.oid = t.tgconstraint`,
  `SELECT 'table ' || n.nspname || '.' || c.relname, 'policy ' || p.polname ${inOurs} JOIN pg_policy p ON p.polrelid = c.oid`,
  `SELECT 'view ' || n.nspname || '.' || c.relname, 'option ' || o.option ${inOurs} CROSS JOIN unnest(c.reloptions) AS o (option) WHERE c.relkind = 'v'`,
  `SELECT 'table ' || n.nspname || '.' || c.relname, 'index ' || i.indexrelid::regclass::text || ' is not valid' ${inOurs} JOIN pg_index i ON i.indrelid = c.oid WHERE NOT i.indisvalid`,
];

const viewsSql = `SELECT n.nspname || '.' || c.relname, pg_get_viewdef(c.oid) ${inOurs} WHERE c.relkind = 'v'`;

/** Of each day: name of its table, its own, and a line. A day on its way out is no more what it was, and what a rebuild has put beside one is no day. */
const day = `WITH day AS (
    SELECT c.oid, n.nspname || '.' || (regexp_match(c.relname, ${dayName}))[1] AS parent, c.relname, c.relowner, c.relpersistence, c.reloptions, c.reltoastrelid, c.relispartition,
           c.relpartbound, to_date((regexp_match(c.relname, ${dayName}))[2], 'YYYY_MM_DD') AS date
    ${inOurs} WHERE c.relkind = 'r' AND c.relname ~ ${dayName}
      AND to_date((regexp_match(c.relname, ${dayName}))[2], 'YYYY_MM_DD') NOT IN (SELECT r.day FROM views.day_removal r)
      AND NOT EXISTS (SELECT FROM views.day_rebuilds r, unnest(r.day_tables) AS t WHERE n.nspname = 'data'
        AND c.relname = t || CASE r.state WHEN 'ready' THEN '_rebuilt' ELSE '_replaced' END || to_char(r.day, '_YYYY_MM_DD')))
  SELECT day.parent, day.relname,`;
const dayDetails: readonly string[] = [
  `${day} CASE WHEN NOT day.relispartition THEN 'stands aside' WHEN pg_get_expr(day.relpartbound, day.oid) = format('FOR VALUES FROM (%L) TO (%L)', day.date::timestamp AT TIME ZONE 'UTC', (day.date + 1)::timestamp AT TIME ZONE 'UTC')
      THEN 'attached for its day' ELSE 'attached ' || pg_get_expr(day.relpartbound, day.oid) END FROM day`,
  `${day} 'owner ' || pg_get_userbyid(day.relowner) FROM day`,
  `${day} concat_ws(', ', CASE day.relpersistence WHEN 'p' THEN 'logged' ELSE 'UNLOGGED' END, day.reloptions::text, t.reloptions::text) FROM day LEFT JOIN pg_class t ON t.oid = day.reltoastrelid`,
  `${day} 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
      || coalesce(' default ' || pg_get_expr(f.adbin, f.adrelid), '') || ' storage ' || a.attstorage::text
   FROM day JOIN pg_attribute a ON a.attrelid = day.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef f ON f.adrelid = day.oid AND f.adnum = a.attnum`,
  `${day} 'constraint ' || pg_get_constraintdef(k.oid) FROM day JOIN pg_constraint k ON k.conrelid = day.oid AND k.contype <> 'n'`,
  `${day} 'index ' || coalesce((SELECT 'of ' || h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = i.indexrelid), replace(pg_get_indexdef(i.indexrelid), day.relname, 'DAY'))
      || CASE WHEN i.indisvalid THEN '' ELSE ', not valid' END FROM day JOIN pg_index i ON i.indrelid = day.oid`,
  `${day} 'trigger ' || replace(pg_get_triggerdef(t.oid), day.relname, 'DAY') || CASE t.tgenabled WHEN 'A' THEN ', always' WHEN 'O' THEN '' ELSE ', disabled' END
   FROM day JOIN pg_trigger t ON t.tgrelid = day.oid AND NOT t.tgisinternal`,
];

/** Reads what a database is. In a transaction of its own, which only reads; any role of ours that may ask views.migrations can. */
export async function databaseFacts(client: Queryable): Promise<DatabaseFacts> {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  try {
    // Definitions name everything in full, and days begin at midnight in UTC.
    await client.query("SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL TimeZone = 'UTC'");
    const { rows: versions } = await client.query<{ version: number }>("SELECT current_setting('server_version_num')::int AS version");
    const lines = await schemaLines(client);
    for (const sql of beside) for (const [object, line] of await asked<Row>(client, sql)) put(lines, object, line);
    const owners: readonly string[] = schemas.map(ownerOf);
    for (const role of await rolesOfClosedDefaults(client))
      if (owners.includes(role)) put(lines, `role ${role}`, "functions that it makes are open to nobody");
    const days = new Map<string, Map<string, string[]>>();
    for (const sql of dayDetails)
      for (const [parent, name, line] of await asked<[string, string, string]>(client, sql)) {
        const known = days.get(parent) ?? new Map<string, string[]>();
        days.set(parent, known);
        put(known, name, line);
      }
    return { version: versions[0]?.version ?? 0, lines, views: new Map(await asked<Row>(client, viewsSql)), days };
  } finally {
    await client.query("ROLLBACK");
  }
}

async function asked<R extends unknown[]>(client: Queryable, text: string): Promise<R[]> {
  return (await client.query<R>({ text, rowMode: "array" })).rows;
}

function put(lines: Map<string, string[]>, object: string, line: string): void {
  const known = lines.get(object);
  if (known === undefined) lines.set(object, [line]);
  else known.push(line);
}
