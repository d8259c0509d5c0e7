/**
 * Why: a unit file that systemd does not understand is found out on somebody's server.
 * Enforces: `systemd-analyze` has nothing to say of the units in `deploy/` and finds them closed, where systemd is installed; what a unit runs exists here; what a unit listens on or
 * takes of the host is what the plan says.
 * Forbids: starting them: that is shown elsewhere.
 */
import assert from "node:assert/strict";
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { access, cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { statedPlan } from "ransomeye";
import { temporaryDirectory } from "ransomeye-kernel/testing";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const installed = "/opt/ransomeye/";
const systemd = join(root, "deploy", "systemd");
/** Where Debian keeps units of others, into which drop-ins go. */
const others = "/lib/systemd/system";

/** A folder as /etc/systemd/system is after an installation from this checkout; `external` with PostgreSQL as a server of its own. */
async function installedUnits(external: boolean): Promise<{ folder: string; units: string[] }> {
  const folder = join(await temporaryDirectory(), "units");
  await cp(systemd, folder, { recursive: true, filter: (path) => !path.startsWith(join(systemd, "postgresql")) });
  if (external) await cp(join(systemd, "postgresql"), folder, { recursive: true });
  await cp(join(root, "deploy", "ransomeye-agent.service"), join(folder, "ransomeye-agent.service"));
  for (const name of await readdir(folder)) {
    if (name.endsWith(".d")) {
      const unit = name.slice(0, -2);
      const text = await readFile(join(others, unit), "utf8").catch(() => "[Service]\nExecStart=/bin/true\n");
      await writeFile(join(folder, unit), text);
    } else if (name.endsWith(".service")) {
      const text = await readFile(join(folder, name), "utf8");
      for (const [path] of text.matchAll(/\/opt\/ransomeye\/[\w./-]+/g)) await access(join(root, path.slice(installed.length)));
      // A man page or file that is named as documentation must exist where systemd looks; the checkout is not installed.
      await writeFile(join(folder, name), text.replaceAll(installed, root));
    }
  }
  const units = (await readdir(folder)).filter((name) => /\.(service|slice)$/.test(name)).map((name) => name.replace("@.", "@15-main."));
  return { folder, units };
}

function analyze(folder: string, ...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync("systemd-analyze", [...args], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], SYSTEMD_UNIT_PATH: `${folder}:` },
    cwd: folder,
  });
}

const missing = spawnSync("systemd-analyze", ["--version"]).error === undefined ? false : "systemd is not installed";

for (const external of [false, true]) {
  test(`DP-23 R-25 the units in deploy/ are ones that systemd understands${external ? ", with PostgreSQL as a unit of its own" : ""}`, {
    skip: missing,
  }, async () => {
    const { folder, units } = await installedUnits(external);
    assert.ok(units.length >= 7, units.join());
    const { status, stdout, stderr } = analyze(folder, "verify", "--man=no", ...units);
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
    for (const drop of units.filter((name) => /^(redis|postgresql)/.test(name))) {
      const { stdout: text } = analyze(folder, "cat-config", `systemd/system/${drop}`);
      assert.doesNotMatch(text, /Failed/);
    }
  });
}

test("DP-23 the system's unit is closed: what it does not need is taken from it", { skip: missing }, async () => {
  const { folder } = await installedUnits(false);
  // Tenths; the network, other users' processes and the word of a helper are what is left.
  const { status, stdout } = analyze(folder, "security", "--offline=true", "--threshold=25", "./ransomeye.service");
  assert.equal(status, 0, stdout.slice(-2000));
});

test("DP-23 a unit with an option that does not exist, or that leads nowhere, is found", { skip: missing }, async () => {
  const { folder } = await installedUnits(false);
  const path = join(folder, "ransomeye.service");
  const good = await readFile(path, "utf8");
  for (const [from, to] of [
    ["OOMPolicy=continue", "OOMPolicy=carry-on"],
    ["Delegate=cpu io memory pids", "Delegates=yes"],
    ["ExecStart=/usr/bin/env", "ExecStart=/no/such/program"],
  ] as const) {
    await writeFile(path, good.replace(from, to));
    const { status, stderr } = analyze(folder, "verify", "--man=no", "ransomeye.service");
    assert.ok(status !== 0 || stderr !== "", to);
  }
});

test("DP-20 DP-22 units listen on nothing, and the agent's has what the plan gives it", async () => {
  const plan = statedPlan();
  const agent = plan.services.find(({ name }) => name === "agent");
  const text = await readFile(join(root, "deploy", "ransomeye-agent.service"), "utf8");
  assert.equal(/^MemoryMax=(\d+)M$/m.exec(text)?.[1], String((agent?.memoryMaxBytes ?? 0) / 1024 ** 2));
  assert.equal(/^OOMScoreAdjust=(\d+)$/m.exec(text)?.[1], String(agent?.oomScore));
  assert.match(text, new RegExp(`--max-old-space-size=${agent?.heapMibMax} `));
  assert.match(text, /^Slice=ransomeye-agent\.slice$/m);
  const files = await readdir(systemd, { recursive: true, withFileTypes: true });
  for (const file of files.filter((one) => one.isFile())) {
    assert.doesNotMatch(await readFile(join(file.parentPath, file.name), "utf8"), /^Listen\w+=|--listen/m, file.name);
  }
});

test("DP-23 what starts the supervisor bounds its heap as the plan does", async () => {
  const heap = statedPlan().services.find(({ name }) => name === "supervisor")?.heapMibMax;
  const scripts = (JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }).scripts;
  const unit = await readFile(join(systemd, "ransomeye.service"), "utf8");
  for (const text of [scripts["start"] ?? "", unit]) assert.ok(text.includes(`--max-old-space-size=${heap} `), text);
});

test("DP-23 units for a machine of one's own are written by one command", async () => {
  const out = join(await temporaryDirectory(), "own");
  await mkdir(out);
  const bin = join(root, "cli", "bin", "ransomeye.js");
  const run = spawnSync(
    process.execPath,
    [bin, "host", "units", "--out", out, "--cores", "8", "--ram", "32GiB", "--with", "postgres", "--json"],
    { encoding: "utf8" },
  );
  assert.equal(run.status, 0, run.stderr);
  const { files } = JSON.parse(run.stdout) as { files: string[] };
  assert.deepEqual(
    files.map((file) => file.slice(out.length + 1)).toSorted(),
    [
      "postgresql@.service.d/ransomeye.conf",
      "ransomeye-core.slice",
      "ransomeye-db.slice",
      "ransomeye.service",
      "ransomeye.slice",
    ].toSorted(),
  );
  assert.match(await readFile(join(out, "ransomeye.slice"), "utf8"), /8 cores and 32768 MiB[^]*MemoryMax=30720M/);
});
