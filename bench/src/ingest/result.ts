/**
 * Why: what is printed, what is written as JSON and what stands on the result page must be the same figures.
 * Enforces: one type for all three, with units in the names.
 * Forbids: figures that cannot be traced to a run.
 */
import type { Percentiles } from "../stats.ts";
import type { StepRow } from "./steps.ts";

/** One run of the system in the throughput shape. */
export interface ThroughputRun {
  readonly events: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** By line of the account. */
  readonly cpuPerMillion: Readonly<Record<string, number>>;
  readonly systemCpuPerMillion: number;
  readonly peakMemoryMib: Readonly<Record<string, number>>;
}

export interface RawRun {
  readonly rowsPerSecond: number;
  readonly postgresCpuPerMillion: number;
  readonly clientCpuPerMillion: number;
}

/** Medians over the runs, and the runs themselves. */
export interface ThroughputResult {
  readonly producers: number;
  readonly eventBytes: number;
  readonly runs: readonly ThroughputRun[];
  readonly raw: readonly RawRun[];
  readonly eventsPerSecond: number;
  readonly systemCpuPerMillion: number;
  readonly rawRowsPerSecond: number;
  readonly rawCpuPerMillion: number;
  /** Median of system ÷ raw, pair by pair. */
  readonly ratio: number;
  readonly profile: ProfileResult | undefined;
}

/** The profiled run; its rate is not compared with anything. */
export interface ProfileResult {
  readonly steps: readonly StepRow[];
  readonly gcPauses: Readonly<
    Record<string, { readonly count: number; readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number }>
  >;
}

export interface LatencyResult {
  readonly producers: number;
  readonly offeredPerSecond: number;
  readonly seconds: number;
  readonly batches: number;
  readonly receiptMs: Percentiles;
  readonly visibleMs: Percentiles;
  readonly resolutionMs: Percentiles;
}

export interface FleetResult {
  readonly sessions: number;
  readonly simulatedProducers: number;
  readonly offeredEventsPerSecond: number;
  readonly seconds: number;
  readonly lingerMs: number;
  readonly framesPerSecond: number;
  readonly eventsPerSecond: number;
  readonly eventsPerFrame: number;
  readonly receiptMs: Percentiles;
  /** From an event's birth to its receipt: waiting for the frame to be sealed and what follows. */
  readonly eventLatencyMs: Percentiles;
  readonly backlogEvents: number;
  readonly gatewayBytesPerSession: number;
  readonly connectSeconds: number;
  readonly systemCpuPerMillion: number;
  /** What kept it from being more than it is. */
  readonly boundedBy: string;
}

export interface IngestResult {
  /** Load average of the minute before the run: what else the machine was doing. */
  readonly loadBefore: number;
  readonly throughput: ThroughputResult | undefined;
  readonly latency: LatencyResult | undefined;
  readonly fleet: FleetResult | undefined;
  readonly failures: readonly string[];
}
