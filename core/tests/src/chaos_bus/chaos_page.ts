/**
 * Why: the chaos runs as a page: long ones come in parts over days, and a fault that is run again has a new table.
 * Enforces: one table of sums, one of runs for each fault, the failed ones too; what the weaker level loses stands apart, as a measurement.
 * Forbids: I/O.
 */
import type { Page, Part, Table } from "../results/result_file.ts";
import type { ChaosRecord } from "./chaos_series.ts";
import type { ChaosVerdict } from "./chaos_run.ts";
import type { Finding, WeakVerdict } from "./weak_failover.ts";

type Run = ChaosRecord & { readonly commit: string };

export function chaosPage(parts: readonly Part<readonly ChaosRecord[]>[]): Page {
  const runs = parts.flatMap(({ commit, figures }) => figures.map((record) => ({ ...record, commit })));
  const judged = runs.filter(({ measured, fault }) => measured === null && fault !== "weak-failover");
  const faults = [...new Set(judged.map(({ fault }) => fault))];
  const measured = runs.filter(({ fault }) => fault === "weak-failover");
  return {
    title: "Chaos on the bus",
    lead: "The log lies on real Redis servers. Shippers send numbered events at a steady pace while something is struck in the middle of the load; then everything is given back and nobody helps. After each run the stored rows are counted in SQL, the ledger is recounted, and the log's servers are asked whether they know that all of it is stored. In doubt: calls of gateways whose outcome they could not know. Runs of one fault share a system until one fails.",
    tables: [
      ...(faults.length === 0 ? [] : [sums(faults.map((fault) => judged.filter((run) => run.fault === fault)))]),
      ...faults.map((fault) =>
        runsOf(
          fault,
          judged.filter((run) => run.fault === fault),
        ),
      ),
      ...(measured.length === 0 ? [] : measuredTables(measured)),
    ],
  };
}

/** Records of an earlier part that stay beside these: a fault that was run again has its new ones. */
export function besides(earlier: readonly ChaosRecord[], now: readonly ChaosRecord[]): readonly ChaosRecord[] | undefined {
  const stays = earlier.filter(({ fault }) => now.every((record) => record.fault !== fault));
  return stays.length === 0 ? undefined : stays;
}

function sums(byFault: readonly (readonly Run[])[]): Table {
  return {
    caption: "By fault",
    head: ["fault", "runs", "passed", "events", "lost", "duplicated", "out of order", "calls in doubt", "seconds a run"],
    rows: byFault.map((runs) => {
      const verdicts = runs.flatMap(({ verdict }) => (verdict === null ? [] : [verdict]));
      const sum = (of: (verdict: ChaosVerdict) => number): number => verdicts.reduce((total, verdict) => total + of(verdict), 0);
      return [
        runs[0]?.fault ?? "",
        String(runs.length),
        String(verdicts.filter(({ passed }) => passed).length),
        String(runs.reduce((total, { events }) => total + events, 0)),
        ...[sum(({ lost }) => lost), sum(({ duplicated }) => duplicated), sum(({ outOfOrder }) => outOfOrder)].map(String),
        String(sum(({ inDoubt }) => inDoubt)),
        (sum(({ seconds }) => seconds) / Math.max(1, verdicts.length)).toFixed(1),
      ];
    }),
  };
}

function runsOf(fault: string, runs: readonly Run[]): Table {
  return {
    caption: fault,
    head: [
      ...["seed", "events", "stored when struck", "what was hit", "calls in doubt", "lost", "duplicated", "out of order"],
      ...["ledger", "untold", "seconds", "commit", "verdict"],
    ],
    rows: runs.map(({ seed, events, verdict, failure, commit, evidence }) => [
      String(seed),
      String(events),
      ...(verdict === null ? ["", "", "", "", "", "", "", "", ""] : cellsOf(verdict)),
      commit,
      verdict?.passed === true ? "passed" : ["FAILED", ...(failure === null ? [] : [failure]), ...evidence].join(": "),
    ]),
  };
}

function cellsOf({ struckAtStored, hit, inDoubt, lost, duplicated, outOfOrder, balanced, untold, seconds }: ChaosVerdict): string[] {
  return [
    String(struckAtStored),
    hit,
    ...[inDoubt, lost, duplicated, outOfOrder].map(String),
    balanced ? "balanced" : "not balanced",
    String(untold),
    seconds.toFixed(1),
  ];
}

function measuredTables(runs: readonly Run[]): Table[] {
  const found = runs.flatMap(({ measured, ...run }) => (measured === null ? [] : [{ ...run, measured }]));
  return [
    {
      caption: "weak-failover: what durability local loses on a cluster",
      head: ["seed", "events", "stored when struck", "frames gone from the log", "of them rows", "commit", "silently wrong"],
      rows: runs.map(({ seed, events, measured, failure, commit }) => [
        ...[seed, events].map(String),
        ...(measured === null ? ["", "", ""] : lossOf(measured)),
        commit,
        measured === null ? `no figures: ${failure}` : measured.silentlyWrong.join("; ") || "nothing",
      ]),
      notes: [
        "A replica is cut off from its master, receipts go on, the master dies and the replica takes over without the tail. This level promises no more than the master's own disk.",
      ],
    },
    {
      caption: "weak-failover: who notices, and what the way back gives",
      head: [
        ...["seed", "when", "shippers done", "engine stopped", "status says", "reconcile finds", "audit exit", "ledger", "in flight"],
        ...["no rows", "two rows", "out of order", "declared lost"],
      ],
      rows: found.flatMap(({ seed, measured: { alone, afterLoss } }) => [
        findingCells(seed, "after the failover", alone),
        ...(afterLoss === null ? [] : [findingCells(seed, "after --after-loss", afterLoss)]),
      ]),
    },
  ];
}

function lossOf({ struckAtStored, framesGone, framesGoneWithRows }: WeakVerdict): string[] {
  return [struckAtStored, framesGone, framesGoneWithRows].map(String);
}

function findingCells(seed: number, when: string, found: Finding): string[] {
  const { engineStopped, engineCodes, statusStopped, statusPaused } = found;
  return [
    String(seed),
    when,
    found.shippersDone ? "yes" : "no",
    engineStopped === 0 ? "no" : `${engineStopped}: ${engineCodes.join(", ")}`,
    [
      ...(statusPaused === null ? [] : [`paused ${statusPaused}`]),
      ...(statusStopped.length === 0 ? [] : [`stopped ${statusStopped.join(", ")}`]),
    ].join(", ") || "nothing",
    found.reconcileFound ? "yes" : "nothing",
    String(found.auditExit),
    found.balanced ? "balanced" : "not balanced",
    ...[found.inFlight, found.lost, found.duplicated, found.outOfOrder, found.serverLost].map(String),
  ];
}
