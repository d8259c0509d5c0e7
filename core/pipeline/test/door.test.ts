/** What the room's door loads: a system whose log lies in the database pays nothing for other servers. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

/** Whether a process that has run `code` has loaded the client of Redis servers. */
async function loadsClient(code: string): Promise<boolean> {
  const script = `
    import { createRequire } from "node:module";
    import * as door from ${JSON.stringify(new URL("../src/lib.js", import.meta.url))};
    ${code}
    process.stdout.write(String(Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes("/ioredis/"))));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  return stdout === "true";
}

test("the client of Redis servers is loaded by whoever opens a bus on them, and by nobody else", async () => {
  assert.equal(await loadsClient("door.openMemoryBus; door.busUsersOf({ level: 'local' });"), false);
  assert.equal(await loadsClient("await door.openRedisControl({ url: 'redis://' }).catch(() => undefined);"), true);
});
