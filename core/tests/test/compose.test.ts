/**
 * Why: the compose files are run on other people's hosts; here they can only be read, so they are read strictly.
 * Enforces: BUS-9: they are what the compose specification's schema allows, keep the house rules, mount what exists, and hold no secret; a broken one is refused.
 * Forbids: starting containers. The server that they start is started for real in redis_deploy.test.ts.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { statedPlan } from "ransomeye";
import { type ComposeFile, houseProblems, readCompose, schemaProblems, type Service } from "../src/deploy/compose_file.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const deploy = join(root, "deploy");
const production = join(deploy, "docker-compose.production.yml");
const cluster = join(deploy, "docker-compose.cluster.yml");

test("EB-17 BUS-9 the compose files are what the specification allows and keep our rules", async () => {
  const files = (await readdir(deploy)).filter((name) => /^docker-compose\..*\.yml$/.test(name));
  assert.deepEqual(files.toSorted(), ["docker-compose.cluster.yml", "docker-compose.production.yml"]);
  for (const name of files) {
    const path = join(deploy, name);
    const document = await readCompose(path);
    assert.deepEqual(schemaProblems(document), [], name);
    assert.deepEqual(await houseProblems(document, path), [], name);
  }
});

test("EB-17 a broken compose file is refused", async () => {
  const good = await readCompose(production);
  const broken: readonly (readonly [why: string, change: (document: Record<string, Record<string, Record<string, unknown>>>) => void])[] = [
    ["a misspelt key", (document) => (document["services"]!["valkey"]!["restrat"] = "always")],
    ["a command that is a number", (document) => (document["services"]!["valkey"]!["command"] = 7)],
    ["a duration that is none", (document) => (document["services"]!["valkey"]!["stop_grace_period"] = "two minutes")],
    [
      "a condition that does not exist",
      (document) => (document["services"]!["ransomeye"]!["depends_on"] = { valkey: { condition: "well" } }),
    ],
    ["a port that is none", (document) => (document["services"]!["ransomeye"]!["ports"] = ["seven"])],
    ["a section that does not exist", (document) => (document["servers"] = {})],
  ];
  for (const [why, change] of broken) {
    const document = structuredClone(good);
    change(document as never);
    assert.notDeepEqual(schemaProblems(document), [], why);
  }
  const careless: readonly (readonly [why: string, Partial<Service>])[] = [
    ["published to all", { ports: ["0.0.0.0:6379:6379"] }],
    ["root", { user: "0:0" }],
    ["unbounded", { deploy: {} }],
    ["a password in the environment", { environment: { URL: "redis://me:hunter2@valkey" } }],
    ["a mount of nothing", { volumes: [{ type: "bind", source: "./valkey/none.conf", target: "/x", read_only: true }] }],
    ["a mount to be written", { volumes: [{ type: "bind", source: "./valkey/valkey.conf", target: "/x" }] }],
    ["a secret of nobody", { secrets: ["unknown"] }],
    ["with rights", { cap_drop: [] }],
  ];
  for (const [why, change] of careless) {
    const document: ComposeFile = {
      ...good,
      services: { ...good.services, valkey: { ...(good.services["valkey"] as Service), ...change } },
    };
    assert.notDeepEqual(await houseProblems(document, production), [], why);
  }
});

test("EB-17 BUS-9 nobody outside reaches the servers, and the cluster has three masters with a replica each", async () => {
  for (const path of [production, cluster]) {
    const { services, networks } = await readCompose(path);
    assert.equal(networks?.["bus"]?.internal, true);
    for (const [name, { networks: joined, ports }] of Object.entries(services)) {
      const names = Array.isArray(joined) ? (joined as string[]) : Object.keys(joined ?? {});
      assert.deepEqual(names, name === "ransomeye" ? ["bus", "producers"] : ["bus"], name);
      if (name !== "ransomeye") assert.equal(ports, undefined);
    }
  }
  const { services } = await readCompose(cluster);
  const nodes = Object.entries(services).filter(([name]) => /^valkey-\d$/.test(name));
  const addresses = nodes.map(([, { networks }]) => (networks as { bus: { ipv4_address: string } }).bus.ipv4_address);
  assert.equal(new Set(addresses).size, 6);
  assert.deepEqual(
    services["create-cluster"]?.command,
    addresses.map((address) => `${address}:6379`),
  );
  assert.equal(
    services["ransomeye"]?.environment?.["RANSOMEYE_BUS_URL"],
    `redis://${addresses.map((address) => `${address}:6379`).join(",")}`,
  );
  assert.equal(services["ransomeye"]?.environment?.["RANSOMEYE_BUS_DURABILITY"], "replicated");
});

const mib = 1024 ** 2;

/** `4g` and `512m` in bytes. */
function bytesOf(memory: string | undefined): number {
  const [, number, unit] = /^(\d+)([mg])$/.exec(memory ?? "") ?? [];
  return Number(number) * (unit === "g" ? 1024 : 1) * mib;
}

test("DP-20 DP-22 compose's limits are the plan's for the machine that is stated, and what it publishes is no other port", async () => {
  const plan = statedPlan();
  const core = plan.services.filter(({ supervised }) => supervised);
  const bus = plan.services.filter(({ name }) => name === "bus");
  const sum = (of: typeof core, key: "memoryMaxBytes" | "cpuWeight" | "ioWeight"): number =>
    of.reduce((total, one) => total + one.processes * one[key], 0);
  for (const path of [production, cluster]) {
    const { services } = await readCompose(path);
    for (const [name, service] of Object.entries(services)) {
      if (name === "create-cluster") continue;
      const planned = name === "ransomeye" ? core : bus;
      assert.equal(bytesOf(service.deploy?.resources?.limits?.memory), sum(planned, "memoryMaxBytes"), `${path} ${name}`);
      // A share of 1024 is compose's ordinary, a weight of 100 the kernel's.
      assert.equal(service.cpu_shares, (sum(planned, "cpuWeight") * 1024) / 100, name);
      assert.equal(service.blkio_config?.weight, sum(planned, "ioWeight"), name);
      assert.equal(service.oom_score_adj, Math.min(...planned.map(({ oomScore }) => oomScore)), name);
    }
    assert.equal(services["ransomeye"]?.ulimits?.nofile, plan.openFilesMax);
    assert.equal(services["ransomeye"]?.deploy?.resources?.limits?.cpus, String(plan.cores));
    const heap = plan.services.find(({ name }) => name === "supervisor")?.heapMibMax;
    assert.ok(services["ransomeye"]?.entrypoint?.includes(`--max-old-space-size=${heap}`));
    const published = Object.values(services).flatMap(({ ports }) => ports ?? []);
    assert.deepEqual(published, ["127.0.0.1:7443:7443"]);
  }
  // What the server may hold can double while its file is rewritten.
  const configured = /^maxmemory (\d+)gb$/m.exec(await readFile(join(deploy, "valkey", "valkey.conf"), "utf8"))?.[1];
  assert.equal(2 * Number(configured) * 1024 * mib, bus[0]?.memoryMaxBytes);
});

test("EB-17 nothing secret lies in the repository, and what makes images leaves secrets out", async () => {
  const names = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "deploy"], { cwd: root, encoding: "utf8" })
    .trim()
    .split("\n");
  assert.deepEqual(
    names.filter((name) => name.startsWith("deploy/secrets")),
    [],
  );
  const told = /\b(requirepass|masterauth|masteruser|password|passwd)\b\s*[:=]?\s*["']?\S*\d/i;
  for (const name of names) {
    const text = await readFile(join(root, name), "utf8");
    assert.doesNotMatch(text, told, name);
    assert.doesNotMatch(text, /#[0-9a-f]{64}|\/\/[^/\s]*:[^/\s]*@/, name);
  }
  assert.equal(
    execFileSync("git", ["check-ignore", "deploy/secrets/bus_users.json"], { cwd: root, encoding: "utf8" }).trim(),
    "deploy/secrets/bus_users.json",
  );
  const ignored = (await readFile(join(deploy, "Dockerfile.dockerignore"), "utf8")).split("\n");
  for (const name of ["deploy/secrets", ".git", ".ransomeye"]) assert.ok(ignored.includes(name), name);
});
