/**
 * Why: the engine's speed is how fast it turns a log into rows, so the log is filled before the clock runs.
 * Enforces: frames as a gateway appends them, of full size, of producers spread over all partitions; each is accepted.
 * Forbids: measuring the filling.
 */
import { openPool, type Pool } from "ransomeye-db";
import { Chain, producerId } from "ransomeye-engine/testing";
import type { TestDatabase } from "ransomeye-db/testing";
import { type Telemetry, seededRandom, systemClock } from "ransomeye-kernel";
import { type Bus, openPostgresBus } from "ransomeye-pipeline";
import { eventPool, type LinePool } from "../load/line_pool.ts";

/** Events of a frame: about 250 KB. */
const frameEvents = 600;
/** Different lines of the pool that payloads are cut from. */
const poolLines = 50_000;
const how = { gateway: "bench", incarnation: producerId(0xffff), registryVersion: 0 } as const;

/** Producers that fill the log. */
export class LogLoad {
  readonly #bus: Bus;
  readonly #pools: readonly Pool[];
  readonly #chains: readonly { readonly chain: Chain; readonly part: number }[];
  readonly #lines: LinePool;

  private constructor(bus: Bus, pools: readonly Pool[], chains: readonly { readonly chain: Chain; readonly part: number }[]) {
    this.#bus = bus;
    this.#pools = pools;
    this.#chains = chains;
    this.#lines = eventPool(3, poolLines, seededRandom("dataplane"));
  }

  static async open(database: TestDatabase, producers: number, telemetry: Telemetry): Promise<LogLoad> {
    const poolOf = (role: "ransomeye_gate" | "ransomeye_engine"): Pool =>
      openPool({ connection: database.roleConnection(role), max: 4, applicationName: "bench load", telemetry });
    const [gatePool, enginePool] = [poolOf("ransomeye_gate"), poolOf("ransomeye_engine")];
    const bus = await openPostgresBus({ gatePool, enginePool, clock: systemClock, telemetry });
    const chains = await Promise.all(
      Array.from({ length: producers }, async (_, n) => {
        const chain = new Chain(producerId(n));
        const opened = await bus.openEpoch({ producer: chain.producer, expectedEpoch: 0, keyId: "0011223344556677", registryVersion: 0 });
        if (opened.kind !== "opened") throw new Error(`an epoch was not opened: ${opened.kind}`);
        chain.open(opened.epoch, opened.prev);
        return { chain, part: opened.part };
      }),
    );
    return new LogLoad(bus, [gatePool, enginePool], chains);
  }

  /** Appends at least so many events, all producers in turn. Gives how many. */
  async append(events: number): Promise<number> {
    const each = Math.ceil(events / this.#chains.length / frameEvents);
    await Promise.all(
      this.#chains.map(async ({ chain, part }) => {
        for (let n = 0; n < each; n += 1) {
          const frame = chain.frame({ payload: this.#lines.take(frameEvents), count: frameEvents });
          const [outcome] = await this.#bus.append(part, [frame], how);
          if (outcome?.kind !== "accepted") throw new Error(`a frame was not accepted: ${outcome?.kind}`);
        }
      }),
    );
    return each * frameEvents * this.#chains.length;
  }

  async close(): Promise<void> {
    await this.#bus.close();
    for (const pool of this.#pools) await pool.end();
  }
}
