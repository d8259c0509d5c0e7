/**
 * Why: the sink's tables in memory, filled through the engine's real planning and the real bytes of COPY.
 * Enforces: one `transact` is one transaction: offsets moved under the fence, heads checked, rows written, all or nothing.
 * Forbids: judging frames: `planGroup` of the engine does.
 */
import { BinaryCopyDecoder } from "ransomeye-db";
import {
  type CommitGroup,
  type DeadLetter,
  type EpochFinal,
  type Gap,
  type Halt,
  type RunOutcome,
  type SinkHead,
  type StoreRun,
  closedEpochsNeeded,
  countsOf,
  eventColumns,
  eventTables,
  finalKey,
  offsetOf,
  planGroup,
  producersOf,
} from "ransomeye-engine";
import type { MemoryBus } from "ransomeye-pipeline";
import type { SimGroups } from "./groups.ts";

/** A stored event as the oracle sees it. `host` tells the event apart. */
export interface StoredRow {
  readonly producer: string;
  readonly epoch: number;
  readonly seq: number;
  readonly host: string;
}

const column = (name: string): number => eventColumns.indexOf(name);
const producerColumn = column("producer_id");
const epochColumn = column("epoch");
const seqColumn = column("seq");
const hostColumn = column("host");

export class SimDatabase {
  readonly rows: StoredRow[] = [];
  readonly deadLetters: DeadLetter[] = [];
  readonly gaps: Gap[] = [];
  readonly heads: Map<string, SinkHead> = new Map();
  readonly #finals = new Map<string, EpochFinal>();
  readonly #groups: SimGroups;
  readonly #bus: MemoryBus;

  constructor(groups: SimGroups, bus: MemoryBus) {
    this.#groups = groups;
    this.#bus = bus;
  }

  /** The row transaction, retried as the real one is until each run has its outcome. */
  transact(group: CommitGroup): Map<number, RunOutcome> {
    const outcomes = new Map<number, RunOutcome>();
    const halts = new Map<number, Halt>();
    let runs = group.runs.filter((run) => {
      const row = this.#groups.rows[run.part];
      const ours = row !== undefined && row.fence === run.lease.token && (row.position?.off ?? 0) === offsetOf(run.after);
      if (!ours) outcomes.set(run.part, { kind: "fenced" });
      return ours;
    });
    while (runs.length > 0) {
      const heads = new Map<string, SinkHead>();
      for (const producer of producersOf(runs)) {
        const head = this.heads.get(producer);
        if (head !== undefined) heads.set(producer, head);
      }
      const finals = new Map<string, EpochFinal>();
      for (const { producer, epoch } of closedEpochsNeeded(heads, runs)) {
        const final = this.#finals.get(finalKey(producer, epoch));
        if (final !== undefined) finals.set(finalKey(producer, epoch), final);
      }
      const plan = planGroup({ heads, finals }, runs);
      if (plan.runs.every((run) => run.halt === null)) {
        this.#write(group, runs, plan);
        for (const [i, run] of runs.entries()) {
          const planned = plan.runs[i];
          const position = run.frames[run.frames.length - 1]?.position;
          if (planned === undefined || position === undefined) continue;
          outcomes.set(run.part, {
            kind: "stored",
            position,
            counts: countsOf(planned.apply, planned.skipped),
            halt: halts.get(run.part) ?? null,
          });
        }
        return outcomes;
      }
      const left: StoreRun[] = [];
      for (const [i, run] of runs.entries()) {
        const planned = plan.runs[i];
        if (planned?.halt == null) left.push(run);
        else if (planned.settled === 0) outcomes.set(run.part, { kind: "halted", halt: planned.halt });
        else {
          halts.set(run.part, planned.halt);
          left.push({ ...run, frames: run.frames.slice(0, planned.settled) });
        }
      }
      runs = left;
    }
    return outcomes;
  }

  #write(group: CommitGroup, runs: readonly StoreRun[], plan: ReturnType<typeof planGroup<StoreRun["frames"][number]>>): void {
    const frames = plan.runs.flatMap((run) => run.apply);
    for (const table of eventTables) {
      const decoder = new BinaryCopyDecoder({ fields: eventColumns.length });
      for (const piece of group.batch.stream(table, frames)) {
        for (const row of decoder.push(piece)) {
          this.rows.push({
            producer: uuidOf(row[producerColumn]),
            epoch: Number(row[epochColumn]?.readBigInt64BE(0)),
            seq: Number(row[seqColumn]?.readBigInt64BE(0)),
            host: row[hostColumn]?.toString("utf8") ?? "",
          });
        }
      }
    }
    for (const frame of frames) {
      this.deadLetters.push(...frame.deadLetters);
      if (frame.gap !== null) this.gaps.push(frame.gap);
    }
    for (const { producer, to } of plan.heads) {
      this.heads.set(producer, to);
      this.#bus.noteStored(producer, to.epoch, to.seq);
    }
    for (const final of plan.closed) this.#finals.set(finalKey(final.producer, final.epoch), final);
    for (const run of runs) {
      const row = this.#groups.rows[run.part];
      if (row !== undefined) row.position = run.frames[run.frames.length - 1]?.position ?? null;
    }
  }
}

function uuidOf(bytes: Buffer | null | undefined): string {
  const hex = bytes?.toString("hex") ?? "";
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
