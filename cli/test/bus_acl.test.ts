/**
 * The users of the log's servers: made once, kept private, shown as hashes only.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFile } from "node:child_process";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "ransomeye-kernel/testing";

const program = fileURLToPath(new URL("../../bin/ransomeye.js", import.meta.url));
const roles = ["gateway", "engine", "keeper", "registry", "consumer", "operator"];

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function acl(...args: string[]): Promise<Said> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, "bus", "acl", ...args], (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
    );
  });
}

async function passwordsIn(path: string): Promise<Record<string, string>> {
  return (JSON.parse(await readFile(path, "utf8")) as { passwords: Record<string, string> }).passwords;
}

test("bus acl prints a user with a hash for each role, keeps the passwords private, and says the same twice", async () => {
  const dir = await temporaryDirectory();
  const path = join(dir, "secrets", "bus_users.json");
  const first = await acl("--data-dir", dir);
  assert.equal(first.code, 0);
  const passwords = await passwordsIn(path);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(Object.keys(passwords), roles);
  assert.equal(new Set(Object.values(passwords)).size, roles.length);
  const lines = first.stdout.trimEnd().split("\n");
  assert.deepEqual(lines[0], "user default off resetpass resetkeys resetchannels -@all");
  for (const [role, password] of Object.entries(passwords)) {
    assert.ok(password.length >= 40);
    const hash = createHash("sha256").update(password).digest("hex");
    assert.ok(lines.some((line) => line.startsWith(`user ransomeye-${role} on #${hash} `)));
    for (const { stdout, stderr } of [first]) assert.ok(!`${stdout}${stderr}`.includes(password));
  }
  assert.doesNotMatch(first.stdout, /@all \+@|\+@|~\* |allkeys|allcommands/);
  assert.deepEqual([(await acl("--data-dir", dir)).stdout, await passwordsIn(path)], [first.stdout, passwords]);

  assert.equal((await acl("--data-dir", dir, "--renew")).code, 0);
  const renewed = await passwordsIn(path);
  for (const role of roles) assert.notEqual(renewed[role], passwords[role]);
});

test("bus acl --durability replicated adds the servers' own users and keeps what was there", async () => {
  const dir = await temporaryDirectory();
  const out = join(dir, "out");
  assert.equal((await acl("--out", out)).code, 0);
  const before = await passwordsIn(join(out, "bus_users.json"));
  const { code, stdout } = await acl("--out", out, "--durability", "replicated", "--json");
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), {
    users_file: join(out, "bus_users.json"),
    written: true,
    files: ["users.acl", "replication.conf", "cluster_password"].map((name) => join(out, name)),
    acl: null,
  });
  const { replica, cluster, ...others } = await passwordsIn(join(out, "bus_users.json"));
  assert.deepEqual(others, before);
  assert.equal(await readFile(join(out, "replication.conf"), "utf8"), `masteruser ransomeye-replica\nmasterauth ${replica}\n`);
  assert.equal(await readFile(join(out, "cluster_password"), "utf8"), `${cluster}\n`);
  for (const name of ["users.acl", "replication.conf", "cluster_password"]) assert.equal((await stat(join(out, name))).mode & 0o777, 0o600);
  // The password with which replicas log in can be asked for by whoever may CONFIG GET.
  assert.doesNotMatch(await readFile(join(out, "users.acl"), "utf8"), /config/);
});

test("R-4 bus acl --waitaof lets every role ask for what lies on disks, and changes nothing else", async () => {
  const dir = await temporaryDirectory();
  const replicated = ["--data-dir", dir, "--durability", "replicated"];
  const without = await acl(...replicated);
  const having = await acl(...replicated, "--waitaof");
  assert.deepEqual([without.code, having.code], [0, 0]);
  assert.doesNotMatch(without.stdout, /waitaof/);
  assert.equal(having.stdout.match(/ \+wait \+waitaof /g)?.length, roles.length);
  assert.equal(having.stdout.replaceAll(" +waitaof", ""), without.stdout);
  const local = await acl("--data-dir", dir, "--durability", "local", "--waitaof");
  assert.notEqual(local.code, 0);
  assert.match(local.stderr, /WAITAOF is for bus\.durability replicated/);
});

test("bus acl refuses a file that others can read, that is of another installation, or that is none", async () => {
  const dir = await temporaryDirectory();
  const path = join(dir, "users.json");
  assert.equal((await acl("--users-file", path, "--prefix", "one")).code, 0);
  const before = await readFile(path, "utf8");
  const other = await acl("--users-file", path, "--prefix", "two");
  assert.deepEqual([other.code, other.stdout], [2, ""]);
  assert.match(other.stderr, /holds the users of the key prefix one/);
  await chmod(path, 0o640);
  assert.match((await acl("--users-file", path, "--prefix", "one")).stderr, /can be read by others/);
  await chmod(path, 0o600);
  assert.equal(await readFile(path, "utf8"), before);
  await writeFile(path, "{}");
  assert.match((await acl("--users-file", path)).stderr, /is no file of users/);
});

test("a start without the file that bus.users_file names is refused before anything is started", async () => {
  const dir = await temporaryDirectory();
  const missing = ["--set", `bus.users_file=${join(dir, "none.json")}`, "--bus", "redis://127.0.0.1:1"];
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, [program, "start", "--data-dir", join(dir, "data"), ...missing], (_error, _stdout, stderr) =>
      resolve(stderr),
    );
  });
  assert.match(said, /CLI_START_FAILED.*ransomeye bus acl/s);
});
