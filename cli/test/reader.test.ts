/** How a command finds the running system's database. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ensureSecrets, loginRoles } from "ransomeye-db";
import { hasCode, systemRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { createContext, openReader } from "../src/commands/context.ts";
import { createDataDir, dataDirAt } from "../src/supervisor/data_dir.ts";
import { thisProcess } from "../src/supervisor/process_facts.ts";
import { writeRuntime } from "../src/supervisor/runtime_file.ts";

test("a command that is not told where an external database is, as the system was, says so and where to write it", async () => {
  const root = await temporaryDirectory();
  const dir = dataDirAt(join(root, "data"));
  await createDataDir(dir);
  await ensureSecrets(dir.databaseSecrets, loginRoles, systemRandom);
  await writeRuntime(dir, {
    ...{
      version: 1,
      phase: "ready",
      supervisor: thisProcess(),
      startedUs: 0,
      socketDir: root,
      gateway: null,
      registrySocket: "",
      children: [],
    },
    ...{ ledger: null, postgres: { embedded: false, host: "db.example", port: 5433, database: "ransomeye", pid: null, restarts: 0 } },
  });
  await assert.rejects(openReader(createContext({ dataDir: dir.root })), (error) => {
    assert.ok(hasCode(error, "CLI_UNREACHABLE"), String(error));
    assert.match(error.message, /db\.example.*database\.url.*config\.yaml.*RANSOMEYE_DATABASE_URL/);
    return true;
  });
});
