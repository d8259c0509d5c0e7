/**
 * Why it exists: what the tests of the bus on Redis share: a filled partition, a look at the servers past the adapter, ways to damage what they hold.
 */
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { hasCode, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import type { Bus, BusEntry, FrameAppend, Position } from "../src/bus.ts";
import type { BusCode } from "../src/errors.ts";
import { type RedisBusOptions, type RedisControls, prepareRedisBus } from "../src/redis_streams/bus.ts";
import type { BusSettings } from "../src/redis_streams/prepare.ts";
import type { Durability } from "../src/redis_streams/server_facts.ts";
import type { TestRedis } from "../src/testing.ts";
import { until } from "../src/testing/until.ts";
import { accept, everything, kinds } from "./contract_tools.ts";
import { Chain, producerId } from "../src/testing/frames.ts";
import { openRedisSubject, type RedisSubject, settings } from "./redis_subject.ts";
import { how, openChain } from "./subject.ts";

export interface Filled {
  readonly chain: Chain;
  readonly part: number;
  readonly frames: readonly FrameAppend[];
  readonly positions: readonly Position[];
}

/** A producer whose frames are in the log; one that lives in the given partition if one is given. */
export async function filled(
  bus: Bus,
  count: number,
  where: { readonly part?: number; readonly payloadBytes?: number } = {},
): Promise<Filled> {
  const { chain, part } = await opened(bus, where.part);
  const frames = Array.from({ length: count }, () => chain.next(1, { payloadBytes: where.payloadBytes ?? 100 }));
  return { chain, part, frames, positions: await accept(bus, part, frames) };
}

let producers = 5000;

/** A producer with an open epoch, in the given partition if one is given. */
export async function opened(bus: Bus, wanted?: number): Promise<{ readonly chain: Chain; readonly part: number }> {
  for (;;) {
    const chain = new Chain(producerId(++producers));
    const part = await openChain(bus, chain);
    if (wanted === undefined || part === wanted) return { chain, part };
  }
}

/** For `assert.rejects`: the bus refused with this code, and with this word of the server if one is given. */
export function refused(code: BusCode, word?: string): (error: unknown) => boolean {
  return (error) => hasCode(error, code) && (word === undefined || error.fields["word"] === word);
}

/** All entries of a partition, read in steps, which must be dense from the first on. */
export async function wholeLog(bus: Bus, part: number): Promise<BusEntry[]> {
  const all: BusEntry[] = [];
  for (;;) {
    const entries = await bus.read(part, all.at(-1)?.position ?? null, { framesMax: 100, bytesMax: everything.bytesMax });
    if (entries.length === 0) return all;
    all.push(...entries);
  }
}

/** The frames stand in the log of their producer: each once, in their order, byte for byte. */
export async function assertStored(bus: Bus, part: number, frames: readonly FrameAppend[]): Promise<void> {
  const producer = frames[0]?.link.producer;
  const stored = (await wholeLog(bus, part)).filter(({ link }) => link.producer === producer);
  assert.deepEqual(
    stored.map(({ link, payload }) => [link.firstSeq, link.hash.toString("hex"), payload.length]),
    frames.map(({ link, payload }) => [link.firstSeq, link.hash.toString("hex"), payload.length]),
  );
}

/** Appends, and appends again until the outcome is known: what a gate and its producer do together. */
export async function settle(bus: Bus, part: number, frame: FrameAppend, waits: readonly BusCode[]): Promise<string[]> {
  const seen: string[] = [];
  await until(`frame ${frame.link.firstSeq} to be settled, after ${seen.join(", ")}`, [], async () => {
    const kind = await bus.append(part, [frame], how).then(
      (outcomes) => kinds(outcomes)[0] as string,
      (error: unknown) => waits.find((code) => hasCode(error, code)) ?? Promise.reject(error as Error),
    );
    seen.push(kind);
    return kind === "accepted" || kind === "duplicate";
  });
  return seen;
}

/** Runs a piece of work on a bus of its own, and closes it whatever comes of it. */
export async function withBus(url: string, durability: Durability, work: (subject: RedisSubject) => Promise<void>): Promise<void> {
  const subject = await openRedisSubject(url, durability);
  try {
    await work(subject);
  } finally {
    await subject.close();
  }
}

let prefixes = 0;

/** Options of a bus that nobody else has. */
export function freshOptions(url: string, durability: Durability): RedisBusOptions {
  return { url, prefix: `fresh${process.pid}.${++prefixes}`, durability, clock: systemClock, telemetry: recordingTelemetry() };
}

export function prepare(options: RedisBusOptions, changed: Partial<BusSettings> = {}): Promise<RedisControls> {
  return prepareRedisBus({ ...options, random: systemRandom, settings: { ...settings, ...changed } });
}

/** What a server's INFO says, by name. */
export async function infoOf(server: TestRedis, section: string): Promise<Map<string, string>> {
  const lines = (await server.client().info(section)).split("\r\n").filter((line) => line.includes(":"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
}

/** How many scripts a server has run since its statistics were reset. */
export async function scriptsRun(server: TestRedis): Promise<number> {
  const said = await infoOf(server, "commandstats");
  return ["cmdstat_eval", "cmdstat_evalsha"].reduce((sum, name) => sum + Number(/calls=(\d+)/.exec(said.get(name) ?? "")?.[1] ?? 0), 0);
}

/** A way to a server that lets the first word through only after a while. */
export async function slowDoor({ host, port }: TestRedis): Promise<{ readonly port: number; readonly close: () => void }> {
  const sockets = new Set<Socket>();
  const door = createServer((client) => {
    sockets.add(client);
    client.on("error", () => client.destroy());
    setTimeout(() => {
      const server = connect(port, host);
      sockets.add(server);
      server.on("error", () => client.destroy());
      client.pipe(server).pipe(client);
    }, 300);
  });
  await new Promise<void>((resolve) => door.listen(0, host, resolve));
  return {
    port: (door.address() as AddressInfo).port,
    close: () => {
      door.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

type RawEntry = [id: Buffer, fields: Buffer[]];

/** Puts a copy in the place of a stream, made of the entries that `edit` gives: the one way to change an entry. */
export async function rewriteStream(server: TestRedis, key: string, edit: (off: number, fields: Buffer[]) => Buffer[]): Promise<void> {
  const client = server.client();
  const entries = (await client.callBuffer("XRANGE", key, "-", "+")) as RawEntry[];
  const copy = `${key}:copy`;
  for (const [id, fields] of entries) await client.callBuffer("XADD", copy, id, ...edit(Number.parseInt(String(id), 10), fields));
  await client.rename(copy, key);
}
