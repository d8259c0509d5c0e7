// Why: rows, dead letters, heads and the offset must become true in one instant, whatever dies when.
// Enforces: R-3: one transaction for each commit group, the fenced offset first; an unknown COMMIT is settled before anybody goes on.
// Forbids: telling a commit before PostgreSQL did, and losing a group for one bad row, one lost lease or one frame that must wait.

import type { Pool, PoolClient } from "ransomeye-db";
import { type Clock, type Random, type Telemetry, fullJitterMs, invariant, sleep } from "ransomeye-kernel";
import { archiveFrames, type BusEntry, type Position } from "ransomeye-pipeline";
import { EngineError, type EngineCode } from "./codes.ts";
import { copyAll, copySearching } from "./copy_rows.ts";
import { commitSettled, partitionMissing, rowsRefused } from "./events.ts";
import { writeOutbox } from "./outbox.ts";
import type { Probe, SinkStep } from "./probe.ts";
import type { PreparedFrame } from "./row_batch.ts";
import { type GroupPlan, type Halt, closedEpochsNeeded, planGroup, producersOf } from "./sink_machine.ts";
import {
  closeEpochs,
  closedEpochs,
  ensureDays,
  lockHeads,
  moveHeads,
  moveOffset,
  settledOffset,
  writeDeadLetters,
  writeGaps,
} from "./sink_statements.ts";
import { type CommitGroup, type RunOutcome, type SinkStore, type StoreRun, countsOf, offsetOf } from "./sink_store.ts";
import { disposition, sqlState } from "./sqlstate.ts";
import { type DeadLetter, type Gap, eventTables } from "./tables.ts";

export interface SinkOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /**
   * A transaction prolongs the leases that it holds by this. One that stands still longer is ended by the server, so that an
   * engine that was stopped in its middle cannot keep the partitions from the next owner.
   */
  readonly leaseMs: number;
  /** Whether frames go into the archive with their rows. */
  readonly archives?: boolean;
  /** Fault injection for tests; absent in a running system. */
  readonly probe?: Probe;
}

/** How one try at a transaction ended. Everything but `stored` has changed nothing. */
type Attempt =
  | {
      readonly kind: "stored";
      readonly plan: GroupPlan<PreparedFrame>;
      readonly fenced: readonly number[];
      readonly refused: readonly DeadLetter[];
    }
  | { readonly kind: "cut"; readonly plan: GroupPlan<PreparedFrame>; readonly fenced: readonly number[] }
  | { readonly kind: "broken"; readonly error: unknown; readonly committing: boolean; readonly fenced: readonly number[] };

const settleBaseMs = 50;
const settleCapMs = 2000;

/** The sink in PostgreSQL: one connection of its own, one commit group at a time. */
export class PostgresSink implements SinkStore {
  readonly #options: SinkOptions;
  readonly #closed = new AbortController();
  #client: PoolClient | undefined;

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  async store(group: CommitGroup): Promise<ReadonlyMap<number, RunOutcome>> {
    const outcomes = new Map<number, RunOutcome>();
    const halts = new Map<number, Halt>();
    let runs = [...group.runs].sort((a, b) => a.part - b.part);
    let searching = false;
    let daysMade = false;
    // Each turn ends, or takes a run (or the end of one) out of the group, or sets one of the two marks: it comes to an end.
    while (runs.length > 0) {
      const attempt = await this.#attempt(runs, group, searching);
      for (const part of attempt.fenced) outcomes.set(part, { kind: "fenced" });
      runs = runs.filter((run) => !attempt.fenced.includes(run.part));
      if (attempt.kind === "stored") {
        this.#tellRefused(attempt.refused);
        for (const run of runs) outcomes.set(run.part, storedOutcome(attempt.plan, run, halts.get(run.part) ?? null, attempt.refused));
        return outcomes;
      }
      if (attempt.kind === "cut") {
        runs = cutRuns(attempt.plan, runs, halts, outcomes);
        continue;
      }
      const { action, code } = this.#dispositionOf(attempt.error);
      if (attempt.committing && action === "reconnect") {
        await this.#settle(runs, attempt.error, outcomes);
        return outcomes;
      }
      if (action === "data" && !attempt.committing && !searching) {
        searching = true;
        continue;
      }
      if (action === "partition" && !daysMade) {
        daysMade = true;
        await this.#makeDays(runs);
        continue;
      }
      const reason = attempt.error instanceof Error ? attempt.error.message : String(attempt.error);
      for (const run of runs) outcomes.set(run.part, { kind: "failed", code, rests: action === "stop" || action === "data", reason });
      return outcomes;
    }
    return outcomes;
  }

  async close(): Promise<void> {
    this.#closed.abort(new EngineError("ENGINE_SINK_UNREACHABLE", "the engine closes"));
    this.#dropClient();
  }

  /** One transaction over these runs. Never throws. */
  async #attempt(runs: readonly StoreRun[], { batch }: CommitGroup, searching: boolean): Promise<Attempt> {
    const { leaseMs } = this.#options;
    const fenced: number[] = [];
    let committing = false;
    try {
      const client = await this.#connection();
      await client.query("BEGIN");
      await this.#step("begun");
      const ours: StoreRun[] = [];
      for (const run of runs) {
        const last = run.frames[run.frames.length - 1] as PreparedFrame;
        if (await moveOffset(client, run.lease, { from: run.after, to: last.position, leaseMs })) ours.push(run);
        else fenced.push(run.part);
      }
      await this.#step("offsets_moved");
      const heads = await lockHeads(client, producersOf(ours));
      const finals = await closedEpochs(client, closedEpochsNeeded(heads, ours));
      const plan = planGroup({ heads, finals }, ours);
      await this.#step("planned");
      if (ours.length === 0 || plan.runs.some((run) => run.halt !== null)) {
        await client.query("ROLLBACK");
        return { kind: "cut", plan, fenced };
      }
      const frames = plan.runs.flatMap((run) => run.apply);
      const refused: DeadLetter[] = [];
      for (const table of eventTables) {
        if (searching) refused.push(...(await copySearching(client, table, batch, frames)));
        else await copyAll(client, table, batch, frames);
      }
      await this.#step("rows_copied");
      if (this.#options.archives === true) await archiveFrames(client, frames.map(entryOf));
      await writeDeadLetters(client, [...frames.flatMap((frame) => frame.deadLetters), ...refused]);
      await writeGaps(
        client,
        frames.map((frame) => frame.gap).filter((gap): gap is Gap => gap !== null),
      );
      await writeOutbox(
        client,
        frames.flatMap((frame) => frame.messages),
      );
      await closeEpochs(client, plan.closed);
      if (!(await moveHeads(client, plan.heads, this.#options.clock.nowUs()))) {
        throw new EngineError("ENGINE_HEAD_MOVED", "a producer's head in the sink is not what the plan was made on");
      }
      await this.#step("written");
      await this.#step("committing");
      committing = true;
      const ended = await client.query("COMMIT");
      // A transaction that had failed answers COMMIT with ROLLBACK, and no error.
      if (ended.command !== "COMMIT") throw new EngineError("ENGINE_SINK_BUSY", `the transaction ended in ${ended.command}`);
      await this.#step("committed");
      return { kind: "stored", plan, fenced, refused };
    } catch (error) {
      await this.#rollback(error);
      return { kind: "broken", error, committing, fenced };
    }
  }

  /**
   * COMMIT was sent and its answer never came. A new connection asks the offset rows, FOR UPDATE: that waits until the old
   * backend's transaction has ended, so the answer is final. A plain SELECT would read the old offset, and the work be done twice.
   */
  async #settle(runs: readonly StoreRun[], cause: unknown, outcomes: Map<number, RunOutcome>): Promise<void> {
    const { clock, random, telemetry } = this.#options;
    const startMs = clock.monotonicMs();
    for (let attempt = 0; ; attempt++) {
      if (this.#closed.signal.aborted) return failAll(runs, "ENGINE_SINK_UNREACHABLE", cause, outcomes);
      try {
        const client = await this.#connection();
        await this.#step("settling");
        await client.query("BEGIN");
        for (const run of runs) {
          const last = run.frames[run.frames.length - 1] as PreparedFrame;
          outcomes.set(run.part, settledOutcome(run, last.position, await settledOffset(client, run.lease)));
        }
        await client.query("ROLLBACK");
        const stored = runs.filter((run) => outcomes.get(run.part)?.kind === "stored").length;
        telemetry.emit(commitSettled, { stored: stored > 0, partitions: runs.length, ms: Math.round(clock.monotonicMs() - startMs) });
        return;
      } catch (error) {
        await this.#rollback(error);
        await sleep(clock, fullJitterMs(random, attempt, settleBaseMs, settleCapMs), this.#closed.signal).catch(() => undefined);
      }
    }
  }

  async #makeDays(runs: readonly StoreRun[]): Promise<void> {
    const days = new Set<string>();
    for (const run of runs)
      for (const { position } of run.frames) days.add(new Date(position.receivedUs / 1000).toISOString().slice(0, 10));
    this.#options.telemetry.emit(partitionMissing, { days: [...days].sort().join(" ") });
    try {
      await ensureDays(await this.#connection(), [...days].sort());
    } catch (error) {
      // The next try meets the same missing partition, and that is what will be told.
      await this.#rollback(error);
    }
  }

  async #connection(): Promise<PoolClient> {
    this.#closed.signal.throwIfAborted();
    if (this.#client !== undefined) return this.#client;
    const client = await this.#options.pool.connect();
    // A connection that dies while nobody waits for it reports here, and the next statement on it fails; without a listener
    // Node would end the process.
    client.on("error", ignore);
    this.#client = client;
    const boundMs = this.#options.leaseMs;
    await client.query(`SET statement_timeout = ${boundMs}; SET idle_in_transaction_session_timeout = ${boundMs}`);
    return client;
  }

  /** After an error: the transaction is rolled back, or the connection is given up with it. */
  async #rollback(error: unknown): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    if (this.#dispositionOf(error).action === "reconnect") return this.#dropClient();
    try {
      await client.query("ROLLBACK");
    } catch {
      this.#dropClient();
    }
  }

  #dropClient(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.release(true);
  }

  #dispositionOf(error: unknown): { action: string; code: EngineCode } {
    if (!(error instanceof EngineError)) return disposition(error);
    return {
      action: error.disposition === "retry" ? (error.code === "ENGINE_SINK_UNREACHABLE" ? "reconnect" : "retry") : "stop",
      code: error.code,
    };
  }

  async #step(name: SinkStep): Promise<void> {
    const { probe } = this.#options;
    if (probe !== undefined) await probe.step(name, (this.#client as { processID?: number } | undefined)?.processID ?? 0);
  }

  #tellRefused(refused: readonly DeadLetter[]): void {
    const first = refused[0];
    if (first === undefined) return;
    this.#options.telemetry.emit(rowsRefused, {
      rows: refused.length,
      producer: first.producer,
      epoch: first.epoch,
      seq: first.firstSeq,
      detail: first.detail,
    });
  }
}

function ignore(): void {}

function entryOf({ entry }: PreparedFrame): BusEntry {
  invariant(entry !== null, "a frame that is to be archived has kept its entry");
  return entry;
}

/** Cuts every run at the frame that must wait or cannot be. A run of which nothing is left has its outcome. */
function cutRuns(
  plan: GroupPlan<PreparedFrame>,
  runs: readonly StoreRun[],
  halts: Map<number, Halt>,
  outcomes: Map<number, RunOutcome>,
): StoreRun[] {
  const left: StoreRun[] = [];
  for (const run of runs) {
    const planned = plan.runs.find(({ part }) => part === run.part);
    if (planned?.halt == null) {
      left.push(run);
    } else if (planned.settled === 0) {
      outcomes.set(run.part, { kind: "halted", halt: planned.halt });
    } else {
      halts.set(run.part, planned.halt);
      left.push({ ...run, frames: run.frames.slice(0, planned.settled) });
    }
  }
  return left;
}

function storedOutcome(plan: GroupPlan<PreparedFrame>, run: StoreRun, halt: Halt | null, refused: readonly DeadLetter[]): RunOutcome {
  const planned = plan.runs.find(({ part }) => part === run.part);
  const position = (run.frames[run.frames.length - 1] as PreparedFrame).position;
  const counts = countsOf(planned?.apply ?? [], planned?.skipped ?? 0);
  const lost = refused.filter((dead) => dead.part === run.part).length;
  return { kind: "stored", position, counts: { ...counts, rows: counts.rows - lost, deadLettered: counts.deadLettered + lost }, halt };
}

function settledOutcome(run: StoreRun, target: Position, found: { off: number; fence: number } | null): RunOutcome {
  if (found === null || found.fence !== run.lease.token) return { kind: "fenced" };
  if (found.off === target.off) return { kind: "stored", position: target, counts: countsOf(run.frames, 0), halt: null };
  if (found.off === offsetOf(run.after))
    return { kind: "failed", code: "ENGINE_SINK_UNREACHABLE", rests: false, reason: "COMMIT was lost with its connection" };
  return { kind: "fenced" };
}

function failAll(runs: readonly StoreRun[], code: EngineCode, cause: unknown, outcomes: Map<number, RunOutcome>): void {
  const reason = `${sqlState(cause) ?? "no answer"}: ${cause instanceof Error ? cause.message : String(cause)}`;
  for (const run of runs) outcomes.set(run.part, { kind: "failed", code, rests: false, reason });
}
