/**
 * Why: the faults and what came of them as a page.
 * Enforces: sums over all parts; a fault that did not strike is counted apart, and one that nothing recovered from is named.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";
import { type Findings, holds } from "./judge.ts";
import type { FaultRecord, SeriesFigures } from "./series.ts";

/** Whether nothing was lost, doubled, altered or stuck, and each fault struck. */
export function passed({ faults, findings, failure }: SeriesFigures): boolean {
  return failure === null && findings !== null && holds(findings) && faults.every(({ hit, recovered }) => hit && recovered);
}

export function engineChaosPage(parts: readonly Part<SeriesFigures>[]): Page {
  const records = parts.flatMap(({ figures }) => figures.faults);
  const names = [...new Set(records.map(({ name }) => name))].toSorted((a, b) => a.localeCompare(b));
  return {
    title: "Faults of engine and database",
    lead: "Two engines in processes of their own store what twelve producers send, while they, their sessions, their COMMITs and PostgreSQL itself are struck one after the other, at each labelled step of the row transaction. Nobody helps. What was accepted is held against rows, dead letters and gaps: each sequence number once, with its own content.",
    tables: [
      {
        caption: "Verdict",
        head: [
          "seed",
          "faults",
          "accepted",
          "lost",
          "doubled",
          "altered",
          "foreign",
          "out of order",
          "imbalance",
          "misplaced epochs",
          "stuck",
          "verdict",
        ],
        rows: parts.map(({ figures }) => verdictRow(figures)),
        notes: parts.flatMap(({ figures }) => (figures.failure === null ? [] : [`Seed ${figures.seed} ended early: ${figures.failure}.`])),
      },
      {
        caption: "By fault",
        head: ["fault", "struck", "missed its moment", "median seconds", "longest"],
        rows: names.map((name) =>
          faultRow(
            name,
            records.filter((record) => record.name === name),
          ),
        ),
        notes: ["Seconds are from the first frame sent for the fault until everything accepted was stored."],
      },
    ],
  };
}

function verdictRow(figures: SeriesFigures): string[] {
  const { seed, faults, findings } = figures;
  const of = (key: keyof Findings): string => (findings === null ? "" : String(findings[key]));
  return [
    seed,
    String(faults.length),
    ...(["accepted", "lost", "doubled", "altered", "foreign", "outOfOrder", "imbalance", "misplacedEpochs"] as const).map(of),
    String(faults.filter(({ recovered }) => !recovered).length),
    passed(figures) ? "passed" : "FAILED",
  ];
}

function faultRow(name: string, records: readonly FaultRecord[]): string[] {
  const seconds = records.map((record) => record.seconds).toSorted((a, b) => a - b);
  const hits = records.filter(({ hit }) => hit).length;
  return [
    name,
    String(hits),
    String(records.length - hits),
    (seconds[Math.floor(seconds.length / 2)] ?? 0).toFixed(2),
    (seconds.at(-1) ?? 0).toFixed(2),
  ];
}
