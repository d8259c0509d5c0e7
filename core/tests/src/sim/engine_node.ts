/**
 * Why: the engine's real loops (leases, look-out, gathering, settling) run here over the model of the server, under the virtual clock.
 * Enforces: a killed engine hears nothing any more, but what it had sent may still be carried out; a stopped one goes on with stale beliefs.
 * Forbids: decisions of its own.
 */
import { type CommitGroup, type RunOutcome, type SinkStore, runEngine } from "ransomeye-engine";
import { Lifetime, type Telemetry } from "ransomeye-kernel";
import type { Oracle } from "./oracle.ts";
import { Life, type Scheduler, chance } from "./scheduler.ts";
import type { SimServer } from "./server.ts";

export interface EngineNodeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly server: SimServer;
  readonly oracle: Oracle;
}

const engineConfig = { engine: { commitRowsMax: 40, commitMsMax: 25, writers: 2, leaseMs: 1500 } };

export class EngineNode {
  readonly #options: EngineNodeOptions;
  #life: Life;
  #lifetime: Lifetime | undefined;

  constructor(options: EngineNodeOptions) {
    this.#options = options;
    this.#life = new Life(options.scheduler);
    this.#start();
  }

  get life(): Life {
    return this.#life;
  }

  crash(downMs: number): void {
    this.#life.kill();
    this.#startIn(downMs);
  }

  /** SIGTERM: drains, gives its leases back, and starts again. */
  restart(downMs: number): void {
    const life = this.#life;
    this.#lifetime?.drain().then(
      () => {
        if (life !== this.#life || !life.alive) return;
        life.kill();
        this.#startIn(downMs);
      },
      (error: unknown) => this.#options.oracle.fail(`${this.#options.name} did not drain: ${String(error)}`),
    );
  }

  #startIn(downMs: number): void {
    this.#options.scheduler.in(downMs, `${this.#options.name} starts again`, () => this.#start());
  }

  #start(): void {
    const { name, scheduler, server, oracle } = this.#options;
    const life = new Life(scheduler);
    const clock = life.clock();
    const lifetime = new Lifetime(clock);
    this.#life = life;
    this.#lifetime = lifetime;
    const sinks = Array.from({ length: engineConfig.engine.writers }, () => new SimSink(life, scheduler, server, name));
    const telemetry = telling((event, fields) => {
      scheduler.note(`${name}: ${event} ${JSON.stringify(fields)}`);
      oracle.engineTold(name, event, fields);
    });
    runEngine({
      bus: server.log(life, name),
      groups: server.groupsOf(life),
      member: name,
      config: engineConfig,
      clock,
      random: scheduler.random,
      telemetry,
      lifetime,
      sinks,
    });
  }
}

/** The sink as an engine reaches it: the transaction is one request, and an unknown COMMIT is settled by asking again (R-3). */
class SimSink implements SinkStore {
  readonly #life: Life;
  readonly #scheduler: Scheduler;
  readonly #server: SimServer;
  readonly #name: string;

  constructor(life: Life, scheduler: Scheduler, server: SimServer, name: string) {
    this.#life = life;
    this.#scheduler = scheduler;
    this.#server = server;
    this.#name = name;
  }

  async store(group: CommitGroup): Promise<ReadonlyMap<number, RunOutcome>> {
    let outcomes: ReadonlyMap<number, RunOutcome> | undefined;
    const label = `${this.#name} stores ${group.runs.map((run) => `${run.part}@${run.frames[0]?.position.off}+${run.frames.length}`).join(" ")}`;
    for (;;) {
      try {
        return await this.#server.call(this.#life, outcomes === undefined ? label : "", () => {
          // Settling reads how it ended; it never does the work again.
          if (outcomes === undefined && !chance(this.#scheduler.random, this.#server.faults.refused))
            outcomes = this.#server.database.transact(group);
          return outcomes ?? failedRuns(group);
        });
      } catch {
        // No answer. Whether the transaction was carried out is known to the server alone; if not, nothing was stored.
        if (outcomes === undefined) return failedRuns(group);
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function failedRuns(group: CommitGroup): ReadonlyMap<number, RunOutcome> {
  return new Map(
    group.runs.map((run) => [
      run.part,
      { kind: "failed", code: "ENGINE_SINK_UNREACHABLE", rests: false, reason: "the server is away" } as const,
    ]),
  );
}

/** A telemetry that hands on what is worth a word. */
function telling(tell: (event: string, fields: Readonly<Record<string, unknown>>) => void): Telemetry {
  const telemetry: Telemetry = {
    emit: (event, fields) => {
      if (event.level === "error" || event.name === "lease_taken" || event.name === "lease_lost") tell(event.name, fields);
    },
    set: () => undefined,
    child: () => telemetry,
    metricsText: () => Promise.resolve(""),
    flush: () => undefined,
  };
  return telemetry;
}
