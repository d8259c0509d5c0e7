/**
 * Why: the outages as a page.
 * Enforces: every run has a row, the failed ones too, and its curve second by second.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";
import type { OutageOptions, OutageVerdict } from "./outage_run.ts";

/** A run; one that came to no verdict says why. */
export interface OutageRecord extends OutageOptions {
  readonly verdict: OutageVerdict | null;
  readonly failure: string | null;
}

const mib = 1024 * 1024;

export function outagePage(parts: readonly Part<readonly OutageRecord[]>[]): Page {
  const runs = parts.flatMap(({ commit, figures }) => figures.map((record) => ({ ...record, commit })));
  return {
    title: "Outages under load",
    lead: "Producers send through the SDK all the time, through a proxy that stands for the network. The engine is stopped (SIGSTOP), or PostgreSQL is killed and cannot start, or the network first delays, then swallows, then cuts; then all is as before, and nobody helps. Memory is that of all gateways, five seconds into the pause and at its end; reasons are those with which gateways told their producers to pause.",
    tables: [
      {
        caption: "What was promised",
        head: [
          ...["fault", "seconds", "seed", "gateways", "producers", "events", "lost", "duplicated", "out of order", "ledger"],
          ...["gateway MiB early", "late", "paused by", "commit", "verdict"],
        ],
        rows: runs.map(({ fault, seconds, seed, gateways, producers, verdict, failure, commit }) => [
          ...[fault, seconds, seed, gateways, producers].map(String),
          ...(verdict === null ? ["", "", "", "", "", "", "", ""] : promised(verdict)),
          commit,
          verdict?.passed === true ? "passed" : `FAILED${failure === null ? "" : `: ${failure}`}`,
        ]),
      },
      {
        caption: "Recovery: events receipted in a second",
        head: ["fault", "median before", "seconds to half of it", "median from then on", "second by second after the outage"],
        rows: runs.flatMap(({ fault, verdict }) => {
          if (verdict === null) return [];
          const { medianBefore, secondsToHalf, medianAfter, after } = verdict.curve;
          return [[fault, String(medianBefore), String(secondsToHalf ?? "never"), String(medianAfter), after.join(" ")]];
        }),
      },
    ],
  };
}

function promised(verdict: OutageVerdict): string[] {
  const { stored, lost, duplicated, outOfOrder, balanced, gateBytesEarly, gateBytesLate, reasons } = verdict;
  return [
    ...[stored, lost, duplicated, outOfOrder].map(String),
    balanced ? "balanced" : "not balanced",
    ...[gateBytesEarly, gateBytesLate].map((bytes) => String(Math.round(bytes / mib))),
    Object.keys(reasons).join(", "),
  ];
}
