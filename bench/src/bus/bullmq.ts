/**
 * Why: whoever looks for message streams on Redis in Node compares with BullMQ, the queue that most people use.
 * Enforces: the same server, payload and numbers in flight; BullMQ is installed for the run, so that the project does not depend on it.
 * Forbids: its defaults made worse: finished jobs are removed, which costs least.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "ransomeye-kernel";
import { median } from "../stats.ts";
import type { TestRedis } from "ransomeye-pipeline/testing";
import { arrivals, handlerCounts, payload, publishesInFlight } from "./messages.ts";

const packages = ["bullmq@6.7.0", "ioredis@6.0.0"] as const;

interface Connection {
  disconnect(): void;
  on(event: "error", listener: () => void): void;
}

interface Queue {
  add(name: string, data: object, options: object): Promise<unknown>;
  close(): Promise<void>;
}

/** As much of BullMQ as is measured. */
interface Bullmq {
  readonly Queue: new (name: string, options: object) => Queue;
  readonly Worker: new (name: string, handle: () => Promise<void>, options: object) => { close(force: boolean): Promise<void> };
}

export interface BullmqRates {
  readonly version: string;
  readonly added: number;
  /** Jobs a second, by handlers side by side. */
  readonly processed: readonly number[];
}

/** BullMQ in a folder of its own. */
export class BullmqBench implements AsyncDisposable {
  readonly #folder: string;
  readonly #bullmq: Bullmq;
  readonly #Redis: new (
    options: object,
  ) => Connection;

  private constructor(folder: string) {
    const load = createRequire(join(folder, "load.cjs"));
    this.#folder = folder;
    this.#bullmq = load("bullmq") as Bullmq;
    this.#Redis = (load("ioredis") as { Redis: new (options: object) => Connection }).Redis;
  }

  static async install(): Promise<BullmqBench> {
    const folder = await mkdtemp(join(tmpdir(), "ransomeye-bullmq-"));
    await promisify(execFile)("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, ...packages], {
      cwd: folder,
    });
    return new BullmqBench(folder);
  }

  /** Adds so many jobs, then processes them. */
  async measure({ host, port }: TestRedis, jobs: number): Promise<BullmqRates> {
    const connection = new this.#Redis({ host, port, maxRetriesPerRequest: null });
    // It is closed under the worker at the end.
    connection.on("error", () => undefined);
    const queue = new this.#bullmq.Queue("bench", { connection });
    const added: number[] = [];
    const processed: number[] = [];
    for (const concurrency of handlerCounts) {
      added.push(await this.#add(queue, jobs));
      processed.push(await this.#process(connection, jobs, concurrency));
    }
    await queue.close();
    connection.disconnect();
    return { version: packages[0], added: median(added), processed };
  }

  async #add(queue: Queue, jobs: number): Promise<number> {
    const addedFromMs = systemClock.monotonicMs();
    let asked = 0;
    await Promise.all(
      Array.from({ length: publishesInFlight }, async () => {
        while (asked < jobs) {
          asked += 1;
          await queue.add("attack", payload, { removeOnComplete: true });
        }
      }),
    );
    return (jobs / (systemClock.monotonicMs() - addedFromMs)) * 1000;
  }

  async #process(connection: Connection, jobs: number, concurrency: number): Promise<number> {
    const processedFromMs = systemClock.monotonicMs();
    const all = arrivals(jobs);
    const worker = new this.#bullmq.Worker("bench", async () => all.one(), { connection, concurrency });
    await all.come;
    const rate = (jobs / (systemClock.monotonicMs() - processedFromMs)) * 1000;
    await worker.close(true);
    return rate;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
