/**
 * Why: following is exact or it is nothing, so tests need a disk where logs rotate, a spool that loses what was not flushed, and an agent that dies at any call.
 * Enforces: nothing itself; `arrived` is what the tests judge.
 */
import { appendFile, copyFile, readFile, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Clock, type Random, recordingTelemetry, seededRandom, type Timer } from "ransomeye-kernel";
import { Follower, type FollowerOptions, originalOf, PositionedLane, Positions, type Sink } from "../src/lib.ts";

/** A record of a file: `seq` is what the tests count. */
export function recordLine(file: string, seq: number): string {
  return `${JSON.stringify({
    timestamp: "2026-01-05T10:00:00.000000+0000",
    event_type: "dns",
    flow_id: seq,
    in_iface: file,
    src_ip: "10.0.0.8",
    src_port: 51234,
    dest_ip: "192.0.2.53",
    dest_port: 53,
    proto: "UDP",
    dns: { type: "query", id: 7, rrname: "first.example", rrtype: "A" },
  })}\n`;
}

/** A clock that stands still until it is told. */
export class StandingClock implements Clock {
  ms = 1000;
  nowUs(): number {
    return 1_767_600_000_000_000 + this.ms * 1000;
  }
  monotonicMs(): number {
    return this.ms;
  }
  setTimer(_ms: number, callback: () => void): Timer {
    queueMicrotask(callback);
    return { cancel: () => undefined };
  }
}

/** The agent died here. */
export class Killed extends Error {}

interface Sent {
  readonly path: string;
  readonly seqs: readonly number[];
  readonly cursor: string;
}

/** A spool and a checkpoint that survive the agent. */
export class Disk implements Sink {
  readonly random: Random;
  sent: Sent[] = [];
  durable = 0;
  checkpoint: string | undefined;
  checkpoints = 0;
  /** What every call waits for. */
  gate: Promise<void> = Promise.resolve();
  /** Calls until the agent dies; undefined: never. */
  killIn: number | undefined;

  constructor(seed: number | string) {
    this.random = seededRandom(seed);
  }

  async send(lines: readonly Buffer[], { file }: { readonly file: string }, { cursor }: { readonly cursor: string }): Promise<void> {
    await this.gate;
    this.#mayDie();
    const seqs = lines.map((line) => (JSON.parse(String(originalOf(JSON.parse(line.toString())))) as { flow_id: number }).flow_id);
    this.sent.push({ path: file, seqs, cursor });
    this.#mayDie();
  }

  async spooled(): Promise<void> {
    this.#mayDie();
    this.durable = this.sent.length;
    this.#mayDie();
  }

  async write(checkpoint: string): Promise<void> {
    this.#mayDie();
    this.checkpoint = checkpoint;
    this.checkpoints += 1;
    this.#mayDie();
  }

  /** What survives: all that was flushed, and any part of the rest from the front. */
  crash(): void {
    const kept = this.durable + (this.random.uint32() % (this.sent.length - this.durable + 1));
    this.sent = this.sent.slice(0, kept);
    this.durable = kept;
    this.killIn = undefined;
  }

  arrived(path: string): number[] {
    return this.sent.filter((one) => one.path === path).flatMap(({ seqs }) => seqs);
  }

  #mayDie(): void {
    if (this.killIn === undefined) return;
    this.killIn -= 1;
    if (this.killIn <= 0) throw new Killed("kill -9");
  }
}

/** One agent's life. */
export class Agent {
  readonly clock: StandingClock;
  readonly telemetry: ReturnType<typeof recordingTelemetry> = recordingTelemetry();
  readonly follower: Follower;
  readonly lane: PositionedLane;

  constructor(disk: Disk, clock: StandingClock, options: Partial<FollowerOptions> & Pick<FollowerOptions, "sources">) {
    this.clock = clock;
    const lane = new PositionedLane(Positions.load(disk.checkpoint, disk.sent.at(-1)?.cursor), disk, (text) => disk.write(text), clock);
    this.lane = lane;
    this.follower = new Follower({
      handover: {
        markOf: (path) => lane.markOf(path),
        take: (path, batch, about) => lane.take(path, batch, about),
        moved: (path, point) => lane.moved(path, point),
        forget: (path) => lane.drop(path),
        rest: () => lane.rest(),
      },
      read: {},
      rotateWaitMs: 1000,
      pollMs: 100,
      scanMs: 0,
      clock,
      telemetry: this.telemetry,
      ...options,
    });
  }

  /** Rounds until nothing moves any more, waiting for quiet files included. */
  async rest(): Promise<void> {
    for (let quiet = 0; quiet < 4; ) {
      this.clock.ms += 600;
      quiet = (await this.follower.step()) ? 0 : quiet + 1;
    }
  }

  events(name: string): Record<string, unknown>[] {
    return this.telemetry.events.filter((event) => event.name === name).map(({ fields }) => fields);
  }
}

/** A log that is written and rotated. */
export class Log {
  readonly path: string;
  seq = 0;
  /** The part of the last line that was not written yet. */
  #rest = "";

  constructor(path: string) {
    this.path = path;
  }

  async write(count: number, partial = false): Promise<void> {
    let text = this.#rest;
    this.#rest = "";
    for (let i = 0; i < count; i += 1) {
      this.seq += 1;
      text += recordLine(basename(this.path), this.seq);
    }
    if (partial && text.length > 10) {
      const cut = text.length - 7;
      this.#rest = text.slice(cut);
      text = text.slice(0, cut);
    }
    if (text !== "") await appendFile(this.path, text);
  }

  /** Ends the open line. */
  async complete(): Promise<void> {
    await this.write(0);
  }

  async rotate(): Promise<void> {
    await this.complete();
    await this.#shift();
    await rename(this.path, `${this.path}.1`).catch(() => undefined);
    await writeFile(this.path, "");
  }

  async copyTruncate(): Promise<void> {
    await this.complete();
    if (!(await stat(this.path).catch(() => undefined))) return;
    await this.#shift();
    await copyFile(this.path, `${this.path}.1`);
    await truncate(this.path, 0);
  }

  /** Packs all but the newest rotated file, as `delaycompress` does. */
  async pack(): Promise<void> {
    for (const { n, packed } of await this.#numbers()) {
      if (n < 2 || packed) continue;
      const path = `${this.path}.${n}`;
      await writeFile(`${path}.gz`, gzipSync(await readFile(path)));
      await rm(path);
    }
  }

  async #shift(): Promise<void> {
    for (const { n, packed } of (await this.#numbers()).sort((a, b) => b.n - a.n)) {
      const end = packed ? ".gz" : "";
      await rename(`${this.path}.${n}${end}`, `${this.path}.${n + 1}${end}`);
    }
  }

  async #numbers(): Promise<{ n: number; packed: boolean }[]> {
    const name = basename(this.path);
    const names = await readdir(dirname(this.path));
    return names.flatMap((one) => {
      const found = /^\.(\d+)(\.gz)?$/.exec(one.startsWith(name) ? one.slice(name.length) : "");
      return found === null ? [] : [{ n: Number(found[1]), packed: found[2] !== undefined }];
    });
  }
}

export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
export const logIn = (directory: string, name: string): Log => new Log(join(directory, name));
