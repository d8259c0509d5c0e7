/**
 * Servers that have WAITAOF, as a scripted server plays them: no receipt before master and replicas have flushed, and never less without a word.
 * On real servers it is shown where somebody has some (core/docs/bus.md).
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { busConfirmation } from "../src/events.ts";
import { prepareRedisBus } from "../src/redis_streams/bus.ts";
import { slotOf } from "../src/redis_streams/slot.ts";
import { scripts } from "../src/redis_streams/scripts.ts";
import type { Durability } from "../src/redis_streams/server_facts.ts";
import { Servers, type ServersOptions } from "../src/redis_streams/servers.ts";
import { until } from "../src/testing/until.ts";
import { settings } from "./redis_subject.ts";
import { refused } from "./redis_tools.ts";
import { type Answer, type Script, ScriptedServer } from "./scripted_server.ts";

const replicated: Durability = { level: "replicated", replicas: 2, waitMs: 300 };
const key = "{test.0}:state";
const change = [{ script: scripts.barrier, keys: [key], args: [] }];
const replicas = { slave1: "ip=127.0.0.1,port=2,state=online,offset=14,lag=0" };
const notOnReplicas = new Error("ERR WAITAOF cannot be used with replica instances.");

const opened: { close(): unknown }[] = [];
after(async () => {
  for (const one of opened.toReversed()) await one.close();
});

/** A server that has the command; `flushed` are the master's and the replicas' flushes that it counts. */
const having =
  (flushed: Answer): Script =>
  ([name, master]) =>
    name === "waitaof" ? (master === "0" ? [0, 0] : flushed) : name === "wait" ? 2 : undefined;

/** One that has only the older one. */
const lacking =
  (received: number): Script =>
  ([name]) =>
    name === "wait" ? received : undefined;

async function start(script: Script, info: Readonly<Record<string, string>> = replicas): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(script, info);
  opened.push(server);
  return server;
}

interface Opened {
  readonly servers: Servers;
  /** What was told of confirmations, by server. */
  readonly told: () => (readonly unknown[])[];
}

async function open(url: string, changed: Partial<ServersOptions> = {}): Promise<Opened> {
  const telemetry = recordingTelemetry();
  const servers = new Servers({ url, durability: replicated, clock: systemClock, telemetry, ...changed });
  opened.push(servers);
  await servers.open();
  const told = (): (readonly unknown[])[] =>
    telemetry.events.filter(({ name }) => name === busConfirmation.name).map(({ fields }) => [fields["server"], fields["confirms"]]);
  return { servers, told };
}

/** A script is sent in full the first time. */
const isScript = ([name]: readonly string[]): boolean => name === "eval" || name === "evalsha";

/** The changes and what waits for them, as the server was asked, without the looks. */
const order = (server: ScriptedServer): string[] =>
  server
    .askedBy("eval", "evalsha", "wait", "waitaof")
    .filter(({ words }) => words.join(" ") !== "waitaof 0 0 1")
    .map(({ words }) => (isScript(words) ? "script" : words.join(" ")));

describe("a server that has WAITAOF", () => {
  test("EB-23 R-4 a change is answered behind the flushes of master and replicas, asked for on its own connection", async () => {
    const server = await start(having([1, 2]));
    const { servers, told } = await open(server.url);
    assert.equal((await servers.change(key, change)).length, 1);
    assert.equal((await servers.readConfirmed(key, [{ command: ["HMGET", key, "end"] }])).length, 1);
    assert.deepEqual(order(server), ["script", "waitaof 1 2 300", "script", "waitaof 1 2 300"]);
    assert.equal(new Set(server.askedBy("eval", "evalsha", "waitaof").map(({ connection }) => connection)).size, 1);
    assert.deepEqual(told(), [[server.address, "flushed"]]);
    assert.equal(await servers.check(), null);
  });

  for (const [what, flushed] of [
    ["one replica too few", [1, 1]],
    ["the master's own missing", [0, 2]],
  ] as const)
    test(`EB-23 R-4 with ${what} there is no receipt, and nothing weaker in its place`, async () => {
      const server = await start(having(flushed));
      const { servers } = await open(server.url);
      await assert.rejects(servers.change(key, change), refused("BUS_OUTCOME_UNKNOWN"));
      await assert.rejects(servers.readConfirmed(key, []), refused("BUS_UNAVAILABLE"));
      assert.deepEqual(server.askedBy("wait"), []);
      assert.equal(await servers.check(), "not_flushed", "nothing is sent to it");
      server.script = having([1, 2]);
      assert.equal(await servers.check(), null, "until it has flushed what it was sent last");
      assert.equal((await servers.change(key, change)).length, 1);
    });

  test("EB-23 R-4 a start on replicas that flush nothing is refused", async () => {
    const server = await start(having([1, 0]));
    const options = { url: server.url, prefix: "test", durability: replicated, clock: systemClock, telemetry: recordingTelemetry() };
    await assert.rejects(prepareRedisBus({ ...options, random: systemRandom, settings }), (error: Error) => {
      assert.match(error.message, /0 of 2 replicas have flushed it .* without appendonly/);
      return refused("BUS_NOT_DURABLE")(error);
    });
  });

  test("EB-23 R-4 users that may not ask for it are refused, and no weaker promise is made in its place", async () => {
    const may = having([1, 2]);
    const server = await start((words) => (words[0] === "waitaof" ? new Error("NOPERM no permissions") : may(words)));
    await assert.rejects(open(server.url), refused("BUS_FORBIDDEN"));
    assert.deepEqual(server.askedBy("eval", "evalsha", "wait"), []);
    const { servers, told } = await open(server.url, { unverified: true });
    assert.equal((await servers.change(key, change)).length, 1, "the operator has said that it may promise more than it keeps");
    assert.deepEqual(order(server), ["script", "wait 2 300"]);
    assert.deepEqual(told(), [[server.address, "received"]]);
  });

  test("EB-23 R-4 a master that refuses to confirm leaves the outcome unknown", async () => {
    const server = await start(having(new Error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")));
    const { servers } = await open(server.url);
    await assert.rejects(servers.change(key, change), refused("BUS_OUTCOME_UNKNOWN"));
    await assert.rejects(servers.readConfirmed(key, []), refused("BUS_UNAVAILABLE"));
  });

  test("EB-23 R-4 a replica that becomes master on the same connection is asked anew what it confirms", async () => {
    const server = await start(([name]) => (name === "waitaof" ? notOnReplicas : undefined), { ...replicas, role: "slave" });
    const { servers, told } = await open(server.url);
    assert.deepEqual(told(), []);
    server.info = { ...server.info, role: "master" };
    server.script = having([1, 2]);
    assert.equal((await servers.change(key, change)).length, 1);
    assert.deepEqual(order(server), ["script", "waitaof 1 2 300"]);
    assert.deepEqual(told(), [[server.address, "flushed"]]);
  });
});

describe("a server that has only WAIT", () => {
  test("EB-23 R-4 a change is answered behind what replicas have received, and that it is no more is told", async () => {
    const server = await start(lacking(2), { ...replicas, redis_version: "7.0.15" });
    const { servers, told } = await open(server.url);
    assert.equal((await servers.change(key, change)).length, 1);
    assert.deepEqual(order(server), ["script", "wait 2 300"]);
    assert.deepEqual(told(), [[server.address, "received"]]);
    server.script = lacking(1);
    await assert.rejects(servers.change(key, change), refused("BUS_OUTCOME_UNKNOWN"));
    assert.equal(await servers.check(), null);
  });

  test("EB-23 R-4 no version is taken for the command: what the server says of itself may be another's number", async () => {
    const server = await start(lacking(2), { ...replicas, redis_version: "7.4.0" });
    const { servers } = await open(server.url);
    await servers.change(key, change);
    assert.deepEqual(order(server), ["script", "wait 2 300"]);
  });

  test("EB-23 R-4 what comes back in its place after a restart is asked anew", async () => {
    const server = await start(having([1, 2]));
    const { servers, told } = await open(server.url);
    await servers.change(key, change);
    server.script = lacking(2);
    server.cut();
    await until("the server to be back", [], async () => (await servers.change(key, change)).length === 1);
    assert.deepEqual(order(server), ["script", "waitaof 1 2 300", "script", "wait 2 300"]);
    assert.deepEqual(told(), [
      [server.address, "flushed"],
      [server.address, "received"],
    ]);
  });
});

test("EB-23 R-4 in a cluster of servers of two kinds a change that is sent on is confirmed as its new master can", async () => {
  const cluster = { ...replicas, cluster_enabled: "1" };
  const [target, home] = [await start(lacking(2), cluster), await start(having([1, 2]), cluster)];
  const [host, port] = home.address.split(":") as [string, string];
  const slots: Answer = [[0, 16_383, [host, Number(port), "id"]]];
  const settled = having([1, 2]);
  home.script = (words) => {
    if (words[0] === "cluster") return slots;
    return isScript(words) ? new Error(`MOVED ${slotOf(key)} ${target.address}`) : settled(words);
  };
  const { servers, told } = await open(home.url);
  await until("the way to the new master", [], async () => (await servers.change(key, change)).length === 1);
  assert.deepEqual(order(target), ["script", "wait 2 300"]);
  assert.deepEqual(told(), [
    [home.address, "flushed"],
    [target.address, "received"],
  ]);
});
