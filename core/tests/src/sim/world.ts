/**
 * Why: one seed makes one world: parties, work, faults and their moments; it runs, heals, drains, and is judged.
 * Enforces: faults of every kind while the work lasts, none afterwards; then everything must drain within bounded virtual time.
 * Forbids: anything that would make two runs of one seed differ.
 */
import { type GatewaySettings, type Identity, type ProducerDirectory, gatewaySettings } from "ransomeye-ingestion";
import { seededRandom } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { testConfig } from "../gate/test_gate.ts";
import { EngineNode } from "./engine_node.ts";
import { type Hazards, drawHazards, strike } from "./faults.ts";
import { GateNode } from "./gate_node.ts";
import { intrude } from "./intruder.ts";
import { type SimKey, makeKey } from "./keys.ts";
import { Oracle } from "./oracle.ts";
import { ProducerNode } from "./producer_node.ts";
import { Scheduler, between, chance, pick } from "./scheduler.ts";
import { SimServer } from "./server.ts";
import type { WireFaults } from "./wire.ts";

export interface Verdict {
  readonly seed: number;
  readonly steps: number;
  readonly virtualMs: number;
  readonly promises: number;
  readonly rows: number;
  readonly deadLetters: number;
  readonly failures: readonly string[];
  readonly trace: readonly string[];
}

export interface WorldOptions {
  readonly seed: number;
  /** A run that needs more steps than this has not drained. */
  readonly stepsMax?: number;
}

/** All parties of one run. */
export interface World {
  readonly scheduler: Scheduler;
  readonly server: SimServer;
  readonly oracle: Oracle;
  readonly producers: readonly ProducerNode[];
  readonly gates: readonly GateNode[];
  readonly engines: readonly EngineNode[];
  readonly wires: WireFaults;
}

const stepsMaxDefault = 400_000;
/** After the faults have ended, everything must be stored within this virtual time. */
const healedMsMax = 120_000;
const kinds: readonly ProducerKind[] = ["dpi", "linux", "windows", "honeypot"];

/** Runs the world of one seed to its end. */
export async function runWorld({ seed, stepsMax = stepsMaxDefault }: WorldOptions): Promise<Verdict> {
  const scheduler = new Scheduler(seededRandom(`simulation ${seed}`));
  const { random } = scheduler;
  const oracle = new Oracle();
  const server = new SimServer(scheduler, between(random, 1, 6), oracle);
  const wires: WireFaults = { delayMsMax: 5 };
  const members = Array.from({ length: between(random, 1, 4) }, (_, i) => ({
    id: idOf(i + 1),
    kind: pick(random, kinds),
    key: makeKey(`producer ${i + 1}`),
  }));
  const intruder = { id: idOf(99), kind: "linux" as const, key: makeKey("intruder") };
  const all = [...members, intruder];
  const gateOptions = {
    scheduler,
    server,
    settings: settings(),
    directory: directoryOf(all),
    oracle,
    identityOf: (producer: string) => identityOf(all, producer),
  };
  const gates = Array.from({ length: between(random, 1, 4) }, (_, i) => new GateNode({ ...gateOptions, name: `gate ${i + 1}` }));
  const producers = members.map(({ id, kind, key }) => {
    oracle.know(id);
    return new ProducerNode({ scheduler, producer: id, kind, key, faults: wires, oracle, gates: () => gates });
  });
  const engines = Array.from(
    { length: between(random, 1, 2) },
    (_, i) => new EngineNode({ name: `engine ${i + 1}`, scheduler, server, oracle }),
  );
  const world: World = { scheduler, server, oracle, producers, gates, engines, wires };

  const workMs = between(random, 1000, 8000);
  work(world, workMs);
  const hazards: Hazards = drawHazards(random);
  strike(world, hazards, workMs);
  scheduleIntruders(world, hazards, workMs, intruder, members);

  const drained = (): boolean => scheduler.nowMs > workMs && (oracle.failures.length > 0 || isDrained(world));
  const done = await scheduler.run(drained, workMs + healedMsMax, stepsMax);
  if (!done && oracle.failures.length === 0)
    oracle.fail(`not drained after ${Math.round(scheduler.nowMs)} ms and ${scheduler.steps} steps: ${describe(world)}`);
  if (oracle.failures.length === 0) await oracle.judge(server);
  const { rows, deadLetters } = server.database;
  return {
    seed,
    steps: scheduler.steps,
    virtualMs: scheduler.nowMs,
    promises: oracle.promises,
    rows: rows.length,
    deadLetters: deadLetters.length,
    failures: oracle.failures,
    trace: scheduler.trace,
  };
}

/** The applications: calls of a few batches of a few lines, at random moments. */
function work({ scheduler, producers, oracle }: World, workMs: number): void {
  const { random } = scheduler;
  for (const [p, producer] of producers.entries()) {
    let n = 0;
    const line = (): string => {
      n += 1;
      const text = chance(random, 0.05) ? `no event ${p}-${n}` : eventLine(`h${p}-${n}`);
      oracle.handed(producer.id, text);
      return text;
    };
    for (let call = between(random, 3, 40); call > 0; call--) {
      scheduler.in(random.float() * workMs, "", () => {
        if (!producer.life.alive) return;
        producer.handOver(Array.from({ length: between(random, 1, 3) }, () => Array.from({ length: between(random, 1, 4) }, line)));
      });
    }
  }
}

function scheduleIntruders(
  { scheduler, gates, wires }: World,
  hazards: Hazards,
  workMs: number,
  intruder: Member,
  members: readonly Member[],
): void {
  const victims = members.map(({ id }) => id);
  const victimKeyId = members[0]?.key.keyId ?? intruder.key.keyId;
  for (let i = 0; i < hazards.intrusions; i++) {
    scheduler.in(scheduler.random.float() * workMs, "", () =>
      intrude({ scheduler, id: intruder.id, key: intruder.key, victims, victimKeyId, faults: wires, gates: () => gates }),
    );
  }
}

function isDrained({ producers, server }: World): boolean {
  return producers.every((producer) => producer.life.alive && producer.isIdle && producer.stats.frames === 0) && server.isDrained();
}

function describe({ producers, server }: World): string {
  return JSON.stringify({
    producers: producers.map((producer) => ({ id: producer.id.slice(-2), ...producer.stats })),
    partitions: server.describe(),
  });
}

interface Member {
  readonly id: string;
  readonly kind: ProducerKind;
  readonly key: SimKey;
}

function idOf(n: number): string {
  return `00000000-0000-4000-8000-0000000000${String(n).padStart(2, "0")}`;
}

function identityOf(members: readonly Member[], producer: string): Identity {
  const kind = members.find(({ id }) => id === producer)?.kind ?? "linux";
  return { producer, kind, trustDomain: "simulation", fingerprint: "00", notAfterUs: Number.MAX_SAFE_INTEGER };
}

function directoryOf(members: readonly Member[]): ProducerDirectory {
  const entries = new Map(
    members.map(({ id, kind, key }) => [
      id,
      { producer: id, kind, status: "active" as const, keys: new Map([[key.keyId, { publicKey: key.publicKey }]]) },
    ]),
  );
  return { version: 1, ageMs: () => 0, lookup: (producer) => entries.get(producer), onChange: () => () => undefined };
}

/** Small bounds, so that they are reached. */
function settings(): GatewaySettings {
  const base = gatewaySettings("gate", {
    ...testConfig,
    trustDomain: "simulation",
    sessionsMax: 20,
    appendConnections: 3,
    rateEventsPerSecondMax: 100_000,
    rateBytesPerSecondMax: 50 * 1024 * 1024,
  });
  return { ...base, appendFramesMax: 5, comeBackSpreadMs: 300 };
}

function eventLine(host: string): string {
  const metadata = { version: "1.9.0", product: { name: "simulation", vendor_name: "RansomEye" } };
  return JSON.stringify({
    activity_id: 1,
    category_uid: 0,
    class_uid: 0,
    type_uid: 1,
    severity_id: 1,
    time: 1_790_000_000_000,
    metadata,
    device: { hostname: host, type_id: 2 },
  });
}
