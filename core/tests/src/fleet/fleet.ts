/**
 * Why: restarts and outages show what they do only under producers that never stop sending; these send through the SDK, spool and all.
 * Enforces: each event carries a number of its own that grows with each producer, so that lost, doubled and misplaced ones are counted in SQL; what was
 *   handed over is known, whatever became of it.
 * Forbids: help for the system: a producer waits, comes back and sends again by its own rules.
 */
import { join } from "node:path";
import { OCSF_VERSION } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, seededRandom, sleep, systemClock, systemRandom } from "ransomeye-kernel";
import { loadIdentity, openProducer, type Producer } from "ransomeye-sdk";
import { numberedEvent } from "../crash/numbered_events.ts";
import type { RunningSystem } from "../harness/running_system.ts";

export interface FleetOptions {
  readonly producers: number;
  readonly seed: number;
  /** Events per second of the whole fleet; without it as many as are taken. */
  readonly eventsPerSecond?: number;
  /** Where the gateway is, or what stands in front of it. */
  readonly gateway: { readonly host: string; readonly port: number };
}

/** Small, so that a full spool makes its caller wait within seconds: what waits does not count as load. */
const spoolBytesMax = 8 * 1024 * 1024;
/** How long a producer waits at most before it tries again: an outage of a minute shall not be followed by one of a minute. */
const backoffCapMs = 5_000;
const linesPerCall = 200;
/** Calls of one producer on their way to a receipt. */
const callsMax = 32;

interface Member {
  readonly producer: Producer;
  readonly at: number;
}

export class Fleet implements AsyncDisposable {
  readonly #members: readonly Member[];
  readonly #options: FleetOptions;
  readonly #ended = new AbortController();
  #sending: Promise<unknown> = Promise.resolve();
  #handed = 0;
  #receipted = 0;

  private constructor(members: readonly Member[], options: FleetOptions) {
    this.#members = members;
    this.#options = options;
  }

  /** Enrols and opens the producers; they send from `start` on. */
  static async open(system: RunningSystem, options: FleetOptions): Promise<Fleet> {
    const members: Member[] = [];
    for (let at = 0; at < options.producers; at++) {
      const name = `fleet-${at + 1}`;
      const enrolled = await system.run("producer", "enroll", name, "--kind", "linux");
      if (enrolled.exitCode !== 0) throw new Error(`${name} cannot be enrolled: ${enrolled.stderr}`);
      const producer = await openProducer({
        identity: await loadIdentity(join(system.dataDir, "identities", name)),
        gateway: options.gateway,
        spoolDir: join(system.dataDir, "spool", name),
        options: { agent: "fleet", spoolBytesMax, backoffCapMs },
        clock: systemClock,
        random: systemRandom,
        telemetry: recordingTelemetry(),
      });
      members.push({ producer, at });
    }
    return new Fleet(members, options);
  }

  /** Events that were handed over and are on the producers' disks. */
  get handed(): number {
    return this.#handed;
  }

  /** Events that have a receipt. */
  get receipted(): number {
    return this.#receipted;
  }

  /** How many producers have been told each state and are connected. */
  states(): Readonly<Record<string, number>> {
    const count: Record<string, number> = {};
    for (const { producer } of this.#members) {
      const { phase, throttle } = producer.stats();
      const state = phase === "streaming" ? throttle : "not connected";
      count[state] = (count[state] ?? 0) + 1;
    }
    return count;
  }

  start(): void {
    this.#sending = Promise.all(this.#members.map((member) => this.#send(member)));
    this.#sending.catch(() => undefined);
  }

  /** Hands over no more and waits until everything is stored. */
  async stop(): Promise<void> {
    this.#ended.abort(new Error("enough"));
    await this.#sending;
    await Promise.all(this.#members.map(({ producer }) => producer.drain("stored")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error("over"));
    await Promise.all(this.#members.map(({ producer }) => producer.close()));
  }

  async #send(member: Member): Promise<void> {
    const { producers, seed, eventsPerSecond } = this.#options;
    const random = seededRandom(`${seed} ${member.at}`);
    const underWay = new Set<Promise<unknown>>();
    const startMs = systemClock.monotonicMs();
    for (let n = 0; !this.#ended.signal.aborted; ) {
      const lines = Array.from({ length: linesPerCall }, () =>
        Buffer.from(numberedEvent(++n * producers + member.at, random.uint32(), OCSF_VERSION)),
      );
      const { receipt } = await member.producer.sendMany(lines);
      this.#handed += lines.length;
      const answered: Promise<unknown> = receipt.then(() => {
        this.#receipted += lines.length;
        underWay.delete(answered);
      });
      underWay.add(answered);
      if (underWay.size >= callsMax) await Promise.race(underWay);
      if (eventsPerSecond === undefined) continue;
      const dueMs = startMs + (n * producers * 1000) / eventsPerSecond;
      await sleep(systemClock, Math.max(0, dueMs - systemClock.monotonicMs()), this.#ended.signal).catch(() => undefined);
    }
    await Promise.all(underWay);
  }
}
