/**
 * Why: a system takes seconds to start and a fault can be struck again and again; so one system serves many runs.
 * Enforces: a data directory, a prefix of keys and producers of its own; it knows how many events the runs before have stored, so that the next run's are
 *   counted apart from them.
 * Forbids: going on after a run that failed: what it left behind would be counted against the next one.
 */
import { basename, join } from "node:path";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { type GroupLag, openRedisConsumer, partitionOf, type RedisBusOptions } from "ransomeye-pipeline";
import { loadIdentity } from "ransomeye-sdk";
import { enrolShipper } from "../crash/shipped_load.ts";
import { RunningSystem } from "../harness/running_system.ts";
import type { BusServers } from "./bus_servers.ts";

const partitions = 16;
const shippersMin = 3;
/** A process that is killed run after run shall not be kept away longer and longer. */
const restartMsMax = 1000;
/** Many small frames: the more calls there are, the more often one is under way when a fault strikes. */
const lingerMs = 1;
/** A system that is stuck shall not be waited for when it is ended. */
const drainMsMax = 5000;

/** Who ships, and in which partition its events lie. */
interface Shipper {
  readonly part: number;
  /** Options of `ship`. */
  readonly identity: readonly string[];
}

export class Stage implements AsyncDisposable {
  readonly servers: BusServers;
  readonly system: RunningSystem;
  readonly shippers: readonly Shipper[];
  /** Events that the runs so far have stored: the next one's are numbered after them. */
  stored = 0;

  private constructor(servers: BusServers, system: RunningSystem, shippers: readonly Shipper[]) {
    this.servers = servers;
    this.system = system;
    this.shippers = shippers;
  }

  /**
   * Starts a system whose log lies on these servers.
   * @param settings further configuration, as `field=value`
   */
  static async open(servers: BusServers, settings: readonly string[]): Promise<Stage> {
    const all = [
      ...[`bus.partitions=${partitions}`, `gateway.linger_ms=${lingerMs}`],
      ...[`supervisor.restart_ms_max=${restartMsMax}`, `supervisor.drain_ms_max=${drainMsMax}`],
      ...settings,
    ];
    const system = await RunningSystem.start(["--bus", servers.url, ...all.flatMap((setting) => ["--set", setting])]);
    try {
      return new Stage(servers, system, await shippersOf(system));
    } catch (error) {
      await system[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What begins the names of this system's keys. */
  get prefix(): string {
    return basename(this.system.dataDir);
  }

  /** A partition that more than one shipper writes to. */
  get sharedPart(): number {
    const parts = this.shippers.map(({ part }) => part);
    return parts.find((part, at) => parts.indexOf(part) !== at) ?? 0;
  }

  /** How far the engine is behind, by the word of the log's servers themselves. */
  async lag(): Promise<readonly GroupLag[]> {
    const options: RedisBusOptions = {
      url: this.servers.url,
      prefix: this.prefix,
      durability: { level: "local" },
      clock: systemClock,
      telemetry: recordingTelemetry(),
    };
    const consumer = await openRedisConsumer(options);
    try {
      return await consumer.lag("engine");
    } finally {
      await consumer.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.system[Symbol.asyncDispose]();
  }
}

/** Some shippers, of which two write to the same partition: what one does there can then harm another. */
async function shippersOf(system: RunningSystem): Promise<readonly Shipper[]> {
  const all: Shipper[] = [];
  for (let at = 1; ; at += 1) {
    const name = `shipper-${at}`;
    const identity = await enrolShipper(system, name);
    const { producer } = await loadIdentity(join(system.dataDir, "identities", name));
    const part = partitionOf(producer, partitions);
    const other = all.find((shipper) => shipper.part === part);
    all.push({ part, identity });
    if (other === undefined || all.length < shippersMin) continue;
    const alone = all.filter((shipper) => shipper.part !== part).slice(0, shippersMin - 2);
    return [other, { part, identity }, ...alone];
  }
}
