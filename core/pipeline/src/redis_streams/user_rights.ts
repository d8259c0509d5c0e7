/**
 * Why it exists: whoever steals one part's password on the log's servers should get no more than that part needs; this table says what it needs.
 * Enforces: one table, from which the servers' file of users, the reference page and the tests are made. Nobody may name commands on keys that its scripts
 * do not call on them; only the keeper removes entries.
 * Forbids: whole categories of commands, and keys of other installations.
 */
import { StreamName } from "../messages/message.ts";
import type { KeyPatterns } from "./key_patterns.ts";
import type { ScriptName } from "./scripts.ts";
import type { Durability } from "./server_facts.ts";

/** Who logs in. `consumer`: whoever takes messages; `operator`: commands beside a running system. */
export const busRoles = ["gateway", "engine", "keeper", "registry", "consumer", "operator"] as const;
export type BusRole = (typeof busRoles)[number];

/** Commands on keys. `read`: the keys may only be read by it. */
export interface Right {
  readonly commands: readonly string[];
  readonly access: "read" | "write";
  readonly keys: (at: KeyPatterns) => readonly string[];
  /** Only where changes wait for replicas. */
  readonly replicated?: true;
}

/** What one role does. */
export interface RoleRights {
  readonly does: string;
  readonly scripts: readonly ScriptName[];
  /** Keys that its scripts are handed. To name a key is no right to it: what a script calls on it needs one of `rights`. */
  readonly named: (at: KeyPatterns) => readonly string[];
  readonly rights: readonly Right[];
}

/** What consumers tell others. Attacks come from the engine's own rows, so whoever reads them cannot forge one. */
const told: readonly StreamName[] = [StreamName.aiDecisions, StreamName.alerts, StreamName.forensics, StreamName.telemetry];
const toldOrBuried: readonly StreamName[] = [...told, StreamName.deadLetter];

function read(commands: readonly string[], keys: Right["keys"]): Right {
  return { commands, access: "read", keys };
}

function write(command: string, keys: Right["keys"]): Right {
  return { commands: [command], access: "write", keys };
}

/** What waits for replicas writes something first (barrier.lua), also where it only reads. */
const barrier: Right = { commands: ["hset", "hdel"], access: "write", keys: (at) => at.partition(), replicated: true };

/** Commands that say nothing of keys: who and how the server is, where a slot lies, what time it is. */
export function commonCommands(level: Durability["level"]): string[] {
  // CONFIG GET would also tell the password with which replicas log in, and without `local` nothing needs it.
  const durable = level === "local" ? ["config|get"] : ["wait"];
  return ["info", "client|setname", "cluster|slots", "asking", "time", ...durable];
}

/**
 * Beside those, where replicas are waited for and the servers have it. Not for all: a server that does not know a command loads no file that names it. No
 * part of the mark of rights either: whether a server has it and lets us is found by trying (confirmation.ts).
 */
export const flushCommand = "waitaof";

/** Each role's rights. */
export const roleRights: Readonly<Record<BusRole, RoleRights>> = {
  gateway: {
    does: "appends signed batches, opens epochs, leases its part of the budget, reports",
    scripts: ["append", "openEpoch", "oldest", "lease", "barrier"],
    named: (at) => [...at.partition(), ...at.log(), ...at.revoked(), ...at.producer(), ...at.producers(), ...at.state(), ...at.leases()],
    rights: [
      read(["hget", "hmget", "hgetall", "xrange", "sismember", "smismember", "smembers"], (at) => [
        ...at.partition(),
        ...at.log(),
        ...at.revoked(),
        ...at.producer(),
        ...at.state(),
        ...at.leases(),
        ...at.groups(),
        ...at.group(),
      ]),
      write("xadd", (at) => at.log()),
      write("hset", (at) => [...at.partition(), ...at.producer(), ...at.leases(), ...at.gates()]),
      write("hdel", (at) => at.leases()),
      write("sadd", (at) => at.producers()),
      barrier,
    ],
  },
  engine: {
    does: "reads signed batches, tells how far rows have come; so does any other reader of the log, with leases",
    scripts: ["read", "place", "seek", "noteStored", "groupNote", "groupAcquire", "groupRenew", "groupRelease", "groupCommit", "barrier"],
    named: (at) => [...at.partition(), ...at.log(), ...at.producer(), ...at.state(), ...at.group(), ...at.groups(), ...at.floors()],
    rights: [
      read(["hget", "hmget", "hgetall", "hkeys", "hexists", "xrange"], (at) => [
        ...at.partition(),
        ...at.log(),
        ...at.producer(),
        ...at.state(),
        ...at.group(),
        ...at.floors(),
      ]),
      write("hset", (at) => [...at.producer(), ...at.group()]),
      write("hdel", (at) => [...at.producer(), ...at.group()]),
      write("sadd", (at) => at.groups()),
      barrier,
    ],
  },
  keeper: {
    does: "makes the log, mirrors it into the database, pauses, rewinds, relays messages; it alone trims",
    scripts: [
      "prepareBus",
      "preparePartition",
      "setPaused",
      "place",
      "seek",
      "oldestMetas",
      "raiseFloor",
      "trim",
      "groupRewind",
      "messagePublish",
      "messageTrim",
      "messageArchiveBegin",
      "messageArchived",
      "barrier",
    ],
    named: (at) => [
      ...at.partition(),
      ...at.log(),
      ...at.producer(),
      ...at.state(),
      ...at.groups(),
      ...at.group(),
      ...at.floors(),
      ...at.ends(),
      ...at.ids(),
      ...at.messageLog(),
      ...at.messageGroups(),
      ...at.messageGroup(),
      ...at.out(),
    ],
    rights: [
      read(["hget", "hmget", "hkeys", "hvals", "hexists", "exists", "scard", "smembers", "smismember", "xrange", "xlen"], (at) => [
        ...at.partition(),
        ...at.log(),
        ...at.producer(),
        ...at.producers(),
        ...at.state(),
        ...at.gates(),
        ...at.groups(),
        ...at.group(),
        ...at.floors(),
        ...at.ends(),
        ...at.ids(),
        ...at.messageLog(),
        ...at.messageGroups(),
        ...at.messageGroup(),
        ...at.out(),
      ]),
      write("xtrim", (at) => [...at.log(), ...at.messageLog()]),
      write("xadd", (at) => at.messageLog()),
      write("hset", (at) => [
        ...at.partition(),
        ...at.producer(),
        ...at.state(),
        ...at.floors(),
        ...at.group(),
        ...at.ends(),
        ...at.messageGroup(),
      ]),
      write("hsetnx", (at) => [...at.state(), ...at.ends()]),
      write("hdel", (at) => [
        ...at.partition(),
        ...at.producer(),
        ...at.state(),
        ...at.floors(),
        ...at.group(),
        ...at.gates(),
        ...at.messageGroup(),
      ]),
      write("sadd", (at) => [...at.producers(), ...at.groups(), ...at.ids()]),
      write("srem", (at) => at.ids()),
    ],
  },
  registry: {
    does: "bars producers",
    scripts: ["setVersion", "setRevoked"],
    named: (at) => [...at.state(), ...at.partition(), ...at.revoked()],
    rights: [
      read(["hget", "hmget", "scard"], (at) => [...at.state(), ...at.partition(), ...at.revoked()]),
      write("hset", (at) => [...at.state(), ...at.partition()]),
      write("hdel", (at) => at.state()),
      write("spop", (at) => at.revoked()),
      write("sadd", (at) => at.revoked()),
    ],
  },
  consumer: {
    does: `takes, ends and buries messages of every stream, rewinds its groups, publishes to ${told.join(", ")}`,
    scripts: ["messageGroup", "messageTake", "messageExtend", "messageSettle", "messageBury", "messageRewind", "messagePublish"],
    named: (at) => [
      ...at.ends(),
      ...at.messageGroups(),
      ...at.messageGroup(),
      ...at.out(),
      ...at.due(),
      ...at.messageLog(),
      ...at.ids(toldOrBuried),
    ],
    rights: [
      read(
        ["hget", "hmget", "hkeys", "hgetall", "hlen", "smembers", "smismember", "xrange", "xrevrange", "xlen", "zrange", "zrangebyscore"],
        (at) => [
          ...at.ends(),
          ...at.messageGroups(),
          ...at.messageGroup(),
          ...at.out(),
          ...at.due(),
          ...at.messageLog(),
          ...at.ids(toldOrBuried),
        ],
      ),
      write("xadd", (at) => at.messageLog(toldOrBuried)),
      write("hset", (at) => [...at.messageGroup(), ...at.out(), ...at.ends(toldOrBuried)]),
      write("hincrby", (at) => at.messageGroup()),
      write("hdel", (at) => [...at.messageGroup(), ...at.out()]),
      write("sadd", (at) => [...at.messageGroups(), ...at.ids(toldOrBuried)]),
      write("zadd", (at) => at.due()),
      write("zrem", (at) => at.due()),
      write("zremrangebyrank", (at) => at.due()),
    ],
  },
  operator: {
    does: "reads messages, looks at groups, sends dead letters again (`ransomeye dlq`); asks what the log holds (`ransomeye reconcile`)",
    scripts: ["messagePublish", "place"],
    named: (at) => [...at.ends(), ...at.ids(), ...at.messageLog(), ...at.partition(), ...at.log()],
    rights: [
      read(["hget", "hmget", "xrange"], (at) => [...at.partition(), ...at.log(), ...at.state()]),
      read(["hmget", "hgetall", "hlen", "smembers", "smismember", "xrange", "xlen"], (at) => [
        ...at.ends(),
        ...at.ids(),
        ...at.messageLog(),
        ...at.messageGroups(),
        ...at.messageGroup(),
        ...at.out(),
      ]),
      write("xadd", (at) => at.messageLog()),
      write("hset", (at) => at.ends()),
      write("sadd", (at) => at.ids()),
    ],
  },
};

/** Users that are no part of the system: how servers know each other, and who looks whether one answers. */
export const serverRights = {
  health: { does: "PING, without a password: whether the server answers", commands: ["ping"] },
  replica: { does: "replicas fetch what their master has", commands: ["psync", "replconf", "ping"] },
  cluster: {
    does: "makes the cluster, once; it can read and write no key",
    commands: ["cluster", "info", "ping"],
  },
} as const;
export type ServerUser = keyof typeof serverRights;
