/**
 * The servers that other tests stand on: they keep what they confirmed, take over for each other, and go away with the test.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { sleep, systemClock } from "ransomeye-kernel";
import { removeKeys, startCluster, startRedis, startReplicated } from "../src/testing.ts";
import { until } from "../src/testing/until.ts";

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** True if somebody listens there. A dead process may stay in the list until its new parent asks for it; its port is free at once. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

describe("one server", () => {
  test("what it confirmed is there after kill -9, and nothing is left after its end", async () => {
    const redis = await startRedis({ settings: { "maxmemory-policy": "allkeys-lru" } });
    try {
      const client = redis.client();
      assert.deepEqual(await client.config("GET", "appendfsync"), ["appendfsync", "always"]);
      assert.deepEqual(await client.config("GET", "maxmemory-policy"), ["maxmemory-policy", "allkeys-lru"]);
      assert.equal(await client.set("frame", "1"), "OK");
      const before = redis.pid();
      await redis.kill();
      assert.equal(isAlive(before), false);
      assert.throws(() => redis.pid(), /no server runs/);
      await redis.restart();
      assert.notEqual(redis.pid(), before);
      assert.equal(await client.get("frame"), "1");
      const running = redis.pid();
      await redis.restart();
      assert.equal(isAlive(running), false);
      assert.equal(await client.get("frame"), "1");
      assert.match(await redis.log(), /Ready to accept connections/);
    } finally {
      await redis.close();
      await redis.close();
    }
    assert.equal(existsSync(redis.directory), false);
    assert.throws(() => redis.client(), /is closed/);
  });

  test("stopped it answers nobody, and goes on where it was", async () => {
    const redis = await startRedis();
    try {
      await redis.set({ maxmemory: "64mb", "slowlog-max-len": "7" });
      await redis.client().ping();
      redis.stop();
      let answered = false;
      const answer = redis
        .client()
        .incr("count")
        .then((count) => {
          answered = true;
          return count;
        });
      await sleep(systemClock, 200);
      assert.equal(answered, false);
      redis.go();
      assert.equal(await answer, 1);
      assert.deepEqual(await redis.client().config("GET", "slowlog-max-len"), ["slowlog-max-len", "7"]);
      redis.stop();
      await redis.restart();
      assert.equal(await redis.client().get("count"), "1");
      redis.stop();
    } finally {
      await redis.close();
    }
  });

  test("a setting that it does not know is an error that says so", async () => {
    await assert.rejects(startRedis({ settings: { "no-such-setting": "1" } }), /ended at its start:[^]*no-such-setting/);
    await assert.rejects(startRedis({ settings: { port: "6379" } }), /its own port/);
  });

  test("it waits for its port where somebody else stands on it", async () => {
    const redis = await startRedis({ settings: { requirepass: "secret" } });
    try {
      await redis.kill();
      const squatters = new Set<Socket>();
      const squatter = createServer((socket) => squatters.add(socket));
      await new Promise<void>((resolve) => squatter.listen(redis.port, redis.host, resolve));
      const restarted = redis.restart();
      await until("the server to find its port taken", [redis], async () => /Address already in use/.test(await redis.log()));
      for (const socket of squatters) socket.destroy();
      squatter.close();
      await restarted;
      assert.equal(await redis.client().ping(), "PONG");
    } finally {
      await redis.close();
    }
  });

  test("it ends with a test process that is killed, and its directory with it", async () => {
    const program = `import { startRedis } from ${JSON.stringify(import.meta.resolve("../src/testing.js"))};
      const redis = await startRedis();
      await redis.restart();
      console.log(JSON.stringify({ port: redis.port, directory: redis.directory }));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    const line = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
    const { port, directory } = JSON.parse(line) as { port: number; directory: string };
    assert.equal((await listens(port)) && existsSync(directory), true);
    child.kill("SIGKILL");
    await until("the guard to clean up", [], async () => !existsSync(directory) && !(await listens(port)));
  });
});

describe("servers that somebody else has given", () => {
  test("what tests wrote there is removed, and nothing else", async () => {
    const redis = await startRedis({ settings: { appendfsync: "no" } });
    try {
      const client = redis.client();
      const others = ["frame", "{test-0123456.0}:log", "{test-01234567x.0}:log", "test-01234567.0:log", "{ransomeye.bus}:state"];
      const own = Array.from({ length: 1200 }, (_, n) => `{test-01234567.${n % 7}.${n % 16}}:producer:${n}`);
      await client.mset(...[...others, ...own].flatMap((key) => [key, "1"]));
      assert.equal(await removeKeys(redis.url, "test-01234567"), own.length);
      assert.deepEqual((await client.keys("*")).toSorted(), others.toSorted());
      assert.equal(await removeKeys(redis.url, "test-01234567"), 0);
      for (const pattern of ["", "*", "test-*", "{test-01234567", "test"])
        await assert.rejects(removeKeys(redis.url, pattern), /is no prefix/);
      assert.equal(await client.dbsize(), others.length);
    } finally {
      await redis.close();
    }
    await assert.rejects(removeKeys(redis.url, "test-01234567"), /ECONNREFUSED/);
  });
});

describe("a master with a replica", () => {
  test("what is written to the master reaches the replica, also after both were killed", async () => {
    const pair = await startReplicated();
    try {
      const { master, replicas } = pair;
      const replica = replicas[0]!;
      assert.equal(await master.client().set("frame", "1"), "OK");
      assert.equal(await master.client().wait(1, 5000), 1);
      assert.equal(await replica.client().get("frame"), "1");
      await assert.rejects(replica.client().set("frame", "2"), /READONLY/);
      await replica.kill();
      await master.restart();
      assert.equal(await master.client().set("frame", "2"), "OK");
      await replica.restart();
      await pair.linked();
      assert.equal(await master.client().wait(1, 5000), 1);
      assert.equal(await replica.client().get("frame"), "2");
    } finally {
      await pair.close();
    }
  });
});

describe("a cluster", () => {
  test("the replica of a killed master takes over, and the master comes back as its replica", async () => {
    const cluster = await startCluster();
    try {
      assert.equal(cluster.nodes.length, 6);
      assert.equal(cluster.url, `redis://${cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`);
      const master = await cluster.masterOf(0);
      const replica = await cluster.replicaOf(master);
      assert.notEqual(await cluster.masterOf(16_383), master);
      // Slot 3300 is the first master's.
      assert.equal(await master.client().cluster("KEYSLOT", "b"), 3300);
      assert.equal(await master.client().set("b", "1"), "OK");
      assert.equal(await master.client().wait(1, 5000), 1);
      await master.kill();
      assert.equal(await cluster.masterOf(0), replica);
      await cluster.settled();
      assert.equal(await replica.client().get("b"), "1");
      assert.equal(await replica.client().set("b", "2"), "OK");
      await master.restart();
      await cluster.settled();
      assert.equal(await cluster.replicaOf(replica), master);
      await master.client().readonly();
      assert.equal(await master.client().get("b"), "2");
    } finally {
      await cluster.close();
    }
  });
});
