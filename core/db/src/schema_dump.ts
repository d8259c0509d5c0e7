/**
 * Why it exists: a migration states its danger, the schema's text shows its effect; the embedded server brings no pg_dump (R-23).
 * Enforces: the same text for the same schema on every server from 15 on: sorted by name, no OIDs, no sizes, no dates.
 * Forbids: partitions in it (they come and go with the days) and anything of a server's own.
 */
import { liveObjects, liveRights, schemaOwners } from "../ownership/catalogue.ts";
import type { Queryable } from "./pool.ts";
import { schemas } from "./role_names.ts";

/** An object and a line about it. */
type Detail = [object: string, line: string];

const schemaList = `n.nspname IN ('${schemas.join("', '")}')`;
const noPartition = "NOT c.relispartition AND NOT (c.relkind = 'r' AND c.relname ~ '_[0-9]{4}_[0-9]{2}_[0-9]{2}$')";
const fromClass = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;

/** Each query gives lines of detail per object; the order of the queries is the order of a table's lines. */
const details: readonly string[] = [
  `SELECT n.nspname || '.' || c.relname, 'partition by ' || pg_get_partkeydef(c.oid) ${fromClass} WHERE ${schemaList} AND c.relkind = 'p'`,
  `SELECT n.nspname || '.' || c.relname, CASE c.relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END
     || coalesce(', ' || array_to_string(c.reloptions, ', '), '') ${fromClass} WHERE ${schemaList} AND ${noPartition} AND c.relkind IN ('r', 'p')`,
  `SELECT n.nspname || '.' || c.relname, 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
     || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
     || CASE WHEN a.attidentity <> '' THEN ' identity' ELSE '' END
     || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
     || CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'e' THEN ' external' WHEN 'm' THEN ' main' WHEN 'p' THEN ' plain' ELSE ' extended' END ELSE '' END
   ${fromClass} JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
   WHERE ${schemaList} AND ${noPartition} AND c.relkind IN ('r', 'p', 'v', 'c') ORDER BY n.nspname, c.relname, a.attnum`,
  // Not-null constraints are objects of their own from PostgreSQL 18 on; the column says the same on every version.
  `SELECT n.nspname || '.' || c.relname, 'constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
   ${fromClass} JOIN pg_constraint k ON k.conrelid = c.oid WHERE ${schemaList} AND ${noPartition} AND k.contype <> 'n' ORDER BY 1, k.conname`,
  `SELECT n.nspname || '.' || c.relname, 'index ' || pg_get_indexdef(i.indexrelid)
   ${fromClass} JOIN pg_index i ON i.indrelid = c.oid WHERE ${schemaList} AND ${noPartition} ORDER BY 1, 2`,
  `SELECT n.nspname || '.' || c.relname, 'trigger ' || pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' WHEN 'A' THEN ', always' WHEN 'R' THEN ', for replicas' ELSE ', disabled' END
   ${fromClass} JOIN pg_trigger t ON t.tgrelid = c.oid WHERE ${schemaList} AND ${noPartition} AND NOT t.tgisinternal ORDER BY 1, 2`,
  `SELECT n.nspname || '.' || p.proname, 'returns ' || pg_get_function_result(p.oid) || ', ' || l.lanname
     || CASE p.provolatile WHEN 'i' THEN ', immutable' WHEN 's' THEN ', stable' ELSE ', volatile' END
     || CASE WHEN p.prosecdef THEN ', security definer' ELSE '' END
     || coalesce(', ' || array_to_string(p.proconfig, ', '), '') || ', body ' || left(encode(sha256(convert_to(regexp_replace(regexp_replace(p.prosrc, '--[^\\n]*', '', 'g'), '\\s+', ' ', 'g'), 'UTF8')), 'hex'), 16)
   FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang WHERE ${schemaList}`,
  `SELECT n.nspname || '.' || p.proname, 'arguments ' || pg_get_function_arguments(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${schemaList}`,
];

/**
 * What each object of the schema is, in lines: owner, columns, constraints, indexes, triggers, a function's signature and the hash of its body; without rights.
 * By `kind schema.name`.
 */
export async function schemaLines(client: Queryable): Promise<Map<string, string[]>> {
  const lines = new Map<string, string[]>();
  const add = (object: string, line: string): void => {
    const known = lines.get(object);
    if (known === undefined) lines.set(object, [line]);
    else known.push(line);
  };
  for (const [schema, owner] of await schemaOwners(client)) add(`schema ${schema}`, `owner ${owner}`);
  const objects = (await liveObjects(client)).filter((object) => !object.partition);
  for (const object of objects) add(`${object.kind} ${object.name}`, `owner ${object.owner}`);
  const kinds = new Map(objects.map((object) => [object.name, `${object.kind} ${object.name}`]));
  for (const sql of details) {
    const { rows } = await client.query<Detail>({ text: sql, rowMode: "array" });
    for (const [object, line] of rows) add(kinds.get(object) ?? object, line);
  }
  return lines;
}

/**
 * The schema as stable text: objects with owner, columns, constraints, indexes, functions (their body as a hash, comments left out) and rights. View
 * definitions are left out: servers of different versions print them differently; their columns and their migration stand for them.
 * Ask as administrator.
 */
export async function schemaDump(client: Queryable): Promise<string> {
  const lines = await schemaLines(client);
  const rights = (await liveRights(client)).filter((right) => right.kind !== "database" && right.object !== "public");
  const sorted = rights.map((right) => ({
    ...right,
    text: `grant ${right.privilege.toLowerCase()}${right.column === "" ? "" : ` (${right.column})`} to ${right.grantee}`,
  }));
  sorted.sort((left, right) => (left.text < right.text ? -1 : 1));
  const kinds = new Map([...lines.keys()].map((object) => [object.slice(object.indexOf(" ") + 1), object]));
  for (const right of sorted) lines.get(kinds.get(right.object) ?? "")?.push(right.text);
  const out: string[] = [];
  for (const object of [...lines.keys()].sort()) {
    out.push(object);
    for (const line of lines.get(object) ?? []) out.push(`  ${line.replaceAll(/\s*\n\s*/g, " ")}`);
  }
  return `${out.join("\n")}\n`;
}
