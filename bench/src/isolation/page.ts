/**
 * Why: the figures of the isolation bench for people.
 * Enforces: the page is made from the figures that were judged.
 * Forbids: figures of its own.
 */
import type { Page, Part } from "ransomeye-tests";
import { median } from "../stats.ts";
import { type Arrangement, arrangements, type IsolationFigures, judge, p99Ratio, type WindowFigures } from "./verdict.ts";

/** The page. */
export function isolationPage(parts: readonly Part<IsolationFigures>[]): Page {
  const tables = parts.flatMap(({ figures }) => [
    {
      caption: "Verdict",
      head: ["", "what"],
      rows: judge(figures).lines.map((line) => [line.slice(0, 4).trim(), line.slice(6)]),
    },
    {
      caption: `Windows of ${figures.seconds} s: ${figures.honest} honest producers with ${figures.honestEventsPerSecond} events/s together; the greedy one offers ${figures.greedyEventsPerSecond} events/s. Medians of ${figures.rounds.length} rounds`,
      head: ["gateway", "reads p50", "p99", "p99 against quiet", "honest events/s", "greedy events/s"],
      rows: [
        row(
          "quiet",
          figures.rounds.map(({ quiet }) => quiet),
          1,
        ),
        ...arrangements.map((name: Arrangement) =>
          row(
            name,
            figures.rounds.map(({ flooded }) => flooded[name]),
            p99Ratio(figures, name),
          ),
        ),
      ],
    },
  ]);
  return {
    title: "What readers notice of a flood at the gateway",
    lead: "One client reads views of one running system without a pause worth the name: an event by its id with its signed batch's place, and a range of rows. Quiet and flooded windows in turn; the gateway as the supervisor starts it (as started), waiting for others (nice: 5, of the process and of its session), and on one core only (one core, as `taskset` does it). The flooders' process has a session and the lowest priority of its own, for an attacker brings his own cores.",
    tables,
  };
}

function row(name: string, windows: readonly WindowFigures[], ratio: number): string[] {
  const of = (value: (window: WindowFigures) => number): number => median(windows.map(value));
  return [
    name,
    `${of(({ p50Ms }) => p50Ms).toFixed(2)} ms`,
    `${of(({ p99Ms }) => p99Ms).toFixed(2)} ms`,
    ratio.toFixed(2),
    of(({ honestEventsPerSecond }) => honestEventsPerSecond).toFixed(0),
    of(({ greedyEventsPerSecond }) => greedyEventsPerSecond).toFixed(0),
  ];
}
