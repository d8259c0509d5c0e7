/**
 * Why: production is what the files in deploy/ say, so they are what is started here.
 * Enforces: BUS-9, EB-16 and EB-18: the server that the production file mounts flushes every append, evicts nothing and lets nobody in without a name; the whole system
 * works on it with a user for each role; the cluster variant becomes a cluster, with users that can do no more.
 * Forbids: containers, and Valkey itself: Debian's Redis reads the same files, which keep to what both know.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import type { TestRedis } from "ransomeye-pipeline/testing";
import { type ComposeFile, readCompose, type Service } from "../../src/deploy/compose_file.ts";
import { laySecrets, passwordsIn, settingsOf, startMounted } from "../../src/deploy/mounted_server.ts";
import { RANSOMEYE_BIN, RunningSystem } from "../../src/harness/running_system.ts";

const deploy = fileURLToPath(new URL("../../../../../deploy/", import.meta.url));
const run = promisify(execFile);

/** A compose file with the secrets that `ransomeye bus acl` makes for it, laid out as a container sees them. */
async function withSecrets(
  name: string,
  ...options: string[]
): Promise<{ path: string; document: ComposeFile; made: string; laid: string }> {
  const path = join(deploy, name);
  const document = await readCompose(path);
  const directory = await temporaryDirectory();
  const [made, laid] = [join(directory, "made"), join(directory, "laid")];
  const said = await run(process.execPath, [RANSOMEYE_BIN, "bus", "acl", "--out", made, ...options]);
  assert.equal(said.stdout, "");
  for (const password of Object.values(await passwordsIn(join(made, "bus_users.json")))) assert.ok(!said.stderr.includes(password));
  await laySecrets(document, made, laid);
  return { path, document, made, laid };
}

/** What Debian's client says, whatever it thinks of it. A password is handed over as people should, not on the command line. */
async function cli(server: TestRedis, args: readonly string[], password?: string): Promise<string> {
  const env = { ...process.env, ...(password === undefined ? {} : { REDISCLI_AUTH: password }) };
  const said = (out: { readonly stdout: string; readonly stderr: string }): string => `${out.stdout}${out.stderr}`.trim();
  return run("redis-cli", ["-p", String(server.port), ...args], { env }).then(said, (error: unknown) =>
    said(error as { stdout: string; stderr: string }),
  );
}

/** Each of these is refused for want of a right. */
async function assertRefused(server: TestRedis, user: string, password: string, calls: readonly string[]): Promise<void> {
  for (const words of calls)
    assert.match(
      await cli(server, ["--user", `ransomeye-${user}`, "--no-auth-warning", ...words.split(" ")], password),
      /NOPERM/,
      `${user}: ${words}`,
    );
}

/** The health check as it stands, with the name and the place of this machine's client. */
async function healthOf({ healthcheck }: Service, server: TestRedis): Promise<string> {
  const [kind, program, ...args] = healthcheck?.test ?? [];
  assert.deepEqual([kind, program], ["CMD", "valkey-cli"]);
  return cli(server, args);
}

const durable = {
  appendonly: "yes",
  appendfsync: "always",
  "no-appendfsync-on-rewrite": "no",
  "maxmemory-policy": "noeviction",
  maxmemory: String(2 * 1024 ** 3),
  save: "",
  "enable-debug-command": "no",
  "enable-module-command": "no",
  "enable-protected-configs": "no",
};

async function assertAsPromised(server: TestRedis, service: Service): Promise<void> {
  assert.deepEqual(await settingsOf(server, Object.keys(durable)), durable);
  assert.match(await cli(server, ["ping"]), /NOAUTH/);
  assert.match(await cli(server, ["set", "a", "b"]), /NOAUTH/);
  const users = (await server.client().call("ACL", "LIST")) as string[];
  assert.match(users.find((line) => line.startsWith("user default ")) ?? "", /^user default off .*-@all$/);
  assert.equal(await healthOf(service, server), "PONG");
  await assertRefused(server, "health", "none", ["get a", "info", "acl list", "config get appendonly"]);
}

test("EB-18 BUS-9 the production server is durable and closed, and the whole system works on it with a user for each role", async () => {
  const { path, document, made, laid } = await withSecrets("docker-compose.production.yml");
  const valkey = document.services["valkey"] as Service;
  for (const name of ["bus_users.json", "users.acl"]) assert.equal((await stat(join(made, name))).mode & 0o777, 0o600);
  const server = await startMounted(valkey, path, laid, false);
  try {
    await assertAsPromised(server, valkey);
    const environment = { RANSOMEYE_BUS_URL: "", RANSOMEYE_BUS_KEY_PREFIX: "ransomeye", RANSOMEYE_BUS_USERS_FILE: join(laid, "bus_users") };
    await using system = await RunningSystem.start(["--bus", server.url], environment);
    const bus = JSON.parse(await readFile(join(system.dataDir, "secrets", "bus.json"), "utf8")) as { logins: object };
    assert.deepEqual(Object.keys(bus.logins), ["operator", "consumer"]);
    assert.doesNotMatch(JSON.stringify(bus), /ransomeye-(gateway|engine|keeper|registry)/);
    await shipOne(system);
    const ledger = await system.json<{ balanced: boolean; accepted: number; stored: number }>("audit", "--wait-idle", "60");
    assert.deepEqual([ledger.balanced, ledger.accepted, ledger.stored], [true, 1, 1]);
    assert.equal((await system.run("dlq", "list")).exitCode, 0);
    const names = new Set(((await server.client().call("CLIENT", "LIST")) as string).match(/(?<= user=)\S+/g) ?? []);
    for (const role of ["gateway", "engine", "keeper", "registry"])
      assert.ok(names.has(`ransomeye-${role}`), `${role} among ${[...names].join(" ")}`);
    assert.ok(!names.has("default"));
    assert.equal(await system.stop(), 0);
    assert.deepEqual(await refusals(server), [], "nothing of the system asked for more than it may");
  } finally {
    await server.close();
  }
});

const eve =
  '{"timestamp":"2026-01-05T10:00:00.000000+0000","event_type":"dns","src_ip":"10.0.0.8","src_port":51234,"dest_ip":"192.0.2.53","dest_port":53,"proto":"UDP","dns":{"type":"query","id":7,"rrname":"first.example","rrtype":"A"}}';

/** One record from a file to its row. */
async function shipOne(system: RunningSystem): Promise<void> {
  const file = join(await temporaryDirectory(), "eve.json");
  await writeFile(file, `${eve}\n`);
  assert.equal((await system.run("ship", file, "--wait", "stored")).exitCode, 0);
}

/** What the server has refused to a user of ours, but for the health check's own trials. */
async function refusals(server: TestRedis): Promise<string[]> {
  const entries = (await server.client().call("ACL", "LOG")) as string[][];
  return entries
    .map(
      (entry) => Object.fromEntries(entry.flatMap((word, at) => (at % 2 === 0 ? [[word, entry[at + 1]]] : []))) as Record<string, string>,
    )
    .filter(({ username }) => username !== "ransomeye-health" && username !== "default")
    .map(({ username, object, reason }) => `${username} ${reason} ${object}`);
}

test("EB-18 the cluster variant becomes a cluster of three masters with replicas, whose users can do no more", async () => {
  const { path, document, made, laid } = await withSecrets("docker-compose.cluster.yml", "--durability", "replicated");
  const services = Object.entries(document.services).filter(([name]) => /^valkey-\d$/.test(name));
  const started = await Promise.allSettled(services.map(([, service]) => startMounted(service, path, laid, true)));
  const servers = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  try {
    assert.deepEqual(
      started.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : [])),
      [],
    );
    const first = servers[0] as TestRedis;
    await assertAsPromised(first, services[0]?.[1] as Service);
    const making = document.services["create-cluster"] as Service;
    const script = (making.volumes ?? []).find(({ target }) => target === making.entrypoint?.[1])?.source ?? "";
    const env = { ...process.env, ...making.environment, CLI: "redis-cli", PASSWORD_FILE: join(laid, "cluster_password") };
    const nodes = servers.map(({ host, port }) => `${host}:${port}`);
    await run("sh", [join(deploy, script), ...nodes], { env });
    assert.match((await run("sh", [join(deploy, script), ...nodes], { env })).stdout, /the cluster stands/);
    const roles = await Promise.all(servers.map(async (server) => /role:(\w+)/.exec(await server.client().info("replication"))?.[1]));
    assert.deepEqual(
      ["master", "slave"].map((role) => roles.filter((one) => one === role).length),
      [3, 3],
    );

    const passwords = await passwordsIn(join(made, "bus_users.json"));
    for (const user of ["gateway", "engine", "consumer", "keeper", "registry", "operator"])
      await assertRefused(first, user, passwords[user] as string, ["config get masterauth", "flushall", "cluster reset", "psync ? -1"]);
    for (const user of ["cluster", "replica"])
      await assertRefused(first, user, passwords[user] as string, ["get a", "flushall", "config get masterauth", "acl list"]);
    for (const server of servers) await server.client().call("ACL", "LOG", "RESET");

    const environment = {
      RANSOMEYE_BUS_URL: `redis://${nodes.join(",")}`,
      RANSOMEYE_BUS_KEY_PREFIX: "ransomeye",
      RANSOMEYE_BUS_USERS_FILE: join(laid, "bus_users"),
      RANSOMEYE_BUS_DURABILITY: "replicated",
      RANSOMEYE_BUS_REPLICAS_MIN: "1",
    };
    await using system = await RunningSystem.start([], environment);
    await shipOne(system);
    assert.equal(await system.stop(), 0);
    assert.deepEqual((await Promise.all(servers.map(refusals))).flat(), []);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
});
