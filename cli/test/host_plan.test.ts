/** Why: services that share a host must fit it, and none may take another's port. Enforces: R-30, DB-5: what the plan gives away adds up on any machine; every conflict is named. Forbids: looking at the machine that runs the test. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasCode, limits, loadConfig } from "ransomeye-kernel";
import { besideOf } from "../src/host/beside.ts";
import { endpointConflicts, hostEndpoints } from "../src/host/endpoints.ts";
import { type HostInput, type HostPlan, planHost, requirePlan } from "../src/host/plan.ts";
import { connectionBytes, type ServiceName, services } from "../src/host/services.ts";
import { unitFiles } from "../src/host/units.ts";

const mib = 1024 ** 2;
const gib = 1024 ** 3;

function input(
  cores: number,
  gibibytes: number,
  flags: Readonly<Record<string, string>> = {},
  beside: HostInput["beside"] = [],
): HostInput {
  return { cores, memoryBytes: gibibytes * gib, diskFreeBytes: 100 * gib, config: loadConfig({ env: {}, flags }), beside };
}

function maxOf(plan: HostPlan, service: ServiceName): number {
  return plan.services.find(({ name }) => name === service)?.memoryMaxBytes ?? 0;
}

const small = { "gateway.sessions_max": "2000", "demo.enabled": "false" };

test("DP-20 DB-5 what all services may have and the reserve are the machine's memory, never more", () => {
  for (const cores of [1, 2, 4, 7, 16, 48, 128])
    for (const memory of [4, 6, 8, 12, 16, 24, 64, 100, 196, 1024])
      for (const beside of [[], ["bus"], ["postgres", "bus", "agent"]] as const) {
        const plan = planHost(input(cores, memory, small, beside));
        const given = plan.services.reduce((sum, one) => sum + one.processes * one.memoryMaxBytes, plan.reserveBytes);
        const where = `${cores} cores, ${memory} GiB, ${beside.join()}`;
        assert.equal(plan.totalBytes, given, where);
        assert.equal(plan.fits, given <= memory * gib, where);
        assert.ok(plan.reserveBytes >= 512 * mib, where);
        for (const one of plan.services) {
          assert.ok(one.memoryHighBytes < one.memoryMaxBytes, `${where} ${one.name}`);
          assert.ok((one.heapMibMax ?? 0) * mib < one.memoryMaxBytes, `${where} ${one.name}`);
        }
      }
});

test("DP-20 where there is room every heap has its most, where there is little all give way alike, and none goes below its least", () => {
  const heaps = (plan: HostPlan): [string, number][] =>
    plan.services.flatMap((s) => (s.heapMibMax === null ? [] : [[s.name, s.heapMibMax]]));
  for (const [name, heap] of heaps(planHost(input(2, 24)))) assert.equal(heap, services[name as ServiceName].heapMib?.max);
  const tight = planHost(input(2, 4.5, small));
  assert.ok(tight.fits);
  for (const [name, heap] of heaps(tight)) {
    const { min, max } = services[name as ServiceName].heapMib ?? { min: 0, max: 0 };
    assert.ok(heap >= min && heap <= max, name);
    if (min < max) assert.ok(heap < max, name);
  }
});

test("DP-20 a gateway may have its heap, its buffer and its sessions, and more of these leave less to PostgreSQL", () => {
  const plan = (flags: Readonly<Record<string, string>>): HostPlan => planHost(input(2, 64, flags));
  const base = plan({});
  const sessions = plan({ "gateway.sessions_max": "40000", "gateway.buffer_bytes_max": "1 GiB" });
  const grown = Math.ceil((gib + 40_000 * connectionBytes) / mib) * mib - Math.ceil((128 * mib + 20_000 * connectionBytes) / mib) * mib;
  assert.equal(maxOf(sessions, "gateway") - maxOf(base, "gateway"), grown);
  assert.equal(maxOf(base, "postgres") - maxOf(sessions, "postgres"), grown);
});

test("DP-20 a machine that is too small is refused with what it needs, and with that it fits", () => {
  assert.throws(
    () => requirePlan(input(2, 4)),
    (error) => hasCode(error, "CLI_HOST_TOO_SMALL") && /need \d+\.\d GiB of memory and it has 4\.0 GiB/.test((error as Error).message),
  );
  const refused = planHost(input(2, 4));
  assert.ok(refused.neededBytes > 4 * gib);
  assert.ok(planHost({ ...input(2, 4), memoryBytes: refused.neededBytes }).fits);
  assert.ok(!planHost({ ...input(2, 4), memoryBytes: refused.neededBytes - 128 * mib }).fits);
});

test("DP-20 R-30 connections of all processes and the reserve fit the server, and PostgreSQL's memory holds its buffers and a backend for each", () => {
  for (const processes of ["1", "16", "64"]) {
    const { pools, postgresSettings, services: planned } = planHost(input(48, 512, { "gateway.processes": processes }));
    const { gateway = 0, ...others } = pools.perProcess;
    const all = Object.values(others).reduce((sum, n) => sum + n, pools.reserved + Number(processes) * gateway);
    assert.equal(pools.total, all);
    assert.ok(pools.total <= pools.serverMax);
    assert.equal(postgresSettings["max_connections"], String(pools.serverMax));
    const postgres = planned.find(({ name }) => name === "postgres");
    const megabytes = (name: string): number => Number.parseInt(postgresSettings[name] ?? "", 10) * mib;
    assert.ok(megabytes("shared_buffers") + pools.total * 8 * mib < (postgres?.memoryMaxBytes ?? 0));
    assert.ok(megabytes("effective_cache_size") <= (postgres?.memoryMaxBytes ?? 0));
  }
});

test("DP-20 what runs beside the system is counted where its address leads to this host", () => {
  const beside = (flags: Readonly<Record<string, string>>): readonly string[] => besideOf(loadConfig({ env: {}, flags }));
  assert.deepEqual(beside({}), []);
  assert.deepEqual(beside({ "bus.url": "redis://127.0.0.1:6379" }), ["bus"]);
  assert.deepEqual(beside({ "bus.url": "redis+unix:///run/valkey/valkey.sock" }), ["bus"]);
  assert.deepEqual(beside({ "bus.url": "redis://10.0.0.5:6379,10.0.0.6:6379" }), []);
  assert.deepEqual(beside({ "database.url": "postgres://me@localhost/ransomeye" }), ["postgres"]);
  assert.deepEqual(beside({ "database.url": "postgres://me@db/ransomeye?host=/run/postgresql" }), ["postgres"]);
  assert.deepEqual(beside({ "database.url": "postgres://me@db.example/ransomeye" }), []);
  const elsewhere = planHost(input(2, 24, { "database.url": "postgres://me@db.example/ransomeye" }));
  assert.ok(!elsewhere.services.some(({ name }) => name === "postgres"));
  assert.deepEqual(elsewhere.postgresOverrides, {});
});

test("DP-22 by default no port or socket is wanted twice, each path fits, and all are this host's alone", () => {
  for (const beside of [[], ["bus", "agent"], ["postgres", "bus", "agent"]] as const) {
    const one = input(16, 64, { "enrolment.enabled": "true" }, beside);
    const endpoints = hostEndpoints(one.config, planHost(one), "/tmp/ransomeye-4294967295-0123456789ab");
    assert.deepEqual(endpointConflicts(endpoints), []);
    assert.ok(endpoints.every(({ network }) => !network));
    assert.equal(new Set(endpoints.map(({ address }) => address)).size, endpoints.length);
    assert.ok(endpoints.filter(({ service }) => service === "gateway").length === 6, "a port and five gateways' metrics");
  }
});

test("DP-22 a port that two services want, and a path that is too long, are named with the field to change", () => {
  const conflicts = (flags: Readonly<Record<string, string>>, beside: HostInput["beside"] = [], socketDir = "/tmp/s"): string[] => {
    const given = input(2, 24, flags);
    const one = { ...given, beside: besideOf(given.config, beside) };
    return endpointConflicts(hostEndpoints(one.config, planHost(one), socketDir));
  };
  const enrolment = { "enrolment.enabled": "true" };
  assert.match(
    conflicts({ ...enrolment, "gateway.listen": "127.0.0.1:7444" })[0] ?? "",
    /gateway .* and registry .* gateway\.listen or enrolment\.listen/,
  );
  assert.match(conflicts({ ...enrolment, "gateway.listen": "0.0.0.0:7444" })[0] ?? "", /gateway\.listen or enrolment\.listen/);
  assert.equal(conflicts({ ...enrolment, "gateway.listen": "127.0.0.2:7444" }).length, 0);
  assert.match(
    conflicts({ "gateway.listen": "127.0.0.1:6379", "bus.url": "redis://127.0.0.1:6379" })[0] ?? "",
    /gateway\.listen or bus\.url/,
  );
  assert.match(conflicts({ "gateway.listen": "0.0.0.0:5432" }, ["postgres"])[0] ?? "", /gateway\.listen or database\.url/);
  assert.equal(conflicts({ "gateway.listen": "127.0.0.1:0", "enrolment.listen": "127.0.0.1:0", ...enrolment }).length, 0);
  const long = conflicts({}, [], `/tmp/${"x".repeat(limits.socketPathBytesMax)}`);
  assert.ok(long.length > 0 && long.every((line) => line.includes("longer than 107 bytes")));
});

test("DP-22 a gateway that listens on the network is said to be reachable from there", () => {
  const one = input(2, 24, { "gateway.listen": "0.0.0.0:7443" });
  const gateway = hostEndpoints(one.config, planHost(one), "/tmp/s").find(({ field }) => field === "gateway.listen");
  assert.equal(gateway?.network, true);
});

test("DP-23 slices hold the plan's memory and weights, and no unit gives away more than the whole slice", () => {
  for (const beside of [[], ["bus", "agent"], ["postgres", "bus", "agent"]] as const) {
    const plan = planHost(input(16, 64, { "demo.enabled": "false" }, beside));
    const files = unitFiles(plan);
    const value = (file: string, key: string): number => Number(new RegExp(`^${key}=(-?\\d+)M?$`, "m").exec(files[file] ?? "")?.[1]);
    const slices = Object.keys(files).filter((name) => /^ransomeye-\w+\.slice$/.test(name));
    assert.equal(slices.length, 1 + beside.length);
    const sum = (key: string): number => slices.reduce((total, name) => total + value(name, key), 0);
    const planned = (of: "memoryMaxBytes" | "cpuWeight" | "ioWeight"): number =>
      plan.services.reduce((total, one) => total + one.processes * one[of], 0);
    assert.equal(sum("MemoryMax") * mib, planned("memoryMaxBytes"));
    assert.equal(sum("MemoryMax"), value("ransomeye.slice", "MemoryMax"));
    assert.equal(sum("CPUWeight"), planned("cpuWeight"));
    assert.equal(sum("IOWeight"), planned("ioWeight"));
    for (const [name, text] of Object.entries(files)) {
      const slice = /^Slice=(.+)$/m.exec(text)?.[1];
      if (name.endsWith(".slice")) continue;
      assert.ok(slice !== undefined && slice in files, `${name} runs in ${slice}`);
    }
  }
});
