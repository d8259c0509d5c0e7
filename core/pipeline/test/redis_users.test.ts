/**
 * Every role as its own user of the servers: both contracts hold, and beyond its own work nobody may do anything.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";
import { hasCode, recordingTelemetry, systemClock } from "ransomeye-kernel";
import { type Message, StreamName } from "../src/messages/message.ts";
import { openRedisMessages } from "../src/redis_streams/bus.ts";
import { BusKeys } from "../src/redis_streams/keys.ts";
import { MessageKeys } from "../src/redis_streams/message_keys.ts";
import { scripts } from "../src/redis_streams/scripts.ts";
import { Servers } from "../src/redis_streams/servers.ts";
import { type BusLogin, busUserName, busUsersFile, serversUser } from "../src/redis_streams/user_file.ts";
import { type BusRole, busRoles, roleRights } from "../src/redis_streams/user_rights.ts";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { busContract } from "./contract.ts";
import { messageContract } from "./message_contract.ts";
import { openRedisMessages as openSubject } from "./redis_messages_subject.ts";
import { local, openRedisSubject } from "./redis_subject.ts";

/** Nobody may, whoever he is. */
const forbidden: readonly (readonly [command: string, ...args: string[]])[] = [
  ["DEL", "KEY"],
  ["UNLINK", "KEY"],
  ["XDEL", "KEY", "1-0"],
  ["XSETID", "KEY", "1-0"],
  ["RENAME", "KEY", "KEY"],
  ["EXPIRE", "KEY", "1"],
  ["RESTORE", "KEY", "0", "x"],
  ["SET", "KEY", "x"],
  ["FLUSHALL"],
  ["FLUSHDB"],
  ["SWAPDB", "0", "1"],
  ["CONFIG", "SET", "appendfsync", "no"],
  ["CONFIG", "REWRITE"],
  ["SHUTDOWN", "NOSAVE"],
  ["DEBUG", "SLEEP", "0"],
  ["KEYS", "*"],
  ["SCAN", "0"],
  ["RANDOMKEY"],
  ["MONITOR"],
  ["ACL", "SETUSER", "x"],
  ["ACL", "LIST"],
  ["SCRIPT", "FLUSH"],
  ["FUNCTION", "FLUSH"],
  ["REPLICAOF", "NO", "ONE"],
  ["CLUSTER", "RESET"],
  ["CLIENT", "KILL", "TYPE", "normal"],
  ["BGREWRITEAOF"],
  ["SELECT", "1"],
  ["PSYNC", "?", "-1"],
];

const streams = Object.values(StreamName);
let server: TestRedis;

/** Makes the users of a prefix, as the servers' file would. */
async function makeUsers(prefix: string): Promise<(role: BusRole) => BusLogin> {
  const passwords = Object.fromEntries(busRoles.map((role) => [role, randomBytes(16).toString("base64url")]));
  const lines = busUsersFile({ prefix, level: "local" }, passwords).trimEnd().split("\n");
  for (const line of lines) {
    const [, name = "", ...rules] = line.split(" ");
    // The default user is the tests' own hand here; that it is off is for the server that reads the file (core/tests, deploy).
    if (name !== "default") await server.client().call("ACL", "SETUSER", name, "reset", ...rules);
  }
  return (role) => ({ role, password: passwords[role] as string });
}

async function withRole(prefix: string, { role, password }: BusLogin, work: (client: Redis) => Promise<void>): Promise<void> {
  const client = new Redis({
    host: server.host,
    port: server.port,
    username: busUserName(prefix, role),
    password,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    protocol: 2,
    disableClientInfo: true,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await work(client);
  } finally {
    client.disconnect();
  }
}

/** Also inside a script: that is where a role may name keys that it may not touch. */
async function refuses(client: Redis, [command, ...args]: readonly string[], who: string): Promise<void> {
  await assert.rejects(client.call(command as string, ...args), /^ReplyError: NOPERM/, `${who}: ${command} ${args.join(" ")}`);
  const [key = "", ...rest] = args;
  const script = "return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))";
  await assert.rejects(
    client.call("EVAL", script, "1", key, command as string, ...rest),
    /NOPERM|can't run this command|can't access at least one of the keys/,
    `${who}, in a script: ${command} ${args.join(" ")}`,
  );
}

describe("users of one server", () => {
  before(async () => {
    server = await startRedis();
  });
  after(() => server.close());

  busContract("redis, every role as its own user", (options) => openRedisSubject(server.url, local, { ...options, users: makeUsers }));
  messageContract("redis, every role as its own user", (options = {}) =>
    openSubject({ url: server.url, durability: local }, options, makeUsers),
  );

  test("EB-16 no user may remove keys, flush, configure, stop or debug a server", async () => {
    const prefix = `users${process.pid}.1`;
    const loginOf = await makeUsers(prefix);
    const keys = new BusKeys(prefix);
    await server.client().xadd(keys.log(0), "1-0", "t", "1");
    for (const role of busRoles)
      await withRole(prefix, loginOf(role), async (client) => {
        for (const [command, ...args] of forbidden) {
          const call = [command, ...args.map((arg) => (arg === "KEY" ? keys.log(0) : arg))];
          await assert.rejects(client.call(call[0] as string, ...call.slice(1)), /^ReplyError: NOPERM/, `${role}: ${call.join(" ")}`);
        }
      });
    assert.equal(await server.client().xlen(keys.log(0)), 1);
  });

  test("EB-16 only the keeper trims", async () => {
    const prefix = `users${process.pid}.2`;
    const loginOf = await makeUsers(prefix);
    const logs = [new BusKeys(prefix).log(12), ...streams.map((stream) => new MessageKeys(prefix).log(stream, 2))];
    for (const log of logs) for (const id of ["1-0", "2-0"]) await server.client().xadd(log, id, "t", "1");
    for (const role of busRoles.filter((role) => role !== "keeper"))
      await withRole(prefix, loginOf(role), async (client) => {
        for (const log of logs) await refuses(client, ["XTRIM", log, "MINID", "2-0"], role);
      });
    for (const log of logs) assert.equal(await server.client().xlen(log), 2);
    await withRole(prefix, loginOf("keeper"), async (client) => {
      for (const log of logs) assert.equal(await client.call("XTRIM", log, "MINID", "2-0"), 1);
    });
  });

  test("EB-16 the gateway publishes no message, and whoever takes messages writes nothing of the log and forges no attack", async () => {
    const prefix = `users${process.pid}.3`;
    const loginOf = await makeUsers(prefix);
    const bus = new BusKeys(prefix);
    const messages = new MessageKeys(prefix);
    const producer = bus.producer(3, "00000000-0000-4000-8000-000000000001");
    await withRole(prefix, loginOf("gateway"), async (client) => {
      for (const stream of streams)
        for (const key of [...messages.logs(stream), messages.ends(stream), messages.ids(stream)]) {
          await refuses(client, ["XADD", key, "1-0", "t", "1"], "gateway");
          await refuses(client, ["HSET", key, "a", "b"], "gateway");
          await refuses(client, ["SADD", key, "a"], "gateway");
        }
      assert.equal(await client.call("XADD", bus.log(3), "1-0", "t", "1"), "1-0");
      await refuses(client, ["SADD", bus.revoked(3), "x"], "gateway");
    });
    for (const role of ["consumer", "operator"] as const)
      await withRole(prefix, loginOf(role), async (client) => {
        /** What `ransomeye reconcile` reads. */
        const asked = role === "operator" ? [bus.log(3), bus.partitionState(3), bus.state] : [];
        for (const key of [
          bus.log(3),
          bus.partitionState(3),
          bus.revoked(3),
          producer,
          bus.producers(3),
          bus.state,
          bus.group("g"),
          bus.floors,
        ]) {
          await refuses(client, ["XADD", key, "9-0", "t", "1"], role);
          await refuses(client, ["HSET", key, "a", "b"], role);
          await refuses(client, ["SADD", key, "a"], role);
          if (!asked.includes(key)) await refuses(client, ["HGET", key, "a"], role);
        }
      });
    await withRole(prefix, loginOf("consumer"), async (client) => {
      await refuses(client, ["XADD", messages.log(StreamName.attacks, 4), "1-0", "t", "1"], "consumer");
      assert.equal(await client.call("XADD", messages.log(StreamName.alerts, 4), "1-0", "t", "1"), "1-0");
    });
    await withRole(prefix, loginOf("engine"), async (client) => {
      for (const key of [bus.log(3), messages.log(StreamName.alerts, 4)]) await refuses(client, ["XADD", key, "9-0", "t", "1"], "engine");
      await refuses(client, ["HSET", bus.partitionState(3), "off", "0"], "engine");
    });
  });

  test("EB-16 EB-7 a consumer that finds a stream full is told so, and has room again when the keeper has trimmed", async () => {
    const prefix = `users${process.pid}.4`;
    const loginOf = await makeUsers(prefix);
    const how = {
      url: server.url,
      prefix,
      durability: local,
      clock: systemClock,
      telemetry: recordingTelemetry(),
      entriesMax: 4,
      entriesUnreadMax: 4,
    };
    const consumer = await openRedisMessages({ ...how, login: loginOf("consumer") });
    const keeper = await openRedisMessages({ ...how, login: loginOf("keeper"), trims: true, entriesMax: 3 });
    const alert = (number: number): Message => ({
      message_id: `00000000-0000-4000-8000-00000000000${number}`,
      stream: StreamName.alerts,
      payload: {},
      priority: 2,
      timestamp: "2026-01-05T10:00:00.000Z",
      producer_id: "test",
      retry_count: 0,
    });
    const publish = async (number: number): Promise<string | undefined> => (await consumer.publish([alert(number)]))[0]?.kind;
    for (const number of [1, 2, 3, 4]) assert.equal(await publish(number), "published");
    assert.equal(await publish(5), "full");
    assert.equal(await keeper.trim(StreamName.alerts), 1);
    assert.equal(await publish(5), "published");
    await assert.rejects(consumer.trim(StreamName.alerts), (error: unknown) => hasCode(error, "BUS_FORBIDDEN"));
    await consumer.close();
    await keeper.close();
  });

  test("EB-16 users that are not of this release and durability are noticed before anything is sent, and while one is connected", async () => {
    const prefix = `users${process.pid}.5`;
    const loginOf = await makeUsers(prefix);
    const how = { url: server.url, prefix, clock: systemClock, telemetry: recordingTelemetry(), login: loginOf("consumer") };
    const refusal = (error: unknown): boolean => hasCode(error, "BUS_FORBIDDEN") && /ransomeye bus acl/.test(String(error));
    await assert.rejects(openRedisMessages({ ...how, durability: { level: "replicated", replicas: 1, waitMs: 100 } }), refusal);
    const servers = new Servers({ url: server.url, durability: local, clock: systemClock, user: serversUser(prefix, how.login, "local") });
    await servers.open();
    assert.equal(await servers.check(), null);
    // As a file of an older release would have it: all rights but one, and so another mark.
    const [mine = ""] = ((await server.client().call("ACL", "LIST")) as string[]).filter((line) =>
      line.startsWith(`user ${prefix}-consumer `),
    );
    const [, name = "", ...rules] = mine
      .replace(/:rights:\w+/, ":rights:0123456789abcdef")
      .replace("+zremrangebyrank", "+zcard")
      .split(" ");
    await server.client().call("ACL", "SETUSER", name, "reset", ...rules);
    await assert.rejects(servers.check(), refusal);
    servers.close();
    await assert.rejects(openRedisMessages({ ...how, durability: local }), refusal);
  });

  test("EB-16 users see keys of their own prefix only, also where another one begins with it", async () => {
    const prefix = `users${process.pid}`;
    const loginOf = await makeUsers(prefix);
    for (const other of [`${prefix}.2`, `${prefix}x`, "another"])
      for (const role of busRoles)
        await withRole(prefix, loginOf(role), async (client) => {
          for (const key of [
            new BusKeys(other).partitionState(0),
            new BusKeys(other).state,
            new MessageKeys(other).ends(StreamName.alerts),
          ]) {
            await refuses(client, ["HGET", key, "a"], role);
            await refuses(client, ["HSET", key, "a", "b"], role);
          }
        });
  });

  test("EB-16 no role has a command that neither its scripts nor its calls use", () => {
    /** What a role sends beside its scripts. */
    const sent: Readonly<Record<BusRole, readonly string[]>> = {
      gateway: ["hget", "hmget", "hset", "smembers"],
      engine: ["hget", "hmget"],
      keeper: ["hget", "hmget", "hset", "sadd", "smembers", "hvals", "hdel"],
      registry: ["hget", "hmget"],
      consumer: ["smembers", "hmget", "hgetall", "hlen", "xrange"],
      operator: ["xrange", "smembers", "hmget", "hgetall", "hlen", "hget"],
    };
    for (const role of busRoles) {
      const called = roleRights[role].scripts.flatMap((name) => calledBy(scripts[name].text));
      const granted = new Set(roleRights[role].rights.flatMap(({ commands }) => commands));
      const used = new Set([...called, ...sent[role]]);
      for (const command of granted) assert.ok(used.has(command), `${role} may ${command}, and nothing of it does`);
    }
  });
});

/** Commands that a script's text calls. */
function calledBy(text: string): string[] {
  const direct = [...text.matchAll(/redis\.p?call\('([A-Z]+)'/g), ...text.matchAll(/call_with\('([A-Z]+)'/g)];
  return direct.map(([, name = ""]) => name.toLowerCase());
}
