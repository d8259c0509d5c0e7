/**
 * Why: logs and metrics leave a process in one place, whichever room speaks.
 * Enforces: JSON lines on one file descriptor, each with its role, event name and bounded text; metrics from the same call.
 * Forbids: console.log in rooms, and fields that are not flat.
 */
import { type Logger, pino, stdTimeFunctions } from "pino";
import { limits } from "../limits.ts";
import type { EventDefinition, Fields, FieldValue, GaugeDefinition } from "./definitions.ts";
import { MetricStore } from "./metrics.ts";

/** Where rooms report what happened. */
export interface Telemetry {
  /** Writes the log line, if the level is on, and moves the metrics, always. */
  emit<F extends Fields>(event: EventDefinition<F>, fields: F): void;
  /** Sets a gauge. */
  set(gauge: GaugeDefinition, value: number, labels?: Readonly<Record<string, string>>): void;
  /** A telemetry that adds `bindings` to each event's fields; it shares the metrics. */
  child(bindings: Fields): Telemetry;
  /** The metrics in Prometheus' text format. */
  metricsText(): Promise<string>;
  /** Writes out what is buffered; before a process ends. */
  flush(): void;
}

/** `destination` is a file descriptor, 2 (standard error) by default. `level` is a log level or `silent`. */
export interface TelemetryOptions {
  readonly role: string;
  readonly level: string;
  readonly destination?: number;
}

/**
 * Telemetry over pino and prom-client. Writing is synchronous on purpose: a process that is killed has said what it knew, and lines are few (hot
 * paths count, they do not log).
 */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const destination = pino.destination({ fd: options.destination ?? 2, sync: true });
  const logger = pino(
    {
      level: options.level,
      base: { process_role: options.role, process_pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const metrics = new MetricStore();
  metrics.collectProcess();
  return telemetryOver(logger, metrics, {}, () => destination.flushSync());
}

function telemetryOver(logger: Logger, metrics: MetricStore, bindings: Fields, flush: () => void): Telemetry {
  return {
    emit(event, fields) {
      const all: Fields = { ...bindings, ...fields };
      metrics.record(event, all);
      if (logger.isLevelEnabled(event.level)) logger[event.level]({ event: event.name, ...lineFields(all) });
    },
    set: (gauge, value, labels = {}) => metrics.set(gauge, value, labels),
    child: (more) => telemetryOver(logger, metrics, { ...bindings, ...more }, flush),
    metricsText: () => metrics.text(),
    flush,
  };
}

/** Names that every line has of its own; a field of that name is written as `field_…`. */
const lineNames: ReadonlySet<string> = new Set(["event", "level", "time"]);

/** Cuts texts to `limits.logTextBytesMax`, so that no peer decides how long our lines are. */
function lineFields(fields: Fields): Record<string, FieldValue> {
  const out: Record<string, FieldValue> = {};
  for (const [name, value] of Object.entries(fields)) {
    const isLong = typeof value === "string" && value.length > limits.logTextBytesMax;
    out[lineNames.has(name) ? `field_${name}` : name] = isLong ? `${value.slice(0, limits.logTextBytesMax)}…` : value;
  }
  return out;
}
