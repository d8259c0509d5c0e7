/**
 * Why: tests and the simulation ask what was reported.
 * Enforces: a bounded memory: the newest events are kept, metrics count all of them.
 * Forbids: use in a running system, which has a log.
 */
import type { EventDefinition, Fields, GaugeDefinition } from "./definitions.ts";
import { MetricStore } from "./metrics.ts";
import type { Telemetry } from "./telemetry.ts";

export interface RecordedEvent {
  readonly name: string;
  readonly level: string;
  readonly fields: Fields;
}

/** A telemetry that remembers. `events` holds the newest `recordedEventsMax`, oldest first; `gauges` the last value by name. */
export interface RecordingTelemetry extends Telemetry {
  readonly events: readonly RecordedEvent[];
  readonly gauges: ReadonlyMap<string, number>;
}

export const recordedEventsMax = 10_000;

/** Makes a telemetry that keeps events in memory and writes nothing. Children record into the same list. */
export function recordingTelemetry(): RecordingTelemetry {
  const events: RecordedEvent[] = [];
  const gauges = new Map<string, number>();
  return over(events, gauges, new MetricStore(), {});
}

function over(events: RecordedEvent[], gauges: Map<string, number>, metrics: MetricStore, bindings: Fields): RecordingTelemetry {
  return {
    events,
    gauges,
    emit<F extends Fields>(event: EventDefinition<F>, fields: F): void {
      const all: Fields = { ...bindings, ...fields };
      metrics.record(event, all);
      events.push({ name: event.name, level: event.level, fields: all });
      if (events.length > recordedEventsMax) events.splice(0, events.length - recordedEventsMax);
    },
    set(gauge: GaugeDefinition, value: number, labels: Readonly<Record<string, string>> = {}): void {
      metrics.set(gauge, value, labels);
      gauges.set(gauge.name, value);
    },
    child: (more) => over(events, gauges, metrics, { ...bindings, ...more }),
    metricsText: () => metrics.text(),
    flush: () => undefined,
  };
}
