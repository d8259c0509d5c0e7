/**
 * Why: a figure of ours says little without what the same server and the same client do when nothing is judged.
 * Enforces: XADD and XREADGROUP with XACK, as many calls in flight and as many bytes as ours, over as many streams.
 * Forbids: a second client library, and settings of its own.
 */
import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { systemClock } from "ransomeye-kernel";
import type { TestRedis } from "ransomeye-pipeline/testing";

/** Each reads all entries: one as they are, one checks the payload of each by its hash, as whoever reads frames must. */
const groups = { bare: "raw", checked: "raw checked" } as const;

/** What the raw commands carry. */
export interface RawLoad {
  readonly streams: number;
  /** Calls on their way at once. */
  readonly inFlight: number;
  /** Fields and values of an entry. */
  readonly entry: readonly (string | Buffer)[];
  /** Entries of one read. */
  readonly perRead: number;
}

export class RawStreams implements AsyncDisposable {
  readonly #redis: Redis;
  readonly #load: RawLoad;
  readonly #names: readonly string[];
  #added = 0;
  readonly #read = { bare: 0, checked: 0 };

  private constructor(redis: Redis, load: RawLoad) {
    this.#redis = redis;
    this.#load = load;
    this.#names = Array.from({ length: load.streams }, (_, n) => `bench:raw:${n}`);
  }

  static async open(server: TestRedis, load: RawLoad): Promise<RawStreams> {
    const raw = new RawStreams(new Redis({ host: server.host, port: server.port, protocol: 2 }), load);
    await raw.#redis.del(...raw.#names);
    for (const name of raw.#names)
      for (const group of Object.values(groups)) await raw.#redis.xgroup("CREATE", name, group, "0", "MKSTREAM");
    return raw;
  }

  /** Adds so many, or for so long; gives entries a second. */
  async add({ entries, seconds }: { readonly entries: number; readonly seconds: number }): Promise<number> {
    const fromMs = systemClock.monotonicMs();
    const untilMs = fromMs + seconds * 1000;
    let asked = 0;
    let added = 0;
    await Promise.all(
      Array.from({ length: this.#load.inFlight }, async () => {
        while (asked < entries && systemClock.monotonicMs() < untilMs) {
          const name = this.#names[asked % this.#names.length] ?? "";
          asked += 1;
          await this.#redis.xadd(name, "*", ...this.#load.entry);
          added += 1;
        }
      }),
    );
    this.#added += added;
    return (added / (systemClock.monotonicMs() - fromMs)) * 1000;
  }

  /** Reads and acknowledges all that was added, all streams at once, as one of the groups; gives entries a second. */
  async readAll(how: keyof typeof groups): Promise<number> {
    const group = groups[how];
    const fromMs = systemClock.monotonicMs();
    let entries = 0;
    await Promise.all(
      this.#names.map(async (name) => {
        for (;;) {
          const found = (await this.#redis.xreadgroupBuffer("GROUP", group, "one", "COUNT", this.#load.perRead, "STREAMS", name, ">")) as
            | [Buffer, [Buffer, Buffer[]][]][]
            | null;
          const ids = (found?.[0]?.[1] ?? []).map(([id]) => id);
          if (ids.length === 0) return;
          if (how === "checked") for (const [, fields] of found?.[0]?.[1] ?? []) check(fields);
          await this.#redis.xack(name, group, ...ids);
          entries += ids.length;
        }
      }),
    );
    const took = systemClock.monotonicMs() - fromMs;
    this.#read[how] += entries;
    if (this.#read[how] !== this.#added) throw new Error(`${this.#added} entries were added and ${this.#read[how]} read`);
    return (entries / took) * 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis.del(...this.#names);
    this.#redis.disconnect();
  }
}

/** The hash of an entry's last field, which is its payload. */
function check(fields: readonly Buffer[]): void {
  if (
    createHash("sha256")
      .update(fields.at(-1) ?? "")
      .digest().length !== 32
  )
    throw new Error("no hash");
}
