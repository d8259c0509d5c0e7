/** What the kernel loads for a command that neither logs, counts nor reads a file. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

/** Which of the packages a process has loaded that has run `code`. */
async function loadedBy(code: string): Promise<string[]> {
  const script = `
    import { createRequire } from "node:module";
    import * as kernel from ${JSON.stringify(new URL("../src/lib.js", import.meta.url))};
    ${code}
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    process.stdout.write(["yaml", "prom-client", "pino"].filter((name) => loaded.some((path) => path.includes("/node_modules/" + name + "/"))).join());`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  return stdout.split(",").filter((name) => name !== "");
}

test("a command that neither logs, counts nor reads a file loads no package for it; who does, loads what that needs", async () => {
  assert.deepEqual(await loadedBy("kernel.loadConfig({}); kernel.recordingTelemetry();"), []);
  assert.deepEqual(await loadedBy("kernel.loadConfig({ file: { path: 'config.yaml', text: 'log:\\n  level: info\\n' } });"), ["yaml"]);
  assert.deepEqual(await loadedBy("kernel.createTelemetry({ role: 'test', level: 'info' });"), ["prom-client", "pino"]);
});
