/**
 * Why it exists: an audit that says nothing of a change is worse than none.
 * Enforces: ownership/audit.ts: a database as it was made has no difference, and each planted one is named, alone and in words.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { auditDatabase, type Drift } from "../ownership/audit.ts";
import { type Client, openClient } from "../src/pool.ts";
import { openReference, type Reference } from "../src/reference.ts";
import { openTestServer, type TestDatabase, type TestServer } from "../src/testing.ts";

let server: TestServer;
let database: TestDatabase;
let admin: Client;
let reader: Client;
let reference: Reference;
before(async () => {
  server = await openTestServer();
  database = await server.database();
  admin = await openClient(database.connection, "audit test");
  reader = await openClient(database.roleConnection("ransomeye_reader"), "audit test");
  reference = await openReference({ log: "here", telemetry: recordingTelemetry(), clock: systemClock, random: systemRandom });
});
after(async () => {
  await Promise.all([admin.end(), reader.end(), reference.close()]);
  await database.close();
  await server.close();
});

const audit = (): Promise<Drift[]> => auditDatabase({ live: reader, reference: reference.client, log: "here" });
const told = ({ object, found, wanted }: Drift): string => `${object}: ${found ?? "nothing"}, not ${wanted ?? "anything"}`;

/** A day that every database has. */
const today = new Date().toISOString().slice(0, 10).replaceAll("-", "_");

interface Plant {
  readonly plant: string;
  readonly undo: string;
  readonly told: readonly RegExp[];
}

const plants: readonly Plant[] = [
  {
    plant: "GRANT SELECT ON data.events_dpi TO ransomeye_reader",
    undo: "REVOKE SELECT ON data.events_dpi FROM ransomeye_reader",
    told: [/^table data\.events_dpi: SELECT to ransomeye_reader, not anything$/],
  },
  {
    plant: `GRANT DELETE ON data.gaps_${today} TO PUBLIC`,
    undo: `REVOKE DELETE ON data.gaps_${today} FROM PUBLIC`,
    told: [/^table data\.gaps_\d{4}_\d\d_\d\d: DELETE to PUBLIC, not anything$/],
  },
  {
    plant: "GRANT UPDATE (fence) ON bus.consumer_offset TO ransomeye_engine",
    undo: "REVOKE UPDATE (fence) ON bus.consumer_offset FROM ransomeye_engine",
    told: [/^table bus\.consumer_offset: UPDATE \(fence\) to ransomeye_engine, not anything$/],
  },
  {
    plant: "REVOKE INSERT ON data.gaps FROM ransomeye_engine",
    undo: "GRANT INSERT ON data.gaps TO ransomeye_engine",
    told: [/^table data\.gaps: nothing, not INSERT to ransomeye_engine$/],
  },
  {
    plant: "GRANT SELECT ON views.events TO ransomeye_reader WITH GRANT OPTION",
    undo: "REVOKE GRANT OPTION FOR SELECT ON views.events FROM ransomeye_reader",
    told: [/^view views\.events: SELECT to ransomeye_reader to be handed on, not anything$/],
  },
  {
    plant:
      "CREATE OR REPLACE FUNCTION bus.clock_us() RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS 'SELECT 0::bigint'",
    undo: "CREATE OR REPLACE FUNCTION bus.clock_us() RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS ' SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint '",
    told: [/^function bus\.clock_us/],
  },
  {
    plant: "GRANT EXECUTE ON FUNCTION ops.expire_day TO ransomeye_gate",
    undo: "REVOKE EXECUTE ON FUNCTION ops.expire_day FROM ransomeye_gate",
    told: [/^function ops\.expire_day: EXECUTE to ransomeye_gate, not anything$/],
  },
  {
    plant: "GRANT USAGE ON SCHEMA data TO ransomeye_gate",
    undo: "REVOKE USAGE ON SCHEMA data FROM ransomeye_gate",
    told: [/^schema data: USAGE to ransomeye_gate, not anything$/],
  },
  {
    plant: "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    undo: "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC",
    told: [/^database: default right SELECT on tables to PUBLIC, not anything$/],
  },
  {
    plant: "ALTER DEFAULT PRIVILEGES FOR ROLE ransomeye_data_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
    undo: "ALTER DEFAULT PRIVILEGES FOR ROLE ransomeye_data_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    told: [/^role ransomeye_data_owner: nothing, not functions that it makes are open to nobody$/],
  },
  {
    plant: "ALTER TABLE data.gaps OWNER TO ransomeye_bus_owner",
    undo: "ALTER TABLE data.gaps OWNER TO ransomeye_data_owner",
    told: [/^table data\.gaps: owner ransomeye_bus_owner, not owner ransomeye_data_owner$/],
  },
  {
    plant: `ALTER TABLE data.gaps_${today} OWNER TO ransomeye_bus_owner`,
    undo: `ALTER TABLE data.gaps_${today} OWNER TO ransomeye_data_owner`,
    told: [/^day of data\.gaps: [-\d]+: owner ransomeye_bus_owner, not owner ransomeye_data_owner$/],
  },
  {
    plant: "GRANT ransomeye_data_owner TO ransomeye_reader",
    undo: "REVOKE ransomeye_data_owner FROM ransomeye_reader",
    told: [/^role ransomeye_data_owner: member ransomeye_reader, not anything$/],
  },
  {
    plant: "ALTER ROLE ransomeye_gate CREATEDB",
    undo: "ALTER ROLE ransomeye_gate NOCREATEDB",
    told: [/^role ransomeye_gate: can log in, CREATEDB, not can log in$/],
  },
  {
    plant: "ALTER ROLE ransomeye_data_owner LOGIN",
    undo: "ALTER ROLE ransomeye_data_owner NOLOGIN",
    told: [/^role ransomeye_data_owner: can log in, not cannot log in$/],
  },
  {
    plant: "ALTER ROLE ransomeye_engine SET search_path = public, pg_catalog",
    undo: "ALTER ROLE ransomeye_engine SET search_path = pg_catalog, pg_temp",
    told: [/^role ransomeye_engine: setting search_path=public, pg_catalog, not setting search_path=pg_catalog, pg_temp$/],
  },
  {
    plant: "ALTER TABLE data.events_dpi DISABLE TRIGGER append_only",
    undo: "ALTER TABLE data.events_dpi ENABLE ALWAYS TRIGGER append_only",
    told: [/^table data\.events_dpi: trigger .*, disabled, not trigger .*, always$/],
  },
  {
    plant: `ALTER TABLE bus.frames_${today} ENABLE TRIGGER append_only`,
    undo: `ALTER TABLE bus.frames_${today} ENABLE ALWAYS TRIGGER append_only`,
    told: [/^day of bus\.frames: [-\d]+: trigger .*, not trigger .*, always$/],
  },
  {
    plant: `DROP TRIGGER append_only ON bus.frames_${today}`,
    undo: `SELECT ops.guard_table('bus.frames_${today}')`,
    told: [/^day of bus\.frames: [-\d]+: nothing, not trigger .*, always$/],
  },
  {
    plant:
      "CREATE OR REPLACE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'",
    undo: "",
    told: [/^function ops\.refuse_change: returns trigger, .*, body [0-9a-f]+, not returns trigger, .*, body [0-9a-f]+$/],
  },
  {
    plant: "ALTER FUNCTION bus.append SECURITY INVOKER",
    undo: "ALTER FUNCTION bus.append SECURITY DEFINER",
    told: [/^function bus\.append: returns .* plpgsql, volatile, search_path.*, not returns .*, security definer/],
  },
  {
    plant: "ALTER FUNCTION bus.append RESET search_path",
    undo: "ALTER FUNCTION bus.append SET search_path = pg_catalog, pg_temp",
    told: [/^function bus\.append: returns .*security definer, body/],
  },
  {
    plant:
      "CREATE OR REPLACE VIEW views.log AS SELECT g.id AS generation, s.partitions, NULL::text AS paused_reason, s.log_elsewhere FROM bus.generation g CROSS JOIN bus.state s",
    undo: "CREATE OR REPLACE VIEW views.log AS SELECT g.id AS generation, s.partitions, s.paused_reason, s.log_elsewhere FROM bus.generation g CROSS JOIN bus.state s",
    told: [/^view views\.log: asks .*NULL::text AS paused_reason.*, not asks .*s\.paused_reason/],
  },
  {
    plant: "CREATE TABLE data.shadow (host text)",
    undo: "DROP TABLE data.shadow",
    told: [/^table data\.shadow: owner /, /^table data\.shadow: logged/, /^table data\.shadow: column host text/],
  },
  {
    plant: "CREATE FUNCTION views.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM data.gaps'",
    undo: "DROP FUNCTION views.peek",
    told: [
      /^function views\.peek: owner /,
      /^function views\.peek: returns bigint, sql, volatile, security definer, body/,
      /^function views\.peek: arguments/,
    ],
  },
  {
    plant: "CREATE RULE quiet AS ON INSERT TO data.gaps DO INSTEAD NOTHING",
    undo: "DROP RULE quiet ON data.gaps",
    told: [/^table data\.gaps: rule quiet on insert, not anything$/],
  },
  {
    plant: `CREATE RULE quiet AS ON INSERT TO data.gaps_${today} DO INSTEAD NOTHING`,
    undo: `DROP RULE quiet ON data.gaps_${today}`,
    told: [/^table data\.gaps_\d{4}_\d\d_\d\d: rule quiet on insert, not anything$/],
  },
  {
    plant: "ALTER TABLE bus.frames ENABLE ROW LEVEL SECURITY; CREATE POLICY hidden ON bus.frames USING (false)",
    undo: "DROP POLICY hidden ON bus.frames; ALTER TABLE bus.frames DISABLE ROW LEVEL SECURITY",
    told: [/^table bus\.frames: row security, not anything$/, /^table bus\.frames: policy hidden, not anything$/],
  },
  {
    plant:
      "CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch()",
    undo: "DROP EVENT TRIGGER watch; DROP FUNCTION public.watch",
    told: [/^database: event trigger watch on ddl_command_end calls /],
  },
  {
    plant: "ALTER TABLE registry.certificates DISABLE TRIGGER ALL",
    undo: "ALTER TABLE registry.certificates ENABLE TRIGGER ALL",
    told: [/^table registry\.certificates: constraint certificates_producer_id_fkey is not checked, not anything$/],
  },
  {
    plant: "ALTER TABLE data.sink_head SET (fillfactor = 100)",
    undo: "ALTER TABLE data.sink_head SET (fillfactor = 50)",
    told: [/^table data\.sink_head: logged, fillfactor=100, not logged, fillfactor=50$/],
  },
  {
    plant: `ALTER TABLE data.events_dpi_${today} SET UNLOGGED`,
    undo: `ALTER TABLE data.events_dpi_${today} SET LOGGED`,
    told: [/^day of data\.events_dpi: [-\d]+: UNLOGGED, .*, not logged, /],
  },
  {
    plant: `CREATE UNIQUE INDEX once ON data.events_dpi_${today} (producer_id, epoch, seq)`,
    undo: "DROP INDEX data.once",
    told: [/^day of data\.events_dpi: [-\d]+: index CREATE UNIQUE INDEX once .*, not anything$/],
  },
  {
    plant: "DROP INDEX data.gaps_times",
    undo: "CREATE INDEX gaps_times ON data.gaps USING brin (received_at) WITH (autosummarize = on)",
    told: [/^table data\.gaps: nothing, not index CREATE INDEX gaps_times/, /^\d+ days of data\.gaps: .*: nothing, not index of/],
  },
  {
    plant: `ALTER TABLE data.gaps DETACH PARTITION data.gaps_${today}`,
    undo: `ALTER TABLE data.gaps ATTACH PARTITION data.gaps_${today} FOR VALUES FROM ('${today.replaceAll("_", "-")} 00:00+00') TO (timestamptz '${today.replaceAll("_", "-")} 00:00+00' + interval '24 hours')`,
    told: [/^day of data\.gaps: [-\d]+: stands aside, not attached for its day$/],
  },
  {
    plant: "ALTER TABLE data.gaps DROP CONSTRAINT gaps_count_check",
    undo: "",
    told: [
      /^table data\.gaps: nothing, not constraint gaps_count_check CHECK/,
      /^\d+ days of data\.gaps: .*: nothing, not constraint CHECK/,
    ],
  },
];

test("DP-3 a database as this release makes it differs in nothing", async () => {
  assert.deepEqual((await audit()).map(told), []);
});

test("DP-3 DP-30 a day on its way out is no difference", async () => {
  await using own = await server.database();
  const day = today.replaceAll("_", "-");
  await own.pool.query(
    `INSERT INTO ops.day_removal (day, from_at, to_at, bytes, policy) VALUES ('${day}', '${day} 00:00+00', timestamptz '${day} 00:00+00' + interval '24 hours', 0, 'age');
     ALTER TABLE bus.frames DETACH PARTITION bus.frames_${today}`,
  );
  const eye = await openClient(own.roleConnection("ransomeye_reader"), "audit test");
  try {
    assert.deepEqual((await auditDatabase({ live: eye, reference: reference.client, log: "here" })).map(told), []);
  } finally {
    await eye.end();
  }
});

test("DP-3 R-4 the audit names a setting under which a receipt would not mean durable", async () => {
  await reader.query("SET synchronous_commit = off");
  try {
    assert.deepEqual((await audit()).map(told), [
      "server: The server has synchronous_commit = off., not fsync, full_page_writes and synchronous_commit on, data_sync_retry off",
    ]);
  } finally {
    await reader.query("RESET synchronous_commit");
  }
});

for (const { plant, undo, told: words } of plants)
  test(`DP-3 the audit names what was changed: ${plant.slice(0, 70)}`, async () => {
    // What cannot be taken back has a database of its own.
    await using own = undo === "" ? await server.database() : undefined;
    const [hand, eye] =
      own === undefined
        ? [admin, reader]
        : [await openClient(own.connection, "audit test"), await openClient(own.roleConnection("ransomeye_reader"), "audit test")];
    await hand.query(plant);
    try {
      const found = (await auditDatabase({ live: eye, reference: reference.client, log: "here" })).map(told);
      for (const word of words)
        assert.ok(
          found.some((line) => word.test(line)),
          `${word} in:\n${found.join("\n")}`,
        );
      const about = (line: string): string => line.slice(0, line.indexOf(": "));
      assert.ok(new Set(found.map(about)).size <= 4, found.join("\n"));
    } finally {
      if (own === undefined) await hand.query(undo);
      else await Promise.all([hand.end(), eye.end()]);
    }
    assert.deepEqual((await audit()).map(told), []);
  });
