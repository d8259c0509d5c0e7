/**
 * Why: a system under test has a process group of its own; a test that is killed must not leave it running on somebody's machine.
 * Enforces: harness/running_system.ts.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("a system ends with a test process that is killed, with all its processes and directories", async () => {
  const program = `import { RunningSystem } from ${JSON.stringify(import.meta.resolve("../src/harness/running_system.js"))};
    const system = await RunningSystem.start();
    const { supervisor, postgres, children, socketDir } = await system.runtime();
    const pids = [supervisor, postgres, ...children].map(({ pid }) => pid);
    console.log(JSON.stringify({ pids, directories: [system.dataDir, socketDir] }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
  const { pids, directories } = JSON.parse(line) as { readonly pids: readonly number[]; readonly directories: readonly string[] };
  assert.ok(pids.length > 4 && pids.every(isAlive) && directories.every((directory) => existsSync(directory)));
  child.kill("SIGKILL");
  for (let tries = 0; pids.some(isAlive) || directories.some((directory) => existsSync(directory)); tries++) {
    assert.ok(
      tries < 300,
      `left: processes ${pids.filter(isAlive).join(" ")} of ${pids.join(" ")}, ${directories.filter((d) => existsSync(d)).join(" ")}`,
    );
    await setTimeout(100);
  }
});
