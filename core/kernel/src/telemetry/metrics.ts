/**
 * Why: prom-client keeps one series for each label set for ever, so an attacker who chooses a label value could fill the memory.
 * Enforces: at most `limits.metricSeriesMax` series a metric; what comes beyond is counted together under `_other`, so sums stay right.
 * Forbids: registering a metric twice with different labels.
 */
import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { invariant } from "../errors.ts";
import { promClientPackage } from "../lazy.ts";
import { limits } from "../limits.ts";
import { type EventDefinition, type Fields, type GaugeDefinition, metricName } from "./definitions.ts";

type Labels = Record<string, string>;

interface Series<M> {
  readonly metric: M;
  readonly labels: readonly string[];
  readonly known: Set<string>;
}

/** The metrics of one process. */
export class MetricStore {
  /** Made with its first metric: a command that counts nothing loads no client. */
  #made: Registry | undefined;
  readonly #counters = new Map<string, Series<Counter>>();
  readonly #histograms = new Map<string, Series<Histogram>>();
  readonly #gauges = new Map<string, Series<Gauge>>();

  get #registry(): Registry {
    this.#made ??= new (promClientPackage().Registry)();
    return this.#made;
  }

  /** Adds Node's own metrics (CPU, memory, event loop delay, garbage collection). */
  collectProcess(): void {
    promClientPackage().collectDefaultMetrics({ register: this.#registry });
  }

  /** Counts and observes what the definition asks for. */
  record<F extends Fields>(event: EventDefinition<F>, fields: Fields): void {
    if (event.counter !== undefined) {
      const { name, help, labels, by } = event.counter;
      const series = obtain(
        this.#counters,
        name,
        labels,
        (full) => new (promClientPackage().Counter)<string>({ name: full, help, labelNames: labels, registers: [this.#registry] }),
      );
      series.metric.inc(labelsOf(series, fields), by === undefined ? 1 : numberOf(event.name, by, fields[by]));
    }
    if (event.histogram !== undefined) {
      const { name, help, labels, value, buckets } = event.histogram;
      const series = obtain(
        this.#histograms,
        name,
        labels,
        (full) =>
          new (promClientPackage().Histogram)<string>({
            name: full,
            help,
            labelNames: labels,
            buckets: [...buckets],
            registers: [this.#registry],
          }),
      );
      series.metric.observe(labelsOf(series, fields), numberOf(event.name, value, fields[value]));
    }
  }

  /** Sets a gauge. */
  set(gauge: GaugeDefinition, value: number, labels: Fields): void {
    const { name, help } = gauge;
    const series = obtain(
      this.#gauges,
      name,
      gauge.labels,
      (full) => new (promClientPackage().Gauge)<string>({ name: full, help, labelNames: gauge.labels, registers: [this.#registry] }),
    );
    series.metric.set(labelsOf(series, labels), value);
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

function obtain<M>(all: Map<string, Series<M>>, name: string, labels: readonly string[], create: (fullName: string) => M): Series<M> {
  let series = all.get(name);
  if (series === undefined) {
    series = { metric: create(metricName(name)), labels, known: new Set() };
    all.set(name, series);
  }
  invariant(
    series.labels.length === labels.length && labels.every((label) => series.labels.includes(label)),
    `metric ${name} has two sets of labels`,
  );
  return series;
}

function labelsOf(series: Series<unknown>, fields: Fields): Labels {
  const labels: Labels = {};
  let key = "";
  for (const label of series.labels) {
    const value = String(fields[label] ?? "");
    labels[label] = value;
    key += `${value}\u0000`;
  }
  if (series.known.has(key)) return labels;
  if (series.known.size < limits.metricSeriesMax) {
    series.known.add(key);
    return labels;
  }
  for (const label of series.labels) labels[label] = "_other";
  return labels;
}

function numberOf(event: string, field: string, value: unknown): number {
  invariant(typeof value === "number" && Number.isFinite(value) && value >= 0, `event ${event}: field ${field} is no number`);
  return value;
}
