/**
 * Why: the crash runs as a page; long ones come in parts over a day.
 * Enforces: every run has a row, the failed ones too; sums are over all parts.
 * Forbids: I/O.
 */
import type { Page, Part } from "../results/result_file.ts";
import type { CrashVerdict } from "./crash_run.ts";

/** A run; one that came to no verdict says why. */
export interface CrashRecord {
  readonly victim: string;
  readonly seed: number;
  readonly events: number;
  /** Missing in results from before there could be several. */
  readonly gateways?: number;
  readonly verdict: CrashVerdict | null;
  readonly failure: string | null;
}

export function crashPage(parts: readonly Part<readonly CrashRecord[]>[]): Page {
  const runs = parts.flatMap(({ commit, figures }) => figures.map((record) => ({ ...record, commit })));
  const victims = [...new Set(runs.map(victimOf))];
  return {
    title: "Crash runs",
    lead: "A shipper for each gateway sends numbered events while a process of the system is killed with SIGKILL at a seeded moment; nobody helps the recovery. Afterwards the stored rows are counted in SQL, and the ledger is recounted.",
    tables: [
      {
        caption: "By victim",
        head: ["killed", "runs", "passed", "events", "lost", "duplicated", "out of order"],
        rows: victims.map((victim) =>
          sums(
            victim,
            runs.filter((run) => victimOf(run) === victim),
          ),
        ),
      },
      {
        caption: "Runs",
        head: [
          "killed",
          "seed",
          "events",
          "stored when killed",
          "lost",
          "duplicated",
          "out of order",
          "ledger",
          "seconds",
          "commit",
          "verdict",
        ],
        rows: runs.map(({ seed, events, verdict, failure, commit, ...run }) => [
          victimOf(run),
          String(seed),
          String(events),
          ...(verdict === null
            ? ["", "", "", "", "", ""]
            : [
                verdict.killedAtStored.join(", "),
                String(verdict.lost),
                String(verdict.duplicated),
                String(verdict.outOfOrder),
                verdict.balanced ? "balanced" : "not balanced",
                verdict.seconds.toFixed(1),
              ]),
          commit,
          verdict?.passed === true ? "passed" : `FAILED${failure === null ? "" : `: ${failure}`}`,
        ]),
      },
    ],
  };
}

/** What was killed, and of how many where there were several. */
function victimOf({ victim, gateways = 1 }: Pick<CrashRecord, "victim" | "gateways">): string {
  if (gateways === 1) return victim;
  return victim === "gateway" ? `one of ${gateways} gateways` : `${victim}, with ${gateways} gateways`;
}

function sums(victim: string, runs: readonly CrashRecord[]): string[] {
  const sum = (of: (verdict: CrashVerdict) => number): string =>
    String(runs.reduce((total, { verdict }) => total + (verdict === null ? 0 : of(verdict)), 0));
  const events = runs.reduce((total, run) => total + run.events, 0);
  return [
    victim,
    String(runs.length),
    sum(({ passed }) => (passed ? 1 : 0)),
    String(events),
    sum(({ lost }) => lost),
    sum(({ duplicated }) => duplicated),
    sum(({ outOfOrder }) => outOfOrder),
  ];
}
