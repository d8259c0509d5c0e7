/**
 * Why: a unit file that systemd does not understand is found out on somebody's server.
 * Enforces: `systemd-analyze verify` has nothing to say of the units in `deploy/`, where systemd is installed; what a unit runs exists here.
 * Forbids: starting them: that is shown elsewhere.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "ransomeye-kernel/testing";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const installed = "/opt/ransomeye/";

test("R-25 the units in deploy/ are ones that systemd understands", async (t) => {
  const units = (await readdir(join(root, "deploy"))).filter((name) => name.endsWith(".service"));
  assert.ok(units.length > 0);
  const folder = join(await temporaryDirectory(), "units");
  await mkdir(folder);
  for (const name of units) {
    const text = await readFile(join(root, "deploy", name), "utf8");
    for (const [path] of text.matchAll(/\/opt\/ransomeye\/[\w./-]+/g)) await access(join(root, path.slice(installed.length)));
    // A man page or file that is named as documentation must exist where systemd looks; the checkout is not installed.
    await writeFile(join(folder, name), text.replaceAll(installed, root));
  }
  const probe = spawnSync("systemd-analyze", ["--version"]);
  if (probe.error !== undefined) {
    t.diagnostic("systemd is not installed; the units are not verified");
    return;
  }
  const verified = spawnSync("systemd-analyze", ["verify", "--man=no", ...units.map((name) => join(folder, name))], { encoding: "utf8" });
  assert.deepEqual([verified.status, verified.stdout, verified.stderr], [0, "", ""]);
});
