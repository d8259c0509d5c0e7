/**
 * The parts of the bus on Redis that ask no server: addresses, the look at a server, errors, the layout of entries, answers, keys.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hasCode } from "ransomeye-kernel";
import type { FrameAppend, FrameKind, ProducerKind } from "../src/bus.ts";
import { BusError } from "../src/errors.ts";
import { addressOf, parseServers } from "../src/redis_streams/address.ts";
import { accepterOf, decodeEntry, encodeMeta, offsetOf, placeOf } from "../src/redis_streams/entry.ts";
import { busFailure, serverWord } from "../src/redis_streams/failures.ts";
import { BusKeys } from "../src/redis_streams/keys.ts";
import { slotOf } from "../src/redis_streams/slot.ts";
import { bytesOf, listOf, numberOf, type Reply, textOf } from "../src/redis_streams/replies.ts";
import { type Durability, pausedBy, readFacts, type ServerFacts, undurable } from "../src/redis_streams/server_facts.ts";
import { producerId, sha256 } from "../src/testing/frames.ts";
import { refused } from "./redis_tools.ts";

describe("addresses", () => {
  const good: Record<string, unknown[]> = {
    "redis://localhost": [{ host: "localhost", port: 6379 }],
    "redis://10.0.0.1:7000": [{ host: "10.0.0.1", port: 7000 }],
    "redis://a:1,b,[fe80::1]:65535": [
      { host: "a", port: 1 },
      { host: "b", port: 6379 },
      { host: "fe80::1", port: 65_535 },
    ],
    "redis://gate:s%3Ae%40c%2Fr@h:1,i:2/7": [
      { username: "gate", password: "s:e@c/r", db: 7, host: "h", port: 1 },
      { username: "gate", password: "s:e@c/r", db: 7, host: "i", port: 2 },
    ],
    "redis://:secret@h": [{ password: "secret", host: "h", port: 6379 }],
    "redis://gate@h/": [{ username: "gate", host: "h", port: 6379 }],
    "rediss://h:1": [{ tls: {}, host: "h", port: 1 }],
    "redis+unix:///run/redis%20bus.sock": [{ path: "/run/redis bus.sock" }],
  };
  for (const [url, servers] of Object.entries(good)) test(`${url} is understood`, () => assert.deepEqual(parseServers(url), servers));

  const bad = [
    "",
    "localhost",
    "http://h:1",
    "redis://",
    "redis://h:0",
    "redis://h:65536",
    "redis://h:x",
    "redis://h:",
    "redis://a:1,",
    "redis://a:1,,b:2",
    "redis://h:1/x",
    "redis://h:1/0/1",
    "redis://h:1?x=1",
    "redis://[fe80::1:1",
    "redis+unix://",
    "redis+unix://relative",
    "redis+unix:///%zz",
  ];
  for (const url of bad) test(`"${url}" is refused`, () => assert.throws(() => parseServers(url), refused("BUS_BAD_ARGUMENT")));

  test("no error tells a password, however it was miswritten", () => {
    const told = (url: string): string => {
      try {
        return parseServers(url).map(addressOf).join(",");
      } catch (error) {
        assert.ok(hasCode(error, "BUS_BAD_ARGUMENT"), url);
        return `${error.message} ${error.stack} ${JSON.stringify(error.fields)}`;
      }
    };
    assert.ok(!told("redis://gate:hunter2").includes("hunter2"), "an address that is missing");
    for (const password of [
      "hunter2:x",
      "x:hunter2",
      "hun@hunter2",
      "hunter2@x",
      "hunter2/x",
      "x/hunter2",
      "hunter2?x",
      "hunter2#x",
      "hunter2%zz",
    ])
      for (const user of ["gate", ""]) assert.ok(!told(`redis://${user}:${password}@host:1`).includes("hunter2"), password);
  });

  test("a server is shown by its address alone", () => {
    assert.deepEqual(parseServers("redis://u:p@h:1,[::1]:2").map(addressOf), ["h:1", "::1:2"]);
    assert.deepEqual(parseServers("redis+unix:///run/r.sock").map(addressOf), ["/run/r.sock"]);
  });
});

/** As `INFO` says it, with what a test changes. */
function infoText(changed: Readonly<Record<string, string>> = {}): string {
  const said = {
    redis_version: "7.0.15",
    redis_mode: "standalone",
    used_memory: "1000000",
    used_memory_human: "976.56K",
    maxmemory: "0",
    maxmemory_policy: "noeviction",
    loading: "0",
    aof_enabled: "1",
    aof_last_write_status: "ok",
    role: "master",
    connected_slaves: "0",
    cluster_enabled: "0",
    ...changed,
  };
  return `# Server\r\n${Object.entries(said)
    .map(([name, value]) => `${name}:${value}`)
    .join("\r\n")}\r\n\r\n# Keyspace\r\n`;
}

const always = ["appendfsync", "always", "no-appendfsync-on-rewrite", "no"];
const facts = (changed: Readonly<Record<string, string>> = {}, config = always): ServerFacts => readFacts(infoText(changed), config);
const local: Durability = { level: "local" };
const replicated: Durability = { level: "replicated", replicas: 1, waitMs: 1000 };
const online = (port: number, state = "online"): string => `ip=127.0.0.1,port=${port},state=${state},offset=14,lag=0`;

describe("the look at a server (R-4)", () => {
  test("what a server of each kind says is read", () => {
    assert.deepEqual(facts({ maxmemory: "5", maxmemory_policy: "allkeys-lru", slave0: online(1), slave1: online(2, "wait_bgsave") }), {
      version: "7.0.15",
      isMaster: true,
      isCluster: false,
      appendOnly: true,
      appendFsync: "always",
      fsyncPausedByRewrite: false,
      aofWriteOk: true,
      usedBytes: 1_000_000,
      bytesMax: 5,
      evictionPolicy: "allkeys-lru",
      replicasOnline: 1,
    });
    const valkey = facts({ redis_version: "7.2.4", server_name: "valkey", valkey_version: "8.1.1", cluster_enabled: "1", role: "slave" });
    assert.deepEqual([valkey.version, valkey.isCluster, valkey.isMaster], ["8.1.1", true, false]);
    const old = facts({ redis_version: "6.2.14", slave0: online(1), slave10: online(2) }, []);
    assert.deepEqual([old.version, old.replicasOnline, old.appendFsync, old.fsyncPausedByRewrite], ["6.2.14", 2, null, null]);
  });

  test("R-4 a server that says nothing is not trusted", () => {
    const silent = readFacts("", []);
    assert.deepEqual([silent.isMaster, silent.appendOnly, silent.replicasOnline], [false, false, 0]);
    assert.deepEqual(undurable(silent, replicated), ["appendonly is no"]);
    assert.equal(pausedBy(silent, local), "not_durable");
  });

  const cases: readonly [what: string, found: ServerFacts, local: string[], replicated: string[]][] = [
    ["all is well", facts(), [], []],
    ["no append-only file", facts({ aof_enabled: "0" }), ["appendonly is no"], ["appendonly is no"]],
    ["a flush every second", facts({}, ["appendfsync", "everysec", ...always.slice(2)]), ["appendfsync is everysec"], []],
    [
      "no flush during rewrites",
      facts({}, [...always.slice(0, 2), "no-appendfsync-on-rewrite", "yes"]),
      ["no-appendfsync-on-rewrite is yes"],
      [],
    ],
    ["settings untold", facts({}, []), ["appendfsync cannot be read (CONFIG GET is forbidden)"], []],
    [
      "eviction of any key",
      facts({ maxmemory: "9", maxmemory_policy: "allkeys-random" }),
      ["maxmemory-policy is allkeys-random"],
      ["maxmemory-policy is allkeys-random"],
    ],
    ["eviction without a bound", facts({ maxmemory_policy: "allkeys-lru" }), [], []],
    ["eviction of what expires", facts({ maxmemory: "9000000", maxmemory_policy: "volatile-ttl" }), [], []],
  ];
  for (const [what, found, ifLocal, ifReplicated] of cases)
    test(`R-4 undurable is named: ${what}`, () => {
      assert.deepEqual(undurable(found, local), ifLocal);
      assert.deepEqual(undurable(found, replicated), ifReplicated);
      assert.equal(pausedBy({ ...found, usedBytes: 0, replicasOnline: 1 }, local), ifLocal.length > 0 ? "not_durable" : null);
    });

  test("what pauses appends, the gravest first", () => {
    const full = { maxmemory: "1000000", used_memory: "950000" };
    assert.equal(pausedBy(facts({ ...full, used_memory: "949999" }), local), null);
    assert.equal(pausedBy(facts(full), local), "full");
    assert.equal(pausedBy(facts({ ...full, aof_last_write_status: "err" }), local), "disk_error");
    assert.equal(pausedBy(facts({ ...full, aof_last_write_status: "err", aof_enabled: "0" }), local), "not_durable");
    assert.equal(pausedBy(facts(), replicated), "replicas_missing");
    assert.equal(pausedBy(facts(full), replicated), "full");
    assert.equal(pausedBy(facts({ slave0: online(1) }), replicated), null);
    assert.equal(pausedBy(facts({ slave0: online(1) }), { ...replicated, replicas: 2 }), "replicas_missing");
    assert.equal(pausedBy(facts({ slave0: online(1, "send_bulk") }), replicated), "replicas_missing");
    assert.equal(pausedBy(facts(), { ...replicated, replicas: 0 }), null);
  });
});

describe("failures", () => {
  const fromServer = (message: string): Error => Object.assign(new Error(message), { name: "ReplyError" });
  const words = {
    BUS_UNAVAILABLE: ["READONLY", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "NOREPLICAS"],
    BUS_NO_SPACE: ["OOM", "MISCONF"],
    BUS_FORBIDDEN: ["NOPERM", "NOAUTH", "WRONGPASS"],
    BUS_CORRUPT: ["WRONGTYPE"],
    BUS_INTERNAL: ["ERR", "NOSCRIPT", "EXECABORT", "SOMETHING"],
  } as const;
  for (const [code, list] of Object.entries(words))
    test(`${code} is ${list.join(", ")}, whatever was under way`, () => {
      for (const word of list)
        for (const stage of ["connect", "read", "change"] as const)
          assert.ok(refused(code as keyof typeof words, word)(busFailure(fromServer(`${word} some words`), stage)), `${word} ${stage}`);
    });

  test("R-4 a lost connection leaves a change unknown, and nothing else", () => {
    const lost = new Error("Connection is closed.");
    assert.equal(busFailure(lost, "change").code, "BUS_OUTCOME_UNKNOWN");
    assert.equal(busFailure(lost, "read").code, "BUS_UNAVAILABLE");
    assert.equal(busFailure(lost, "connect").code, "BUS_UNAVAILABLE");
    assert.equal(busFailure(new Error("OOM is what a driver said"), "change").code, "BUS_OUTCOME_UNKNOWN", "only a server's word counts");
    assert.equal(busFailure("not even an error", "change").code, "BUS_OUTCOME_UNKNOWN");
    const ours = new BusError("BUS_HOLE", "x");
    assert.equal(busFailure(ours, "change"), ours);
  });

  test("the word is the first one, in capitals, of what a server has sent", () => {
    assert.equal(serverWord(fromServer("OOM command not allowed")), "OOM");
    assert.equal(serverWord(fromServer("ERR unknown")), "ERR");
    assert.equal(serverWord(fromServer("something went wrong")), "ERR");
    assert.equal(serverWord(new Error("OOM x")), undefined);
    assert.equal(serverWord("OOM x"), undefined);
    const cause = fromServer("LOADING x");
    assert.equal(busFailure(cause, "read").cause, cause);
  });
});

describe("entries (R-10)", () => {
  const safe = fc.maxSafeNat();
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
  const bytes = fc.uint8Array({ maxLength: 200 }).map((some) => Buffer.from(some));
  const hex = (length: number): fc.Arbitrary<string> =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((some) => Buffer.from(some).toString("hex"));
  const uuid = hex(16).map((text) => text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"));
  const link = fc.record({
    producer: uuid,
    keyId: hex(8),
    kind: fc.constantFrom<FrameKind>("events", "gap"),
    codec: fc.nat(0x7fff),
    schemaVersion: fc.nat(0xffff),
    mappingVersion: fc.nat(0xffff),
    epoch: safe,
    firstSeq: fc.integer({ min: 1, max: 2 ** 52 }),
    count: fc.integer({ min: 1, max: 0x7fffffff }),
    offered: safe,
    prevEpoch: safe,
    prevSeq: safe,
    prevHash: hash,
    hash,
  });
  const frame: fc.Arbitrary<FrameAppend> = fc
    .record({
      link,
      producerKind: fc.constantFrom<ProducerKind>("dpi", "linux", "windows", "honeypot"),
      header: bytes,
      signature: bytes,
      verdicts: bytes,
      payload: bytes,
    })
    .map((one) => ({ ...one, link: { ...one.link, payloadHash: sha256(one.payload) } }));
  const options = fc.record({ gateway: fc.string({ unit: "grapheme", maxLength: 40 }), incarnation: uuid, registryVersion: safe });
  const id = (off: number): Reply => Buffer.from(`${off}-0`);
  const fields = (one: FrameAppend, meta: Buffer, receivedUs: number): Reply[] =>
    [
      ["t", `${receivedUs}`],
      ["m", meta],
      ["h", one.header],
      ["s", one.signature],
      ["v", one.verdicts],
      ["b", one.payload],
    ]
      .flat()
      .map((part) => Buffer.from(part as Buffer));

  test("R-10 what is put into an entry comes out of it, to the last byte", () =>
    fc.assert(
      fc.property(frame, options, safe, fc.integer({ min: 1 }), fc.nat(300), (one, how, receivedUs, off, part) => {
        const meta = encodeMeta(one, how);
        assert.ok(
          meta.subarray(0, 32).equals(one.link.hash) && meta.subarray(32, 64).equals(one.link.prevHash),
          "as append.lua reads them",
        );
        const entry = decodeEntry([id(off), fields(one, meta, receivedUs)], part, "generation");
        const { registryVersion: _version, ...accepter } = how;
        assert.deepEqual({ ...entry.link }, { ...one.link });
        assert.deepEqual(entry.position, { generation: "generation", part, off, receivedUs, hash: one.link.hash });
        assert.deepEqual(
          [entry.header, entry.signature, entry.verdicts, entry.payload],
          [one.header, one.signature, one.verdicts, one.payload],
        );
        assert.deepEqual([entry.producerKind, entry.receivedUs, entry.gateway], [one.producerKind, receivedUs, how.gateway]);
        assert.deepEqual(accepterOf(meta), accepter);
        const { producer, epoch, firstSeq, count } = one.link;
        assert.deepEqual(placeOf(meta), { producer, epoch, firstSeq, lastSeq: firstSeq + count - 1 });
      }),
    ));

  test("R-10 an entry with other bytes in its payload, or of another shape, is BUS_CORRUPT with its place, and nothing else is thrown", () =>
    fc.assert(
      fc.property(
        frame,
        options,
        fc.nat(),
        fc.constantFrom("flip", "cut", "meta", "missing", "renamed", "time"),
        (one, how, pick, damage) => {
          const whole = fields(one, encodeMeta(one, how), 1) as Buffer[];
          const payload = Buffer.concat([one.payload, Buffer.from("x")]);
          const at = pick % payload.length;
          const damaged = {
            flip: whole.with(11, payload.fill((payload[at] ?? 0) ^ 1, at, at + 1)),
            cut: whole.with(11, Buffer.concat([one.payload, one.payload, Buffer.from("x")])),
            meta: whole.with(3, (whole[3] as Buffer).subarray(0, pick % 192)),
            missing: whole.slice(0, 2 * (pick % 6)),
            renamed: whole.with(2 * (pick % 6), Buffer.from("z")),
            time: whole.with(1, Buffer.from(["", "-1", "1.5", "now", "1e3", "12345678901234567890"][pick % 6] as string)),
          }[damage];
          assert.throws(
            () => decodeEntry([id(9), damaged], 4, "generation"),
            (error) => hasCode(error, "BUS_CORRUPT") && error.fields["part"] === 4 && error.fields["off"] === 9,
          );
        },
      ),
    ));

  test("an offset is an id of ours or none", () => {
    assert.equal(offsetOf([id(7), []]), 7);
    for (const other of ["7-1", "7", "-", "7-00", "x-0"]) assert.equal(offsetOf([Buffer.from(other), []]), undefined);
  });
});

describe("answers and keys", () => {
  test("an answer of another shape is BUS_INTERNAL, never a number that is none", () => {
    assert.equal(numberOf(Buffer.from("9007199254740991")), Number.MAX_SAFE_INTEGER);
    assert.equal(numberOf(Buffer.from("-5")), -5);
    assert.equal(numberOf(3), 3);
    assert.equal(textOf(Buffer.from("ä")), "ä");
    assert.deepEqual(listOf([1]), [1]);
    for (const other of ["", " 1", "1.0", "1e3", "0x1", "9007199254740993", "nan"].map((text) => Buffer.from(text)))
      assert.throws(() => numberOf(other), refused("BUS_INTERNAL"), String(other));
    for (const other of [null, undefined, [] as Reply[], 2 ** 53]) assert.throws(() => numberOf(other), refused("BUS_INTERNAL"));
    for (const other of [null, undefined, 5, Buffer.from("x")]) assert.throws(() => listOf(other), refused("BUS_INTERNAL"));
    for (const other of [null, undefined, 5, [] as Reply[]]) assert.throws(() => bytesOf(other), refused("BUS_INTERNAL"));
  });

  test("all that one script touches lies in one slot of a cluster, whatever the prefix", () => {
    assert.equal(slotOf("foo"), 12_182);
    assert.equal(slotOf("a{foo}b"), 12_182);
    for (const prefix of ["ransomeye", "x", "a.b", "a:b", "ü"]) {
      const keys = new BusKeys(prefix);
      const bus = [keys.state, keys.leases, keys.gates, keys.groups, keys.floors, keys.group("group:engine"), keys.group("{x}")];
      const part = (number: number): string[] => [
        keys.log(number),
        keys.partitionState(number),
        keys.revoked(number),
        keys.producer(number, producerId(1)),
        keys.producer(number, producerId(2)),
      ];
      for (const together of [bus, part(0), part(15)]) assert.equal(new Set(together.map(slotOf)).size, 1, prefix);
      const all = [...bus, ...part(0), ...part(1), ...part(10)];
      assert.equal(new Set(all).size, all.length);
    }
  });
});
