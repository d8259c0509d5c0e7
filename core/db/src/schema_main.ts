/**
 * Why it exists: `npm run schema -w ransomeye-db` writes schema.txt, so that a migration's effect is read in a diff (`schema:check` compares).
 * Enforces: the text comes from a freshly prepared database, never from somebody's own.
 * Forbids: use by anything but a developer's command.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "./embedded/binaries.ts";
import { schemaDump } from "./schema_dump.ts";
import { withTestDatabase } from "./testing.ts";

const path = join(packageRoot(), "schema.txt");
const text = await withTestDatabase((database) => schemaDump(database.pool));
if (process.argv.includes("--write")) {
  await writeFile(path, text);
} else if ((await readFile(path, "utf8").catch(() => "")) !== text) {
  process.stderr.write(`${path} is not what the migrations make. Run: npm run schema -w ransomeye-db\n`);
  process.exitCode = 1;
}
