/**
 * Why: one event, one place, one set of fields. The log line and the metric cannot disagree, because one `emit` writes both.
 * Enforces: every event and gauge is a definition that the reference page can list; an event of level `error` is an alarm, with a metric, or says why it is none.
 * Forbids: free log text, metrics that no definition describes, and alarms below the level `error`.
 */
import { invariant } from "../errors.ts";
import { alarmTitleCharsMax } from "./alarms.ts";

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

/** How bad it is. Nobody is woken for less. */
export type AlarmSeverity = "medium" | "high" | "critical";

/** What becomes a message in `stream:alerts`, beside the line and the metric. */
export interface AlarmDefinition<F extends Fields> {
  /** What an operator reads first, always the same: figures and names are in the fields. */
  readonly title: string;
  readonly severity: AlarmSeverity;
  /** Fields that say whom or what it is about: where they are alike it is the same alarm again, and is counted. */
  readonly about: readonly (keyof F & string)[];
}

/** An event of a room: a log line, and where given a counter, a histogram and an alarm. */
export interface EventDefinition<F extends Fields> {
  /** snake_case, past tense where something happened: `frame_refused`. */
  readonly name: string;
  readonly level: Level;
  readonly help: string;
  readonly counter?: CounterDefinition<F>;
  readonly histogram?: HistogramDefinition<F>;
  /** Of level `error` only; the counter is its metric. */
  readonly alarm?: AlarmDefinition<F>;
  /** Of an event of level `error` that is no alarm: who tells an operator instead. */
  readonly noAlarm?: string;
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
  const { name, level, counter, alarm, noAlarm } = definition;
  const ways = [alarm, noAlarm].filter((way) => way !== undefined).length;
  invariant(
    ways === (level === "error" ? 1 : 0),
    `event ${name}: what is an error is an alarm, or says why it is none; nothing else is one`,
  );
  invariant(
    alarm === undefined || (alarm.title !== "" && alarm.title.length <= alarmTitleCharsMax),
    `event ${name}: its alarm's title is too long, or empty`,
  );
  invariant(alarm === undefined || counter !== undefined, `event ${name}: an alarm has a metric`);
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
