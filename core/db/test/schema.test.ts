/**
 * Why it exists: the effect of a migration is read in the diff of schema.txt, and only if somebody must commit it.
 * Enforces: the committed text is what the migrations make.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { packageRoot } from "../src/embedded/binaries.ts";
import { schemaDump } from "../src/schema_dump.ts";
import { openTestServer } from "../src/testing.ts";

const server = await openTestServer();
after(() => server.close());

test("the committed schema is what the migrations make (npm run schema -w ransomeye-db rewrites it)", async () => {
  await using database = await server.database();
  const committed = await readFile(join(packageRoot(), "schema.txt"), "utf8");
  assert.equal(await schemaDump(database.pool), committed);
});
