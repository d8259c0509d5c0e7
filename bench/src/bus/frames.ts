/**
 * Why: the log carries frames; how many a second, and how fast a group reads them, is what an adapter costs.
 * Enforces: every frame is its producer's next and is accepted; a group reads all partitions and commits what it has read.
 * Forbids: counting what was not answered.
 */
import { systemClock } from "ransomeye-kernel";
import type { Bus, FrameAppend, Lease, Position } from "ransomeye-pipeline";
import { Chain, producerId } from "ransomeye-pipeline/testing";

/** Frames on their way at once, each of a producer of its own. */
export const framesInFlight = 64;
export const framesPerRead = 256;
const bytesPerRead = 4 * 1024 * 1024;
/** Payloads of frames that are made at once. */
const madeBytesMax = 32 * 1024 * 1024;
const leaseMs = 60_000;
const how = { gateway: "bench", incarnation: "00000000-0000-4000-9000-000000000001", registryVersion: 0 } as const;
const group = "group:bench";

interface Producer {
  readonly chain: Chain;
  readonly part: number;
}

/** Producers with an epoch each. */
export class FrameLoad {
  readonly #bus: Bus;
  readonly #producers: readonly Producer[];
  readonly #places = new Map<number, { readonly lease: Lease; position: Position | null }>();

  private constructor(bus: Bus, producers: readonly Producer[]) {
    this.#bus = bus;
    this.#producers = producers;
  }

  /** @param seed producers of their own for each */
  static async open(bus: Bus, seed: number): Promise<FrameLoad> {
    const producers: Producer[] = [];
    for (let n = 0; n < framesInFlight; n += 1) {
      const chain = new Chain(producerId(seed * framesInFlight + n));
      const opening = await bus.openEpoch({ producer: chain.producer, expectedEpoch: 0, keyId: "0123456789abcdef", registryVersion: 0 });
      if (opening.kind !== "opened") throw new Error(`the epoch was not opened: ${opening.kind}`);
      chain.opened(opening.epoch, opening.prev);
      producers.push({ chain, part: opening.part });
    }
    const load = new FrameLoad(bus, producers);
    const leases = await bus.acquire(group, "bench", { leaseMs, partsMax: bus.partitions, held: [] });
    for (const lease of leases) load.#places.set(lease.part, { lease, position: lease.position });
    return load;
  }

  /** Appends for so long; gives frames a second. Making and hashing them is the shippers' work, and takes its time before. */
  async appendFor(seconds: number, payloadBytes: number): Promise<number> {
    const each = Math.max(1, Math.floor(madeBytesMax / framesInFlight / payloadBytes));
    let [frames, tookMs] = [0, 0];
    while (tookMs < seconds * 1000) {
      const made = this.#producers.map(({ chain, part }) => ({
        part,
        frames: Array.from({ length: each }, () => chain.next(1, { payloadBytes })),
      }));
      const fromMs = systemClock.monotonicMs();
      await Promise.all(made.map((own) => this.#append(own)));
      tookMs += systemClock.monotonicMs() - fromMs;
      frames += each * made.length;
    }
    return (frames / tookMs) * 1000;
  }

  /** One after the other. */
  async #append({ part, frames }: { readonly part: number; readonly frames: readonly FrameAppend[] }): Promise<void> {
    for (const frame of frames) {
      const [outcome] = await this.#bus.append(part, [frame], how);
      if (outcome?.kind !== "accepted") throw new Error(`a frame was not accepted: ${outcome?.kind}`);
    }
  }

  /** Reads all that the group has not read, all partitions at once, and commits it; gives frames a second. */
  async readAll(): Promise<number> {
    const fromMs = systemClock.monotonicMs();
    let frames = 0;
    await Promise.all(
      [...this.#places].map(async ([part, place]) => {
        for (;;) {
          const entries = await this.#bus.read(part, place.position, { framesMax: framesPerRead, bytesMax: bytesPerRead });
          const last = entries.at(-1);
          if (last === undefined) return;
          frames += entries.length;
          place.position = last.position;
          if ((await this.#bus.commit(place.lease, last.position)) !== "committed") throw new Error(`partition ${part} was lost`);
        }
      }),
    );
    return (frames / (systemClock.monotonicMs() - fromMs)) * 1000;
  }
}
