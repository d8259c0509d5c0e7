/**
 * Why: the figures of the fairness bench for people.
 * Enforces: the page is made from the figures that were judged.
 * Forbids: figures of its own.
 */
import type { Page, Part } from "ransomeye-tests";
import { type FairnessFigures, isShared, judge } from "./verdict.ts";

/** The page. */
export function fairnessPage(parts: readonly Part<FairnessFigures>[]): Page {
  const tables = parts.flatMap(({ figures }) => [
    {
      caption: `Verdict: ${shareOf(figures)}`,
      head: ["", "what"],
      rows: judge(figures).lines.map((line) => [line.slice(0, 4).trim(), line.slice(6)]),
    },
    {
      caption: `Windows of ${figures.seconds} s: ${figures.honest} honest producers with ${figures.honestEventsPerSecond} events/s together; the greedy one offers ${figures.greedyEventsPerSecond} events/s, ${shareOf(figures)}`,
      head: [
        "pair",
        "events/s quiet",
        "flooded",
        "Jain quiet",
        "flooded",
        "p99 quiet",
        "p99 flooded",
        "ratio",
        "greedy: offered",
        "with receipt",
        "ends of flooders' sessions",
        "empty floods",
      ],
      rows: figures.pairs.map((pair, n) => [
        String(n + 1),
        pair.eventsPerSecondQuiet.toFixed(0),
        pair.eventsPerSecondFlooded.toFixed(0),
        pair.jainQuiet.toFixed(4),
        pair.jainFlooded.toFixed(4),
        `${pair.p99QuietMs.toFixed(0)} ms`,
        `${pair.p99FloodedMs.toFixed(0)} ms`,
        pair.p99Ratio.toFixed(2),
        String(pair.flood.offered),
        String(pair.flood.receipted),
        Object.entries(pair.flood.ends)
          .map(([code, count]) => `${code} ${count}`)
          .join(", "),
        String(pair.flood.transportFloods),
      ]),
    },
  ]);
  return {
    title: "What honest producers notice of a flood",
    lead: "Quiet and flooded windows in turn, on one gateway. The flood is one producer that offers far more than its share, one that ignores its credit and comes back at once, one that sends and never reads, and one that sends HTTP/2 frames that carry nothing, of one kind after the other. Their process has the lowest priority, for an attacker brings his own cores.",
    tables,
  };
}

/** What the gateway takes from all together, against what they offer. */
function shareOf(figures: FairnessFigures): string {
  return isShared(figures)
    ? `a gateway that takes ${figures.totalEventsPerSecond} events/s from all together`
    : "a gateway that could take it all";
}
