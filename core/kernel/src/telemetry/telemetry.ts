/**
 * Why: logs and metrics leave a process in one place, whichever room speaks.
 * Enforces: JSON lines in one place, each with its role, event name and bounded text; metrics from the same call, and alarms, whatever the log level is.
 * Forbids: console.log in rooms, and fields that are not flat.
 */
import type { Logger } from "pino";
import { pinoPackage } from "../lazy.ts";
import { limits } from "../limits.ts";
import { raisedAlarm, type RaisedAlarm } from "./alarms.ts";
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

/** `level` is a log level or `silent`. */
export interface TelemetryOptions {
  readonly role: string;
  readonly level: string;
  /** A file descriptor, 2 (standard error) by default, or who keeps the lines. */
  readonly destination?: number | LineTaker;
  /** Who brings alarms to the operator; called within `emit`. */
  readonly onAlarm?: (alarm: RaisedAlarm) => void;
}

/** Whoever keeps lines elsewhere than in a file descriptor; each comes whole, with its line feed. */
export interface LineTaker {
  write(line: string): void;
}

/**
 * Telemetry over pino and prom-client. Writing is synchronous on purpose: a process that is killed has said what it knew, and lines are few (hot
 * paths count, they do not log).
 */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { pino, stdTimeFunctions } = pinoPackage();
  const { taker, flush } = openDestination(options.destination ?? 2);
  const logger = pino(
    {
      level: options.level,
      base: { process_role: options.role, process_pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    taker,
  );
  const metrics = new MetricStore();
  metrics.collectProcess();
  return telemetryOver({ logger, metrics, flush, onAlarm: options.onAlarm }, {});
}

function openDestination(destination: number | LineTaker): { readonly taker: LineTaker; readonly flush: () => void } {
  if (typeof destination !== "number") return { taker: destination, flush: () => undefined };
  const file = pinoPackage().pino.destination({ fd: destination, sync: true });
  return { taker: file, flush: () => file.flushSync() };
}

/** Where events go. */
interface Outlets {
  readonly logger: Logger;
  readonly metrics: MetricStore;
  readonly flush: () => void;
  readonly onAlarm: TelemetryOptions["onAlarm"];
}

function telemetryOver(outlets: Outlets, bindings: Fields): Telemetry {
  const { logger, metrics, flush, onAlarm } = outlets;
  return {
    emit(event, fields) {
      const all: Fields = { ...bindings, ...fields };
      metrics.record(event, all);
      if (logger.isLevelEnabled(event.level)) logger[event.level]({ event: event.name, ...lineFields(all) });
      if (event.alarm !== undefined) onAlarm?.(raisedAlarm(event.name, event.alarm, all));
    },
    set: (gauge, value, labels = {}) => metrics.set(gauge, value, labels),
    child: (more) => telemetryOver(outlets, { ...bindings, ...more }),
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
