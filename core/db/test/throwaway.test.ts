/**
 * Why it exists: who asks `ransomeye db audit`, or runs a test, may be killed, and a server has a session of its own.
 * Enforces: src/embedded/throwaway.ts: neither process nor directory outlives us.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

const script = `
  import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
  import { startThrowaway } from ${JSON.stringify(new URL("../src/embedded/throwaway.js", import.meta.url).href)};
  const { directory, server } = await startThrowaway({ prefix: "re-test-throwaway-", telemetry: recordingTelemetry(), clock: systemClock, random: systemRandom });
  console.log(JSON.stringify({ directory, pid: server.pid }));
  setInterval(() => {}, 1000);`;

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/fd`);
}

test("a throwaway server and its directory are gone when who started it is killed", async () => {
  const starter = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(starter.stdout), "line")) as [string];
  const { directory, pid } = JSON.parse(line) as { directory: string; pid: number };
  assert.deepEqual([existsSync(directory), isAlive(pid)], [true, true]);
  starter.kill("SIGKILL");
  while (existsSync(directory)) await pause(50);
  // A server whose directory was taken away would end as well, a minute later.
  assert.equal(isAlive(pid), false, "the server is ended before its directory goes");
});
