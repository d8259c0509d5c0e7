/**
 * Every role × every table and view × every verb, and every function, attempted for real (promise 6, DB-2, R-12). What the matrix gives
 * must work (or fail for another reason than rights); everything else must end in 42501, from PostgreSQL itself.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { liveObjects } from "../ownership/catalogue.ts";
import { matrixFor, type MatrixRow, ownershipMatrix, type RelationRow } from "../ownership/matrix.ts";
import { sqlState } from "../src/errors.ts";
import { type Client, openClient } from "../src/pool.ts";
import { loginRoles, schemas } from "../src/role_names.ts";
import { openTestServer } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());
const database = await server.database();
const objects = await liveObjects(database.pool);
const denied = "42501";
const notWritable = "55000";

type Verb = "select" | "insert" | "update" | "delete" | "truncate" | "lock";

/** Columns of every relation, first column first. */
const columnsOf = new Map<string, string[]>();
{
  const { rows } = await database.pool.query<{ name: string; columns: string[] }>(
    `SELECT n.nspname || '.' || c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v') GROUP BY 1`,
    [schemas],
  );
  for (const row of rows) columnsOf.set(row.name, row.columns);
}

/** The SQLSTATE with which a statement ends, or "ok"; always rolled back. */
async function attempt(client: Client, sql: string): Promise<string> {
  await client.query("BEGIN");
  try {
    await client.query(sql);
    return "ok";
  } catch (error) {
    return sqlState(error) ?? "no state";
  } finally {
    await client.query("ROLLBACK");
  }
}

function statement(verb: Verb, name: string, column: string): string {
  switch (verb) {
    case "select":
      return `SELECT "${column}" FROM ${name} LIMIT 0`;
    // No row: rights are checked, constraints and triggers have nothing to say; and nothing is read that would need another right.
    case "insert":
      return `INSERT INTO ${name} OVERRIDING SYSTEM VALUE SELECT ${(columnsOf.get(name) ?? []).map(() => "NULL").join(", ")} WHERE false`;
    case "update":
      return `UPDATE ${name} SET "${column}" = DEFAULT WHERE false`;
    case "delete":
      return `DELETE FROM ${name} WHERE false`;
    case "truncate":
      return `TRUNCATE ${name}`;
    case "lock":
      return `LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE`;
  }
}

/** Whether a right that may be narrowed to columns has this one. */
function covers(right: true | readonly string[] | undefined, column: string): boolean {
  return right === true || (right?.includes(column) ?? false);
}

for (const role of loginRoles) {
  test(`P-6 DP-1 ${role} can do what the matrix says and nothing else`, async () => {
    const client = await openClient(database.roleConnection(role), "permission test");
    try {
      let attempts = 0;
      for (const object of objects.filter((live) => live.kind === "table" || live.kind === "view")) {
        const row = object.partition ? undefined : (ownershipMatrix.find((entry) => entry.name === object.name) as RelationRow | undefined);
        if (!object.partition) assert.ok(row, `${object.name} has no row in the matrix`);
        const rights = row?.rights[role];
        const check = async (verb: Verb, sql: string, allowed: boolean): Promise<void> => {
          const state = await attempt(client, sql);
          attempts += 1;
          if (allowed) assert.equal(state, "ok", `${role} must be able to ${verb} ${object.name}: ${sql}`);
          // A view that cannot be written by anybody says so before it asks for rights.
          else
            assert.ok(
              state === denied || (state === notWritable && object.kind === "view"),
              `${role} must not ${verb} ${object.name}, got ${state}: ${sql}`,
            );
        };
        const [first = ""] = columnsOf.get(object.name) ?? [];
        await check("insert", statement("insert", object.name, first), rights?.insert === true);
        await check("delete", statement("delete", object.name, first), rights?.delete === true);
        for (const column of columnsOf.get(object.name) ?? []) {
          await check("select", statement("select", object.name, column), covers(rights?.select, column));
          // WHERE false reads no column, so that UPDATE's right is judged alone.
          await check("update", statement("update", object.name, column), covers(rights?.update, column));
        }
        if (object.kind === "table") {
          await check("truncate", statement("truncate", object.name, first), false);
          // Any right to change rows brings weaker locks with it; the one that shuts everybody out needs more in every case but UPDATE's.
          if (rights?.update !== true && rights?.delete !== true && !Array.isArray(rights?.update))
            await check("lock", statement("lock", object.name, first), false);
        }
      }
      assert.ok(attempts > 200);
    } finally {
      await client.end();
    }
  });

  test(`R-12 P-6 ${role} can call what the matrix says and nothing else`, async () => {
    const client = await openClient(database.roleConnection(role), "permission test");
    try {
      for (const object of objects.filter((live) => live.kind === "function")) {
        const row = ownershipMatrix.find((entry) => entry.name === object.name);
        assert.ok(row?.kind === "function", `${object.name} has no row in the matrix`);
        const allowed = (row.execute as readonly string[]).includes(role);
        const { rows } = await database.pool.query<{ call: string; trigger: boolean }>(
          `SELECT '(' || coalesce(string_agg('NULL::' || format_type(t.type, NULL), ', ' ORDER BY t.n), '') || ')' AS call, p.prorettype = 'trigger'::regtype AS trigger
           FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, n) ON true
           WHERE p.oid = $1::regprocedure GROUP BY p.oid`,
          [object.sql],
        );
        // A trigger function cannot be called by anybody, whatever rights say.
        if (rows[0]?.trigger) continue;
        // Called with nothing but NULLs: whoever may call gets past the check of rights, to whatever the function makes of that.
        const state = await attempt(client, `SELECT * FROM ${object.name}${rows[0]?.call ?? "()"}`);
        if (allowed) assert.notEqual(state, denied, `${role} must be able to call ${object.name}`);
        else assert.equal(state, denied, `${role} must not call ${object.name}`);
      }
    } finally {
      await client.end();
    }
  });

  test(`DB-2 ${role} can create nothing and become nobody`, async () => {
    const client = await openClient(database.roleConnection(role), "permission test");
    try {
      const forbidden = [
        "CREATE TABLE public.mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE TABLE views.mine (a int)",
        "CREATE ROLE mine",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET ROLE postgres",
        "SET ROLE ransomeye_bus_owner",
        "SET SESSION AUTHORIZATION postgres",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('PG_VERSION')",
        "ALTER SYSTEM SET fsync = off",
        "SELECT rolpassword FROM pg_authid",
        "CREATE EXTENSION file_fdw",
        "CHECKPOINT",
        ...loginRoles.filter((other) => other !== role).map((other) => `SET ROLE ${other}`),
      ];
      // Not inside a transaction: some of them would be refused there for that reason alone.
      for (const sql of forbidden) await assert.rejects(client.query(sql), (error) => sqlState(error) === denied, `${role}: ${sql}`);
    } finally {
      await client.end();
    }
  });
}

test("DP-1 DB-2 a role reads a table only if it writes it; all else it reads through views and functions", () => {
  for (const row of [...matrixFor("here"), ...matrixFor("elsewhere")]) {
    if (row.kind !== "table") continue;
    for (const role of loginRoles) {
      const { select, insert, update, delete: removes } = row.rights[role] ?? {};
      assert.ok(select === undefined || (insert ?? update ?? removes) !== undefined, `${role} reads ${row.name}, which it does not write`);
    }
  }
});

test("R-12 the gate has five functions and no table", () => {
  const granted = ownershipMatrix.filter((row: MatrixRow) =>
    row.kind === "function" ? row.execute.includes("ransomeye_gate") : row.rights.ransomeye_gate !== undefined,
  );
  assert.deepEqual(granted.map((row) => row.name).sort(), [
    "bus.append",
    "bus.counters_put",
    "bus.heads_of",
    "bus.open_epoch",
    "bus.pressure",
  ]);
});

test("DB-2 owners cannot log in, definers have a pinned search_path, and nothing is open to PUBLIC", async () => {
  const { rows: loose } = await database.pool.query(
    "SELECT rolname FROM pg_roles WHERE rolname LIKE 'ransomeye\\_%\\_owner' AND rolcanlogin",
  );
  assert.deepEqual(loose, []);
  assert.deepEqual(
    objects.filter((object) => object.definer && !object.pinned).map((object) => object.name),
    [],
  );
  for (const object of objects.filter((live) => live.kind !== "type")) assert.match(object.owner, /^ransomeye_[a-z]+_owner$/, object.name);
});

test("DB-2 a right that somebody granted by hand is gone after the next start", async () => {
  await using other = await server.database();
  await other.pool.query(
    "GRANT SELECT ON bus.frames TO ransomeye_gate; GRANT SELECT ON data.sink_head TO PUBLIC; GRANT UPDATE (seq) ON data.sink_head TO ransomeye_reader",
  );
  const { applyOwnership } = await import("../ownership/apply.ts");
  await applyOwnership(other.pool);
  const { rows } = await other.pool.query(
    `SELECT has_table_privilege('ransomeye_gate', 'bus.frames', 'select') OR has_table_privilege('ransomeye_keeper', 'data.sink_head', 'select')
       OR has_column_privilege('ransomeye_reader', 'data.sink_head', 'seq', 'update') AS open`,
  );
  assert.deepEqual(rows, [{ open: false }]);
});

test("DB-2 a new table without a row in the matrix is noticed, and open to nobody", async () => {
  await using other = await server.database();
  await other.pool.query("CREATE TABLE data.forgotten (a int)");
  const { applyOwnership } = await import("../ownership/apply.ts");
  assert.deepEqual((await applyOwnership(other.pool)).unlisted, ["data.forgotten"]);
});

/** Every table, with its days. */
const tables = objects.filter((live) => live.kind === "table");

function isAppendOnly(name: string): boolean {
  const row = ownershipMatrix.find((one) => one.name === name || (one.kind === "table" && one.byDay && name.startsWith(`${one.name}_2`)));
  return row?.kind === "table" && row.appendOnly === true;
}

test("P-6 DP-2 DB-3 what is append-only is changed by nobody: not its owner, no superuser, nobody who plays replica; rows still come in", async () => {
  const client = await openClient(database.connection, "permission test");
  try {
    const changes = (name: string): string[] => [
      `UPDATE ${name} SET "${columnsOf.get(name)?.[0]}" = DEFAULT`,
      `DELETE FROM ${name}`,
      `TRUNCATE ${name} CASCADE`,
    ];
    let refused = 0;
    for (const { name, owner } of tables.filter((one) => isAppendOnly(one.name))) {
      for (const who of [undefined, `SET LOCAL ROLE ${owner}`, "SET LOCAL session_replication_role = replica"])
        for (const change of changes(name)) {
          await client.query("BEGIN");
          if (who !== undefined) await client.query(who);
          await assert.rejects(
            client.query(change),
            (error) => sqlState(error) === denied && String(error).includes(`${name} is append-only`),
            `${who}: ${change}`,
          );
          await client.query("ROLLBACK");
          refused += 1;
        }
    }
    const rows = ownershipMatrix.filter((row) => row.kind === "table" && row.appendOnly);
    assert.ok(refused > 9 * rows.length, `${refused} attempts on ${rows.length} tables and their days`);
    for (const { name } of tables.filter((one) => !isAppendOnly(one.name)))
      assert.equal(await attempt(client, `DELETE FROM ${name} WHERE false`), "ok", name);
    for (const day of [0, 5])
      assert.equal(
        await attempt(client, `INSERT INTO data.gaps VALUES (now() + interval '${day} days', gen_random_uuid(), 1, 1, 1, 0, 1, 'x')`),
        "ok",
      );
  } finally {
    await client.end();
  }
});
