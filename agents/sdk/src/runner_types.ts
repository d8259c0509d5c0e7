/**
 * Why: the runner stands between an application and the heart; this is what it knows of the one and tells the other.
 * Enforces: nothing but types. Forbids: more than a producer needs.
 */
import type { Clock, Random, Telemetry } from "ransomeye-kernel";
import type { SdkError } from "./codes.ts";
import type { ProducerIdentity } from "./identity.ts";
import type { Effect } from "./machine_types.ts";
import type { ResolvedOptions } from "./options.ts";

/** What a runner needs from around it. */
export interface RunnerContext {
  readonly identity: ProducerIdentity;
  readonly gateway: { readonly host: string; readonly port: number };
  readonly spoolDir: string;
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

/** What a runner tells the application side. */
export interface RunnerListener {
  settled(effect: Extract<Effect, { kind: "settle" }>): void;
  /** Calls up to this batch are durable here. */
  spooled(through: number): void;
  /** Something left the spool or got its answer. */
  progressed(): void;
  linger(ms: number): void;
  stopped(error: SdkError): void;
}
