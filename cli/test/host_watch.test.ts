/** Why: what divides a host and what tells systemd about it is tried here without systemd. Enforces: DB-5, R-22: each process in its own group with its bounds; signs of life mean that the system works. Forbids: touching the groups of the machine that runs the test. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { ControlGroups, type ControlGroupPlaces } from "../src/host/control_groups.ts";
import { Notifier, notifyPlace, serviceVariables } from "../src/host/notify.ts";
import { prioritise } from "../src/host/priorities.ts";
import { HostWatch, type Part, unwellMsMax, Wellness } from "../src/host/watch.ts";
import { manualClock } from "./manual_clock.ts";

const bounds = { memoryHighBytes: 15 * 1024 ** 2, memoryMaxBytes: 16 * 1024 ** 2, cpuWeight: 100, ioWeight: 20 };
const limitFiles = ["memory.max", "memory.high", "cpu.weight", "io.weight"] as const;

/** A folder that looks like a unit's group, with what the kernel would make in groups below it. */
async function fakeGroup(o: {
  controllers: string;
  groups: readonly string[];
  files?: readonly string[];
}): Promise<{ unit: string; places: ControlGroupPlaces }> {
  const root = await temporaryDirectory();
  const unit = join(root, "ransomeye.slice", "ransomeye.service");
  await mkdir(unit, { recursive: true });
  // The root is a group as well: the whole machine's.
  for (const folder of [root, unit]) {
    await writeFile(join(folder, "cgroup.controllers"), `${o.controllers}\n`);
    for (const name of ["cgroup.procs", "cgroup.subtree_control"]) await writeFile(join(folder, name), "");
  }
  for (const group of o.groups) {
    await mkdir(join(unit, group));
    for (const file of o.files ?? limitFiles) await writeFile(join(unit, group, file), "");
  }
  const self = join(root, "self");
  await writeFile(self, "1:name=systemd:/elsewhere\n0::/ransomeye.slice/ransomeye.service\n");
  return { unit, places: { root, self } };
}

test("DP-24 DB-5 the supervisor's group is divided: each process in a group of its own, with its bounds", async () => {
  const { unit, places } = await fakeGroup({ controllers: "cpuset cpu io memory pids", groups: ["supervisor", "gateway-1"] });
  const said: string[] = [];
  const groups = ControlGroups.open(41, { ...bounds, cpuWeight: 200 }, (line) => said.push(line), places);
  groups.place(42, "gateway-1", bounds);
  const read = (...path: string[]): Promise<string> => readFile(join(unit, ...path), "utf8");
  assert.equal(await read("cgroup.subtree_control"), "+cpu +memory +io +pids");
  assert.deepEqual([await read("supervisor", "cgroup.procs"), await read("gateway-1", "cgroup.procs")], ["41", "42"]);
  assert.deepEqual([await read("supervisor", "cpu.weight"), await read("gateway-1", "cpu.weight")], ["200", "100"]);
  assert.deepEqual(await Promise.all(limitFiles.map((file) => read("gateway-1", file))), [
    String(bounds.memoryMaxBytes),
    String(bounds.memoryHighBytes),
    "100",
    "default 20",
  ]);
  assert.deepEqual(said, []);
});

test("DP-24 what a kernel lacks is said once, and the rest holds", async () => {
  const { unit, places } = await fakeGroup({
    controllers: "cpu memory",
    groups: ["supervisor", "gateway-1"],
    files: ["memory.max", "memory.high", "cpu.weight"],
  });
  const said: string[] = [];
  const groups = ControlGroups.open(41, bounds, (line) => said.push(line), places);
  groups.place(42, "gateway-1", bounds);
  assert.deepEqual(said, ["control groups: io.weight is not set (ENOENT)"]);
  assert.equal(await readFile(join(unit, "cgroup.subtree_control"), "utf8"), "+cpu +memory");
  assert.equal(await readFile(join(unit, "gateway-1", "cgroup.procs"), "utf8"), "42");
});

test("DP-24 a process that cannot be placed runs on, and that is said", async () => {
  const { unit, places } = await fakeGroup({ controllers: "cpu memory", groups: ["supervisor"] });
  const said: string[] = [];
  const groups = ControlGroups.open(41, bounds, (line) => said.push(line), places);
  await writeFile(join(unit, "engine"), "no folder");
  groups.place(43, "engine", bounds);
  assert.match(said.join(), /engine \(process 43\) runs in the supervisor's control group/);
});

test("DP-24 a group that nobody handed over is left alone, with a clear error", async () => {
  const refused = async (controllers: string, self?: string): Promise<void> => {
    const { unit, places } = await fakeGroup({ controllers, groups: [] });
    if (self !== undefined) await writeFile(places.self, self);
    assert.throws(
      () => ControlGroups.open(41, bounds, () => undefined, places),
      (error) => hasCode(error, "CLI_CONTROL_GROUPS"),
    );
    assert.deepEqual((await readdir(unit)).toSorted(), ["cgroup.controllers", "cgroup.procs", "cgroup.subtree_control"]);
  };
  await refused("io pids");
  await refused("cpu memory", "0::/\n");
  await refused("cpu memory", "5:memory:/somewhere\n");
  await refused("cpu memory", "0::/no_such_group\n");
});

test("DP-24 a process waits and is ended as its service's line says; what the kernel refuses fails nothing", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => undefined, 1000)"], { detached: true, stdio: "ignore" });
  try {
    const pid = child.pid ?? 0;
    prioritise(pid, { nice: 7, oomScore: 321 });
    assert.equal(getPriority(pid), 7);
    assert.equal(Number(await readFile(`/proc/${pid}/oom_score_adj`, "utf8")), 321);
    const autogroup = await readFile(`/proc/${pid}/autogroup`, "utf8").catch(() => "nice 7");
    assert.match(autogroup, /nice 7/);
    prioritise(2 ** 22 + 1, { nice: 7, oomScore: 0 });
  } finally {
    child.kill("SIGKILL");
  }
});

test("DP-23 systemd's variables are read, and kept from the roles", () => {
  const watched = { NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "180000000", WATCHDOG_PID: "41" };
  assert.deepEqual(notifyPlace(watched, 41), { socket: "/run/systemd/notify", watchdogMs: 180_000 });
  assert.deepEqual(notifyPlace(watched, 42), { socket: "/run/systemd/notify" });
  assert.equal(notifyPlace({ WATCHDOG_USEC: "180000000" }, 41), undefined);
  for (const name of Object.keys(watched)) assert.ok(serviceVariables.has(name));
});

/** A program that stands in for systemd-notify and writes down what it was told. */
async function fakeTool(exitCode = 0): Promise<{ tool: string; told: () => Promise<string[]> }> {
  const folder = await temporaryDirectory();
  const [tool, log] = [join(folder, "tool"), join(folder, "told")];
  await writeFile(tool, `#!/bin/sh\n[ "$1" = READY=1 ] && sleep 0.2\necho "$NOTIFY_SOCKET $*" >> ${log}\nexit ${exitCode}\n`);
  await chmod(tool, 0o755);
  return {
    tool,
    told: async () => (await readFile(log, "utf8").catch(() => "")).split("\n").filter((line) => line !== ""),
  };
}

test("DP-23 words reach systemd in their order, and one that cannot be sent is said once and holds nothing up", async () => {
  const { tool, told } = await fakeTool();
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const notifier = new Notifier("/run/n", say, tool);
  await Promise.all([notifier.tell("READY=1", "STATUS=ready"), notifier.tell("WATCHDOG=1")]);
  assert.deepEqual(await told(), ["/run/n READY=1 STATUS=ready", "/run/n WATCHDOG=1"]);
  assert.deepEqual(said, []);
  const missing = new Notifier("/run/n", say, "/no/such/tool");
  await missing.tell("READY=1");
  await missing.tell("WATCHDOG=1");
  const failing = new Notifier("/run/n", say, (await fakeTool(1)).tool);
  await failing.tell("READY=1");
  assert.equal(said.length, 2);
  assert.match(said[0] ?? "", /ENOENT/);
  assert.match(said[1] ?? "", /ended with 1/);
});

test("DP-23 a part may be away as long as a recovery takes; then there is a complaint until it is back", () => {
  const clock = manualClock();
  const wellness = new Wellness(clock);
  const parts = (engine: boolean): Part[] => [
    { name: "PostgreSQL", isWell: true },
    { name: "engine", isWell: engine },
  ];
  assert.equal(wellness.complaint(parts(true)), undefined);
  assert.equal(wellness.complaint(parts(false)), undefined);
  clock.advance(unwellMsMax);
  assert.equal(wellness.complaint(parts(false)), undefined);
  clock.advance(1);
  assert.match(wellness.complaint(parts(false)) ?? "", /engine has not been ready for 10 minutes/);
  assert.equal(wellness.complaint(parts(true)), undefined);
  assert.equal(wellness.complaint(parts(false)), undefined);
});

test("DP-23 a sign of life is sent three times in the watchdog's time, and none while something is missing for too long or after the end", async () => {
  const clock = manualClock();
  const { tool, told } = await fakeTool();
  let isWell = true;
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const notifier = new Notifier("/run/n", say, tool);
  const watch = new HostWatch({
    clock,
    notifier,
    watchdogMs: 180_000,
    parts: () => [{ name: "engine", isWell }],
    say: (line) => said.push(line),
  });
  /** All that has been said is with systemd once a word after it is. */
  async function words(): Promise<string[]> {
    await notifier.tell("MARK");
    return (await told()).map((line) => line.replace("/run/n ", "")).filter((line) => line !== "MARK");
  }
  /** Turn after turn: a sign of life that has not left yet is followed by none. */
  async function passes(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 60_000) {
      clock.advance(60_000);
      await words();
    }
  }
  await watch.ready("ready");
  await words();
  await passes(180_000);
  assert.deepEqual(await words(), ["READY=1 STATUS=ready", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
  isWell = false;
  await passes(unwellMsMax);
  const before = (await words()).length;
  await passes(600_000);
  const after = await words();
  assert.deepEqual(after.slice(before), ["STATUS=engine has not been ready for 10 minutes"]);
  assert.match(said.join(), /engine has not been ready .* no sign of life/);
  isWell = true;
  await passes(60_000);
  assert.equal((await words()).at(-1), "WATCHDOG=1");
  const inTime = (await words()).length;
  clock.advance(600_000);
  assert.equal((await words()).length, inTime + 1, "a manager that is slow to hear is not told of times long past");
  await watch.stopping();
  assert.equal((await words()).at(-1), "STOPPING=1 STATUS=stopping");
  watch.close();
  const last = (await words()).length;
  clock.advance(600_000);
  assert.equal((await words()).length, last);
});
