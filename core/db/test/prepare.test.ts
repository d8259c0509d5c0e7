/**
 * Why it exists: every start prepares the database, so preparing must be safe to repeat.
 * Enforces: matrix and catalogue name the same objects (DB-2); a second run changes nothing.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { applyOwnership } from "../ownership/apply.ts";
import { inTransaction, type Pool } from "../src/pool.ts";
import { prepareDatabase } from "../src/prepare.ts";
import { loginRoles } from "../src/role_names.ts";
import { openTestServer } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());

test("DB-2 every object has a row in the matrix, and every row its object", async () => {
  await using database = await server.database();
  const drift = await inTransaction(database.pool, (client) => applyOwnership(client));
  assert.deepEqual(drift, { unlisted: [], missing: [] });
});

test("preparing twice changes nothing, and the secrets file is private", async () => {
  await using database = await server.database({ empty: true });
  const directory = await mkdtemp(join(tmpdir(), "re-prep-"));
  after(() => rm(directory, { recursive: true }));
  const telemetry = recordingTelemetry();
  const options = {
    connection: database.connection,
    secretsFile: join(directory, "database.json"),
    telemetry,
    clock: systemClock,
    random: systemRandom,
  };
  const first = await prepareDatabase(options);
  const applied = telemetry.events.length;
  assert.ok(telemetry.events.some((event) => event.name === "db_migration_applied"));
  const second = await prepareDatabase(options);
  assert.deepEqual(second, first);
  assert.equal(telemetry.events.length, applied, "a second run emits nothing");
  assert.equal((await stat(options.secretsFile)).mode & 0o777, 0o600);
});

test("sessions of every role compile no queries, whatever the server does of itself", async () => {
  await using eager = await openTestServer({ settings: { jit: "on" }, own: true });
  const database = await eager.database();
  const jitOf = async (pool: Pool): Promise<string | undefined> => (await pool.query<{ jit: string }>("SHOW jit")).rows[0]?.jit;
  assert.equal(await jitOf(database.pool), "on");
  for (const role of loginRoles) assert.equal(await jitOf(database.rolePool(role, 1)), "off", role);
});
