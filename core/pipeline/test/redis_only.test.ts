/**
 * What only the bus on Redis does, on one server: it opens where a receipt would hold, says so when that ends, and outlives a full server.
 * Lost data stands in redis_loss.test.ts.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hasCode, recordingTelemetry } from "ransomeye-kernel";
import { busAppended } from "../src/events.ts";
import { openRedisAppender, openRedisBus, openRedisConsumer, openRedisControl, type RedisBusOptions } from "../src/redis_streams/bus.ts";
import { startRedis, type TestRedis } from "../src/testing.ts";
import { until } from "../src/testing/until.ts";
import { accept, kinds } from "./contract_tools.ts";
import { local } from "./redis_subject.ts";
import { assertStored, filled, freshOptions, infoOf, opened, prepare, refused, scriptsRun, withBus } from "./redis_tools.ts";
import { ask, how, keyId, openChain } from "./subject.ts";

const replicated = { level: "replicated", replicas: 0, waitMs: 1000 } as const;

/** Opens a bus and closes it again. */
async function opens(options: RedisBusOptions): Promise<void> {
  await (await openRedisBus(options)).close();
}

describe("opening (R-4)", () => {
  let server: TestRedis;
  let options: RedisBusOptions;
  before(async () => {
    server = await startRedis();
    options = freshOptions(server.url, local);
    (await prepare(options)).close();
  });
  after(() => server.close());

  const sound = {
    appendonly: "yes",
    appendfsync: "always",
    "no-appendfsync-on-rewrite": "no",
    maxmemory: "0",
    "maxmemory-policy": "noeviction",
  };
  const unsound = [
    [{ appendfsync: "everysec" }, "appendfsync is everysec"],
    [{ appendfsync: "no" }, "appendfsync is no"],
    [{ appendonly: "no" }, "appendonly is no"],
    [{ "no-appendfsync-on-rewrite": "yes" }, "no-appendfsync-on-rewrite is yes"],
    [{ "maxmemory-policy": "allkeys-lru", maxmemory: "1gb" }, "maxmemory-policy is allkeys-lru"],
    [{ appendfsync: "no", appendonly: "no" }, "appendonly is no, appendfsync is no"],
  ] as const;
  for (const [worse, named] of unsound) {
    test(`R-4 a server is refused whose ${named}, by name, unless the operator vouches for it`, async () => {
      await server.set(worse);
      try {
        for (const open of [openRedisBus, openRedisAppender, openRedisConsumer, openRedisControl, prepare])
          await assert.rejects(open(options), (error) => hasCode(error, "BUS_NOT_DURABLE") && error.fields["settings"] === named);
        await opens({ ...options, unverified: true });
      } finally {
        await server.set(sound);
      }
    });
  }

  test("R-4 what the operator vouches for takes frames, too", async () => {
    await server.set({ appendfsync: "everysec" });
    const bus = await openRedisBus({ ...options, unverified: true });
    try {
      assert.equal((await bus.pressure(ask(1))).paused, null);
      await filled(bus, 3);
    } finally {
      await bus.close();
      await server.set(sound);
    }
  });

  test("a bound on memory under which frames are never evicted is sound", async () => {
    for (const policy of ["noeviction", "volatile-lru", "volatile-ttl"]) {
      await server.set({ maxmemory: "1gb", "maxmemory-policy": policy });
      await opens(options);
    }
    await server.set(sound);
  });

  test("R-4 a server that does not tell its settings is refused for local durability, and good enough where replicas answer for it", async () => {
    await server.client().acl("SETUSER", "mute", "on", ">secret", "~*", "&*", "+@all", "-config");
    const mute = { ...options, url: server.url.replace("//", "//mute:secret@") };
    await assert.rejects(opens(mute), (error) => hasCode(error, "BUS_NOT_DURABLE") && /appendfsync cannot be read/.test(error.message));
    await opens({ ...mute, unverified: true });
    await opens({ ...mute, durability: replicated });
  });

  test("R-12 who is not let in, or may not do its work, is forbidden, and no error tells a password", async () => {
    await server.client().acl("SETUSER", "narrow", "on", ">secret", "~other*", "&*", "+@all");
    await server.client().acl("SETUSER", "idle", "on", ">secret", "~*", "&*", "+@all", "-evalsha", "-eval");
    const as = (user: string): RedisBusOptions => ({ ...options, url: server.url.replace("//", `//${user}@`) });
    for (const user of ["narrow:hunter2", "nobody:hunter2"]) {
      const told = (error: unknown): boolean => hasCode(error, "BUS_FORBIDDEN") && !`${error.message}${error.stack}`.includes("hunter2");
      await assert.rejects(opens(as(user)), told, user);
    }
    await assert.rejects(opens(as("narrow:secret")), refused("BUS_FORBIDDEN", "NOPERM"));
    await assert.rejects(prepare(as("idle:secret")), refused("BUS_FORBIDDEN", "NOPERM"));
    const closed = await startRedis({ settings: { requirepass: "secret" } });
    try {
      await assert.rejects(opens({ ...options, url: closed.url }), refused("BUS_FORBIDDEN"));
      await assert.rejects(opens({ ...options, url: closed.url.replace("//", "//:secret@") }), refused("BUS_NOT_PREPARED"));
    } finally {
      await closed.close();
    }
  });

  test("where no bus stands, or one that was never finished, none is made in passing", async () => {
    const none = freshOptions(server.url, local);
    const keysBefore = await server.client().dbsize();
    for (const open of [openRedisBus, openRedisAppender, openRedisConsumer, openRedisControl])
      await assert.rejects(open(none), refused("BUS_NOT_PREPARED"));
    assert.equal(await server.client().dbsize(), keysBefore);
    const first = await prepare(none);
    first.close();
    await server.client().hset(`{${none.prefix}.bus}:state`, "prepared", "0");
    await server.client().del(`{${none.prefix}.3}:state`);
    await assert.rejects(openRedisBus(none), refused("BUS_NOT_PREPARED"));
    const second = await prepare(none);
    assert.equal(second.generation, first.generation, "an interrupted preparation goes on");
    second.close();
    await opens(none);
  });

  test("a bus that stands keeps its generation and its partitions when it is prepared again, also by several at once", async () => {
    const fresh = freshOptions(server.url, local);
    const all = await Promise.all(Array.from({ length: 4 }, () => prepare(fresh)));
    for (const one of all) one.close();
    assert.equal(new Set(all.map(({ generation }) => generation)).size, 1);
    assert.deepEqual([...new Set(all.map(({ partitions }) => partitions))], [16]);
  });
});

describe("a server that changes while it is used (R-4)", () => {
  let server: TestRedis;
  before(async () => {
    server = await startRedis();
  });
  after(() => server.close());

  test("R-4 a server whose settings become worse is found by the next look, and sent nothing until they are good again", () =>
    withBus(server.url, local, async ({ bus }) => {
      const { chain, part, frames } = await filled(bus, 2);
      await server.set({ appendfsync: "everysec" });
      assert.equal((await bus.pressure(ask(1))).paused, "not_durable");
      const third = chain.next(1);
      await server.client().config("RESETSTAT");
      const [outcome] = await bus.append(part, [third], how);
      assert.ok(outcome?.kind === "paused" && outcome.reason === "not_durable" && outcome.retryAfterMs > 0);
      assert.equal(await scriptsRun(server), 0);
      await server.set({ appendfsync: "always" });
      assert.equal((await bus.pressure(ask(1))).paused, null);
      await accept(bus, part, [third]);
      await assertStored(bus, part, [...frames, third]);
    }));

  test("R-4 a server that comes back with worse settings is looked at before anything is sent to it", () =>
    withBus(server.url, local, async ({ bus }) => {
      const { chain, part, frames } = await filled(bus, 2);
      await server.set({ appendfsync: "everysec" });
      await server.client().config("REWRITE");
      await server.restart();
      const third = chain.next(1);
      const outcome = await until("an answer of the new server", [server], async () => (await bus.append(part, [third], how))[0]);
      assert.ok(outcome.kind === "paused" && outcome.reason === "not_durable");
      assert.equal(await scriptsRun(server), 0);
      await assertStored(bus, part, frames);
      await server.set({ appendfsync: "always" });
      await server.client().config("REWRITE");
      await server.restart();
      await until("the server to be found good", [server], async () => (await bus.append(part, [third], how))[0]?.kind === "accepted");
    }));

  test("a server that was made a replica stores nothing, and is used again when it is the master", () =>
    withBus(server.url, local, async ({ bus }) => {
      const { chain, part, frames } = await filled(bus, 2);
      const stranger = await opened(bus);
      const third = chain.next(1);
      await server.client().replicaof("127.0.0.1", 1);
      try {
        await assert.rejects(bus.append(part, [third], how), refused("BUS_UNAVAILABLE", "READONLY"));
        await assert.rejects(openChain(bus, stranger.chain), refused("BUS_UNAVAILABLE", "READONLY"));
      } finally {
        await server.client().call("REPLICAOF", "NO", "ONE");
      }
      await assertStored(bus, part, frames);
      await accept(bus, part, [third]);
      await openChain(bus, stranger.chain);
    }));

  test("a server that loads its data refuses at once, and goes on with everything", () =>
    withBus(server.url, local, async ({ bus }) => {
      const { chain, part, frames } = await filled(bus, 2);
      const client = server.client();
      await Promise.all(Array.from({ length: 3000 }, (_, number) => client.set(`filler ${number}`, "x")));
      await server.set({ "key-load-delay": "100" });
      const stored = [...frames];
      let frame = chain.next(1);
      const loaded = client.call("DEBUG", "LOADAOF");
      const refusal = await until("the server to refuse", [server], async () => {
        try {
          await accept(bus, part, [frame]);
          stored.push(frame);
          frame = chain.next(1);
          return undefined;
        } catch (error) {
          return error;
        }
      });
      assert.ok(refused("BUS_UNAVAILABLE", "LOADING")(refusal), String(refusal));
      await loaded;
      await accept(bus, part, [frame]);
      await assertStored(bus, part, [...stored, frame]);
    }));

  test("R-4 who repeats a frame or an opening makes the server write, so that every version of it puts the barrier behind the answer", () =>
    withBus(server.url, local, async ({ bus, other }) => {
      const { chain, part, frames } = await filled(bus, 2);
      const request = { producer: chain.producer, expectedEpoch: 0, keyId, registryVersion: how.registryVersion };
      const written = async (): Promise<number> => Number((await infoOf(server, "persistence")).get("aof_current_size"));
      for (const repeat of [
        async () => kinds(await other.append(part, frames, how)),
        async () => kinds(await other.append((part + 1) % 16, frames.slice(0, 1), how)),
        async () => [(await other.openEpoch(request)).kind],
      ]) {
        const before = await written();
        for (const kind of await repeat()) assert.match(kind, /^(duplicate|conflict)$/);
        assert.ok((await written()) > before);
      }
      const before = await written();
      chain.next(1);
      assert.deepEqual(kinds(await other.append(part, [chain.next(1)], how)), ["gap"]);
      assert.equal(await written(), before, "the size of the file shows who writes");
    }));

  test("a server that has forgotten the scripts is told them again, and does the work once", () =>
    withBus(server.url, local, async ({ bus }) => {
      const { chain, part, frames } = await filled(bus, 2);
      await server.client().script("FLUSH");
      const more = Array.from({ length: 5 }, () => chain.next(1));
      await Promise.all(more.map((frame) => accept(bus, part, [frame])));
      await assertStored(bus, part, [...frames, ...more]);
    }));

  test("a server is told each script before it is asked for it, however much is sent at once", async () => {
    const fresh = await startRedis();
    await withBus(fresh.url, local, async ({ bus }) => {
      const { chain, part } = await filled(bus, 2);
      const more = Array.from({ length: 64 }, () => chain.next(1));
      await Promise.all(more.map((frame) => accept(bus, part, [frame])));
      const errors = await fresh.client().info("errorstats");
      assert.doesNotMatch(errors, /NOSCRIPT/);
    });
    await fresh.close();
  });

  test("a bus that was closed says so, and leaves no connection behind", () =>
    withBus(server.url, local, async ({ options }) => {
      const connected = async (): Promise<number> => String(await server.client().client("LIST")).split("name=ransomeye ").length - 1;
      const before = await connected();
      const bus = await openRedisBus(options);
      const { chain, part } = await filled(bus, 1);
      const last = bus.append(part, [chain.next(1)], how);
      await bus.close();
      assert.deepEqual(kinds(await last), ["accepted"], "what was on its way is answered");
      for (const question of [
        () => bus.append(part, [chain.next(1)], how),
        () => openChain(bus, chain),
        () => bus.tails(),
        () => bus.pressure(ask(1)),
        () => bus.acquire("group:a", "one", { leaseMs: 1000, partsMax: 1, held: [] }),
      ])
        await assert.rejects(question(), refused("BUS_CLOSED"));
      await until("the connection to be gone", [server], async () => (await connected()) === before);
    }));

  test("appends that wait for the same partition leave in one call", () =>
    withBus(server.url, local, async ({ options, bus }) => {
      const telemetry = recordingTelemetry();
      const gate = await openRedisAppender({ ...options, telemetry });
      const { chain, part } = await opened(bus);
      await gate.pressure(ask(1));
      server.stop();
      const all = Array.from({ length: 21 }, () => gate.append(part, [chain.next(1)], how));
      server.go();
      assert.deepEqual(kinds((await Promise.all(all)).flat()), Array(21).fill("accepted"));
      const calls = telemetry.events.filter(({ name }) => name === busAppended.name).map(({ fields }) => fields["frames"]);
      assert.deepEqual(calls, [1, 20]);
      await gate.close();
    }));
});
