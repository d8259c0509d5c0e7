/**
 * The message contract on a Redis server, or on those of BUS_URL.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hasCode } from "ransomeye-kernel";
import { deadLetterOf } from "../src/messages/dead_letter.ts";
import { type ContractServers, contractServers, contractServersName, startRedis } from "../src/testing.ts";
import { messageContract } from "./message_contract.ts";
import { poisonAmongMany } from "./poison.ts";
import { attack, attacks, leaseMs, nameOf, take } from "./message_subject.ts";
import { openRedisMessages } from "./redis_messages_subject.ts";
import { local } from "./redis_subject.ts";

describe(contractServersName(), () => {
  let servers: ContractServers;
  before(async () => {
    servers = await contractServers();
  });
  after(() => servers.close());
  messageContract("redis", (options = {}) => openRedisMessages(servers, options));

  test("BUS-7 a poison message among 100,000 on a server", async () => {
    const { log, close } = await openRedisMessages(servers, { entriesHotMax: 200_000 });
    await poisonAmongMany(log);
    await close();
  });
});

test("BUS-6 a server that knows one script of two that are sent together hands nothing out twice", async () => {
  const server = await startRedis();
  const { log, other, close } = await openRedisMessages({ url: server.url, durability: local }, {});
  await log.publish(["a", "b", "c"].map((name) => attack(name)));
  const [first] = (await take(log, "group:forgetful", 1)).deliveries;
  assert.ok(first !== undefined);
  await server.client().script("FLUSH");
  // Another member's take is known to it again, our settlement is not.
  await take(other, "group:other", 1);
  const [ending, taken] = await Promise.all([
    log.settle(first, { kind: "done" }),
    log.take(attacks, "group:forgetful", "one", { max: 10, leaseMs }),
  ]);
  assert.equal(ending, "settled");
  assert.deepEqual(taken.deliveries.map(nameOf), ["b", "c"]);
  assert.equal((await log.groups(attacks)).find(({ group }) => group === "group:forgetful")?.pending, 2);
  await close();
  await server.close();
});

test("behind a message that somebody has added nothing of that priority is stored, the others are, and it goes on when that is removed", async () => {
  const server = await startRedis();
  const { log, close } = await openRedisMessages({ url: server.url, durability: local }, {});
  const client = server.client();
  await log.publish([attack("a")]);
  const [key = ""] = await client.keys("*stream:attacks:2");
  const foreign = (await client.xadd(key, "*", "not", "ours")) ?? "";
  const [urgent, normal] = [attack("urgent", 4), attack("normal")];
  const said = await Promise.allSettled([log.publish([normal]), log.publish([urgent])]);
  assert.deepEqual(
    said.map(({ status }) => status),
    ["rejected", "fulfilled"],
  );
  await assert.rejects(
    log.publish([normal]),
    (error: unknown) => hasCode(error, "BUS_CORRUPT") && error.message.includes(`XSETID ${key} 1-0`),
  );
  assert.deepEqual((await take(log, "group:all", 10)).deliveries.map(nameOf), ["urgent", "a"]);
  await client.xdel(key, foreign);
  await client.call("XSETID", key, "1-0");
  assert.deepEqual(await log.publish([normal, urgent]), [{ kind: "published", off: 2 }, { kind: "duplicate" }]);
  assert.deepEqual((await take(log, "group:all", 10)).deliveries.map(nameOf), ["normal"]);
  await close();
  await server.close();
});

test("R-11 a dead letter for which there is no place leaves its message where it is", async () => {
  const server = await startRedis();
  const { log, close } = await openRedisMessages({ url: server.url, durability: local }, {});
  const client = server.client();
  await log.publish([attack("poison")]);
  const [delivery] = (await take(log, "group:all", 1)).deliveries;
  assert.ok(delivery !== undefined);
  const letter = deadLetterOf(delivery, "given up", { member: "one", nowUs: 0 });
  assert.equal((await log.publish([{ ...letter, message_id: attack("other").message_id }]))[0]?.kind, "published");
  const [key = ""] = await client.keys(`*stream:dead_letter:${letter.priority}`);
  const foreign = (await client.xadd(key, "*", "not", "ours")) ?? "";
  await assert.rejects(log.bury(delivery, letter), (error: unknown) => hasCode(error, "BUS_CORRUPT"));
  await client.xdel(key, foreign);
  await client.call("XSETID", key, "1-0");
  assert.equal(await log.bury(delivery, letter), "settled");
  await close();
  await server.close();
});

test("EB-7 a gap that somebody made in the middle is told once, and what lies beyond it is handed out", async () => {
  const server = await startRedis();
  const { log, close } = await openRedisMessages({ url: server.url, durability: local }, {});
  await log.publish(Array.from({ length: 10 }, (_, index) => attack(`${index + 1}`)));
  const client = server.client();
  const [key] = await client.keys("*stream:attacks:2");
  await client.xdel(key ?? "", "1-0", "4-0", "5-0", "10-0");
  const seen: string[] = [];
  const gaps: unknown[] = [];
  for (let tries = 0; tries < 4; tries++) {
    const { deliveries, missing } = await take(log, "group:gap", 10);
    seen.push(...deliveries.map(nameOf));
    gaps.push(...missing.map(({ fromOff, toOff }) => [fromOff, toOff]));
  }
  assert.deepEqual(seen, ["2", "3", "6", "7", "8", "9"]);
  assert.deepEqual(gaps, [
    [1, 1],
    [4, 5],
    [10, 10],
  ]);
  const status = (await log.groups(attacks)).find(({ group }) => group === "group:gap");
  assert.deepEqual([status?.missing, status?.waiting, status?.pending], [4, [0, 0, 0, 0], 6]);
  await close();
  await server.close();
});
