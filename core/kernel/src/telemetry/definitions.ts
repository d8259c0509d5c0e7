/**
 * Why: one event, one place, one set of fields. The log line and the metric cannot disagree, because one `emit` writes both.
 * Enforces: every event and gauge is a definition that the reference page can list.
 * Forbids: free log text, and metrics that no definition describes.
 */
import { invariant } from "../errors.ts";

/** What a field may hold. Bounded text only; never secrets, never whole events. */
export type FieldValue = string | number | boolean | null | undefined;
export type Fields = Readonly<Record<string, FieldValue>>;

/** `error` means data at risk or an operator needed, and nothing else. */
export type Level = "debug" | "info" | "warn" | "error";

/** A counter that grows with each emit: by 1, or by the number in field `by`. Labels are fields with few distinct values. */
export interface CounterDefinition<F extends Fields> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly (keyof F & string)[];
  readonly by?: keyof F & string;
}

/** A histogram that observes the number in field `value` at each emit. */
export interface HistogramDefinition<F extends Fields> {
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly (keyof F & string)[];
  readonly value: keyof F & string;
  readonly buckets: readonly number[];
}

/** An event of a room: a log line, and where given a counter and a histogram. */
export interface EventDefinition<F extends Fields> {
  /** snake_case, past tense where something happened: `frame_refused`. */
  readonly name: string;
  readonly level: Level;
  readonly help: string;
  readonly counter?: CounterDefinition<F>;
  readonly histogram?: HistogramDefinition<F>;
}

/** A value that goes up and down, set where it changes. */
export interface GaugeDefinition {
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
}

const snakeCase = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;

/** Declares an event with its fields' type: `defineEvent<{ stage: string; count: number }>({ ... })`. Stands in the room's `events.ts`. */
export function defineEvent<F extends Fields>(definition: EventDefinition<F>): EventDefinition<F> {
  invariant(snakeCase.test(definition.name), `event name ${definition.name} is not snake_case`);
  for (const metric of [definition.counter, definition.histogram]) {
    if (metric !== undefined) invariant(snakeCase.test(metric.name), `metric name ${metric.name} is not snake_case`);
  }
  return Object.freeze(definition);
}

/** Declares a gauge. Stands in the room's `events.ts`. */
export function defineGauge(definition: GaugeDefinition): GaugeDefinition {
  invariant(snakeCase.test(definition.name), `metric name ${definition.name} is not snake_case`);
  return Object.freeze(definition);
}

const prefix = "ransomeye_";

/** The name under which a metric is exposed: all of ours start with `ransomeye_`, which definitions may leave out. */
export function metricName(name: string): string {
  return name.startsWith(prefix) ? name : `${prefix}${name}`;
}
