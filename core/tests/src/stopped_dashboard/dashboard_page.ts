/**
 * Why: the run of a million messages as a page.
 * Enforces: the verdict stands beside the figures it is made of.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";
import type { DashboardRecord, PublishTimes } from "./dashboard_run.ts";

/** Publishing at p99 while the dashboard is stopped, over the same while it runs. */
export const ratioMax = 2;

export function hasPassed({ lost, doubled, outOfOrder, ratio }: DashboardRecord): boolean {
  return lost === 0 && doubled === 0 && outOfOrder === 0 && ratio <= ratioMax;
}

/** What an earlier run found of other adapters stays. */
export function besides(earlier: readonly DashboardRecord[], now: readonly DashboardRecord[]): readonly DashboardRecord[] | undefined {
  const stays = earlier.filter(({ adapter }) => now.every((record) => record.adapter !== adapter));
  return stays.length === 0 ? undefined : stays;
}

export function dashboardPage(parts: readonly Part<readonly DashboardRecord[]>[]): Page {
  const records = parts.flatMap(({ figures }) => figures);
  return {
    title: "A dashboard that is stopped",
    lead: "The whole system runs; a dashboard's group consumes stream:attacks one message after the other. A publisher sends attacks of all four priorities, first a tenth while the dashboard runs, then all while it is stopped; then it is started again and counts what it is given.",
    tables: [
      {
        caption: "Publishing",
        head: ["streams in", "dashboard", "messages", "a second", "p50 ms", "p99 ms", "slowest ms", "p99 ratio"],
        rows: records.flatMap(({ adapter, messages, running, stopped, ratio }) => [
          [adapter, "runs", String(Math.ceil(messages / 10)), ...cellsOf(running), ""],
          [adapter, "stopped", String(messages), ...cellsOf(stopped), ratio.toFixed(2)],
        ]),
      },
      {
        caption: "After it was started again",
        head: ["streams in", "waited for it", "in the archive alone", "read a second", "lost", "doubled", "out of order", "verdict"],
        rows: records.map((record) => [
          record.adapter,
          String(record.messages),
          record.archivedOnly === null ? "the log is the archive" : String(record.archivedOnly),
          record.readPerSecond.toFixed(0),
          String(record.lost),
          String(record.doubled),
          String(record.outOfOrder),
          hasPassed(record) ? "passed" : "FAILED",
        ]),
      },
    ],
  };
}

function cellsOf({ p50, p99, max, perSecond }: PublishTimes): string[] {
  return [perSecond.toFixed(0), p50.toFixed(2), p99.toFixed(2), max.toFixed(0)];
}
