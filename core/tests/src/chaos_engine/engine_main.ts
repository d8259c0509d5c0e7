/**
 * Why: an engine that can be killed or stopped is a process of its own.
 * Enforces: the engine as its role starts it, with one difference: at the step for which it is armed it tells its parent, and waits for word.
 * Forbids: faults of its own making.
 */
import { type Connection, openPool } from "ransomeye-db";
import { type SinkStep, startEngine } from "ransomeye-engine";
import { Lifetime, loadConfig, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { openPostgresConsumer } from "ransomeye-pipeline";

export interface EngineStart {
  /** As role ransomeye_engine. */
  readonly connection: Connection;
  readonly member: string;
  readonly leaseMs: number;
}

export type EngineOrder = { readonly start: EngineStart } | { readonly arm: SinkStep | null } | { readonly goOn: true };

/** The step has come, in the transaction of this backend. */
export interface EngineStrike {
  readonly struck: SinkStep;
  readonly backendPid: number;
}

const lifetime = new Lifetime();
let armed: SinkStep | null = null;
let goOn: () => void = () => undefined;

async function start({ connection, member, leaseMs }: EngineStart): Promise<void> {
  const telemetry = recordingTelemetry();
  const { engine } = loadConfig({});
  const pool = openPool({ connection, max: engine.writers + 4, applicationName: member, telemetry });
  const bus = await openPostgresConsumer({ pool, telemetry });
  startEngine({
    bus,
    groups: bus,
    pool,
    member,
    config: { engine: { ...engine, leaseMs } },
    clock: systemClock,
    random: systemRandom,
    telemetry,
    lifetime,
    probe: {
      step: async (struck, backendPid) => {
        if (struck !== armed) return;
        armed = null;
        process.send?.({ struck, backendPid } satisfies EngineStrike);
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
      },
    },
  });
}

process.on("message", (order: EngineOrder) => {
  if ("start" in order) start(order.start).catch(() => process.exit(1));
  else if ("arm" in order) armed = order.arm;
  else goOn();
});
// Its parent is gone, or wants it to go.
process.on("disconnect", () => void lifetime.destroy().finally(() => process.exit(0)));
