/** The test command finds what there is and says what it leaves out. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { findSuites } from "../src/run_tests.ts";

test("every compiled test with a source is found; stale, long and filtered ones are left out with a reason", () => {
  const none = { isInstalled: false, areGiven: false };
  const installed = { isInstalled: true, areGiven: false };
  const root = mkdtempSync(join(tmpdir(), "ransomeye-tools-"));
  try {
    const put = (path: string, text = ""): void => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    put("package.json", JSON.stringify({ workspaces: ["core/a", "core/missing", "core/tests"] }));
    put("core/a/package.json", "{}");
    for (const name of ["test/kept.test", "test/deep/also.test", "long/hours.test", "test/helper", "test/redis_only.test"]) {
      put(`core/a/${name}.ts`);
      put(`core/a/dist/${name}.js`);
    }
    put("core/a/test/redis.test.ts", "const servers = await contractServers();");
    put("core/a/dist/test/redis.test.js");
    put("core/tests/package.json", "{}");
    for (const name of ["core/tests/overload_tests", "core/tests/synthetic_events"]) {
      put(`${name}.ts`);
      put(`${name.replace("core/tests/", "core/tests/dist/")}.js`);
    }
    put("core/a/dist/test/stale.test.js");
    const found = Object.fromEntries(findSuites(root, [], none).map(({ path, leftOut }) => [path, leftOut]));
    assert.deepEqual(Object.keys(found).sort(), [
      "core/a/dist/long/hours.test.js",
      "core/a/dist/test/deep/also.test.js",
      "core/a/dist/test/kept.test.js",
      "core/a/dist/test/redis.test.js",
      "core/a/dist/test/redis_only.test.js",
      "core/a/dist/test/stale.test.js",
      "core/tests/dist/overload_tests.js",
    ]);
    assert.equal(found["core/a/dist/test/kept.test.js"], undefined);
    assert.match(found["core/a/dist/test/stale.test.js"] ?? "", /stale/);
    assert.match(found["core/a/dist/long/hours.test.js"] ?? "", /long/);
    const long = findSuites(root, ["long/"], none).filter(({ leftOut }) => leftOut === undefined);
    assert.deepEqual(
      long.map(({ path }) => path),
      ["core/a/dist/long/hours.test.js"],
    );
    assert.match(found["core/a/dist/test/redis_only.test.js"] ?? "", /redis-server/);
    assert.match(found["core/a/dist/test/redis.test.js"] ?? "", /redis-server/);
    assert.ok(findSuites(root, ["redis"], installed).every(({ path, leftOut }) => (leftOut === undefined) === path.includes("redis")));
    const given = Object.fromEntries(findSuites(root, [], { ...none, areGiven: true }).map(({ path, leftOut }) => [path, leftOut]));
    assert.equal(given["core/a/dist/test/redis.test.js"], undefined, "a contract is played on servers that are given");
    assert.match(given["core/a/dist/test/redis_only.test.js"] ?? "", /servers of its own beside those of BUS_URL/);
    const filtered = findSuites(root, ["deep"], installed).filter(({ leftOut }) => leftOut === undefined);
    assert.deepEqual(
      filtered.map(({ path }) => path),
      ["core/a/dist/test/deep/also.test.js"],
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});
