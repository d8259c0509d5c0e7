/**
 * Why: what was accepted must become rows, dead letters and gaps, each sequence number once; so each is noted with what has to become of it.
 * Enforces: a frame whose append has no answer is appended again until it has one: accepted or a duplicate is the same.
 * Forbids: chance without a seed.
 */
import { Chain, eventLine, producerId } from "ransomeye-engine/testing";
import { type Random, sleep, systemClock } from "ransomeye-kernel";
import { type Bus, type FrameAppend, type ProducerKind } from "ransomeye-pipeline";
import { poisonHost } from "./refusals.ts";

const kinds: readonly ProducerKind[] = ["linux", "dpi", "windows"];
const linesMax = 16;
const patienceMs = 60_000;
const how = { gateway: "chaos", incarnation: producerId(0xffff), registryVersion: 0 } as const;

/** What a sequence number has to become: the host of its row, the code of its dead letter, or the reason of its gap. */
export type Fate = `row ${string}` | `dead ${string}` | `gap ${string}`;

interface Producer {
  readonly chain: Chain;
  part: number;
}

export class Producers {
  readonly #bus: Bus;
  readonly #random: Random;
  readonly #producers: readonly Producer[];
  /** By producer and epoch, from its first sequence number. */
  readonly #fates = new Map<string, Fate[]>();

  private constructor(bus: Bus, random: Random, count: number) {
    this.#bus = bus;
    this.#random = random;
    this.#producers = Array.from({ length: count }, (_, n) => ({
      chain: new Chain(producerId(n + 1), kinds[n % kinds.length] ?? "linux"),
      part: -1,
    }));
  }

  static async open(bus: Bus, random: Random, count: number): Promise<Producers> {
    const opened = new Producers(bus, random, count);
    for (const producer of opened.#producers) await opened.#openEpoch(producer);
    return opened;
  }

  /** What has to be found: by producer and epoch. */
  get fates(): ReadonlyMap<string, readonly Fate[]> {
    return this.#fates;
  }

  /** One of them begins an epoch; only while nothing is wrong, for it is asked once. */
  async turnEpoch(): Promise<void> {
    await this.#openEpoch(this.#producers[this.#random.uint32() % this.#producers.length] as Producer);
  }

  /** A frame of each. */
  async sendRound(): Promise<void> {
    await Promise.all(
      this.#producers.map(async ({ chain, part }) => {
        const frame = this.#frame(chain);
        await this.#append(part, frame);
      }),
    );
  }

  async #openEpoch(producer: Producer): Promise<void> {
    const { chain } = producer;
    const opened = await this.#bus.openEpoch({
      producer: chain.producer,
      expectedEpoch: chain.epoch,
      keyId: "0011223344556677",
      registryVersion: 0,
    });
    if (opened.kind !== "opened") throw new Error(`an epoch was not opened: ${opened.kind}`);
    chain.open(opened.epoch, opened.prev);
    producer.part = opened.part;
    this.#fates.set(`${chain.producer}:${chain.epoch}`, []);
  }

  #frame(chain: Chain): FrameAppend {
    const fates = this.#fates.get(`${chain.producer}:${chain.epoch}`);
    if (fates === undefined) throw new Error("no epoch is open");
    const dice = this.#random.uint32() % 40;
    const count = 1 + (this.#random.uint32() % linesMax);
    if (dice === 0) {
      for (let n = 0; n < count; n += 1) fates.push("gap spool_full");
      return chain.frame({ gap: { count, reason: "spool_full" } });
    }
    const lines: string[] = [];
    for (let n = 0; n < count; n += 1) {
      if (dice === 1 && n === count - 1) {
        lines.push("no event");
        fates.push("dead EVENT_NOT_JSON");
      } else if (dice === 2 && n === 0) {
        lines.push(eventLine(poisonHost));
        fates.push("dead ENGINE_ROW_REFUSED");
      } else {
        const host = `host-${chain.epoch}-${chain.seq + 1 + n}`;
        lines.push(eventLine(host));
        fates.push(`row ${host}`);
      }
    }
    return chain.frame({ lines });
  }

  async #append(part: number, frame: FrameAppend): Promise<void> {
    const untilMs = systemClock.monotonicMs() + patienceMs;
    for (;;) {
      const [outcome] = await this.#bus.append(part, [frame], how).catch(() => []);
      if (outcome?.kind === "accepted" || outcome?.kind === "duplicate") return;
      if (systemClock.monotonicMs() > untilMs) throw new Error(`a frame was not accepted within a minute: ${outcome?.kind ?? "no answer"}`);
      await sleep(systemClock, 50);
    }
  }
}
