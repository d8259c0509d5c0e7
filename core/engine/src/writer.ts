// Why: one loop that reads, prepares and stores the partitions it was given, over one connection.
// Enforces: one commit group under way, the next one gathered meanwhile; an answer moves a partition on, a doubt sets it back.
// Forbids: storing for a partition whose lease is past its deadline, and spinning on a failure.

import { type Clock, type Telemetry, sleep } from "ransomeye-kernel";
import type { FrameLink, Position } from "ransomeye-pipeline";
import { type Assignment, mayWork, rest } from "./assignment.ts";
import { ENGINE_CODES } from "./codes.ts";
import {
  eventsDeadLettered,
  framesSkipped,
  framesStored,
  gapsStored,
  groupStored,
  leaseLost,
  partitionHeld,
  storeRetried,
  storeStalled,
} from "./events.ts";
import { type GatheredGroup, type Gatherer, commitGroupOf, retryMs, stop, stoppedMs } from "./gatherer.ts";
import { lossesOf } from "./loss_report.ts";
import type { ProgressTeller } from "./progress.ts";
import type { PreparedFrame } from "./row_batch.ts";
import type { Halt } from "./sink_machine.ts";
import type { CommitGroup, RunOutcome, SinkStore, StoredCounts } from "./sink_store.ts";
import type { Gap } from "./tables.ts";
import type { TailWatch } from "./tail_watch.ts";

/** How long a held partition waits before it looks again, and after how long its waiting is told. */
const holdMs = 10;
const heldTellMs = 10_000;
/** Failures in a row after which storing is said to have stalled. */
const stallFailures = 8;

export interface WriterOptions {
  readonly sink: SinkStore;
  readonly gatherer: Gatherer;
  readonly tails: TailWatch;
  /** Where the log must be told of what is stored. */
  readonly teller?: ProgressTeller | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export class Writer {
  readonly #options: WriterOptions;
  readonly #assignments = new Map<number, Assignment>();
  #backlog = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** True while the last gathering was ended by a bound: there is more on the bus than this writer stores. */
  get backlog(): boolean {
    return this.#backlog;
  }

  get assignments(): readonly Assignment[] {
    return [...this.#assignments.values()];
  }

  assign(assignment: Assignment): void {
    this.#assignments.set(assignment.lease.part, assignment);
  }

  /** The partition is not ours any more; what is under way for it counts for nothing, the fence sees to that. */
  drop(part: number): void {
    this.#assignments.delete(part);
  }

  /** Works until `signal` aborts; then finishes the group that is being stored and leaves the rest to whoever owns it next. */
  async run(signal: AbortSignal): Promise<void> {
    let next: GatheredGroup | null = null;
    while (!signal.aborted) {
      const group: GatheredGroup = next ?? (await this.#gather(() => false, signal));
      next = null;
      const commit = commitGroupOf(group, (assignment) => this.#mayStore(assignment));
      if (commit.runs.length === 0) {
        this.#options.gatherer.reuse(group);
        await this.#options.tails.nextLook();
        continue;
      }
      if (signal.aborted) return;
      let storing = true;
      const stored = this.#store(commit).finally(() => {
        storing = false;
      });
      const gathered = await this.#gather(() => storing, signal);
      const pauseMs = this.#settle(group, await stored);
      this.#options.gatherer.reuse(group);
      if (gathered.runs.size > 0) next = gathered;
      else this.#options.gatherer.reuse(gathered);
      if (pauseMs > 0) await sleep(this.#options.clock, pauseMs, signal).catch(() => undefined);
    }
  }

  async #gather(sinkBusy: () => boolean, signal: AbortSignal): Promise<GatheredGroup> {
    const group = await this.#options.gatherer.gather(this.assignments, sinkBusy, signal);
    this.#backlog = group.full;
    return group;
  }

  async #store(commit: CommitGroup): Promise<ReadonlyMap<number, RunOutcome>> {
    const { sink, clock, telemetry } = this.#options;
    const startMs = clock.monotonicMs();
    const outcomes = await sink.store(commit);
    let [rows, frames, skipped, deadLettered] = [0, 0, 0, 0];
    const gaps: Gap[] = [];
    let oldestUs = Number.POSITIVE_INFINITY;
    for (const run of commit.runs) {
      const outcome = outcomes.get(run.part);
      if (outcome?.kind !== "stored") continue;
      const counts: StoredCounts = outcome.counts;
      rows += counts.rows;
      frames += counts.frames;
      skipped += counts.skipped;
      deadLettered += counts.deadLettered;
      gaps.push(...counts.gaps);
      oldestUs = Math.min(oldestUs, run.frames[0]?.position.receivedUs ?? oldestUs);
    }
    const ms = Math.round(clock.monotonicMs() - startMs);
    if (frames + skipped > 0) telemetry.emit(groupStored, { rows, frames, skipped, partitions: commit.runs.length, ms });
    if (frames > 0) telemetry.emit(framesStored, { frames, age_ms: Math.max(0, Math.round((clock.nowUs() - oldestUs) / 1000)) });
    if (skipped > 0) telemetry.emit(framesSkipped, { frames: skipped });
    if (deadLettered > 0) telemetry.emit(eventsDeadLettered, { events: deadLettered });
    for (const { reason, events, producer } of lossesOf(gaps)) telemetry.emit(gapsStored, { reason, events, producer });
    return outcomes;
  }

  /** Takes the answer in, partition by partition; gives the pause that the writer as a whole should make. */
  #settle(group: GatheredGroup, outcomes: ReadonlyMap<number, RunOutcome>): number {
    const { clock, telemetry } = this.#options;
    const nowMs = clock.monotonicMs();
    let pauseMs = 0;
    let told = false;
    for (const [assignment, frames] of group.runs) {
      const { part } = assignment.lease;
      const outcome = outcomes.get(part);
      if (outcome === undefined || this.#assignments.get(part) !== assignment) continue;
      switch (outcome.kind) {
        case "stored":
          assignment.stored = outcome.position;
          this.#options.teller?.stored(outcome.position, linksUpTo(frames, outcome.position));
          if (assignment.read === null || assignment.read.off < outcome.position.off) assignment.read = outcome.position;
          assignment.failures = 0;
          assignment.stopped = false;
          assignment.heldSinceMs = null;
          if (outcome.halt !== null) this.#halt(assignment, outcome.halt, nowMs);
          break;
        case "halted":
          this.#halt(assignment, outcome.halt, nowMs);
          break;
        case "fenced":
          this.drop(part);
          telemetry.emit(leaseLost, { part, reason: "fenced" });
          break;
        case "failed":
          assignment.failures += 1;
          rest(assignment, outcome.rests ? nowMs + stoppedMs : nowMs);
          pauseMs = Math.max(pauseMs, outcome.rests ? 0 : retryMs(assignment.failures));
          if (!told) this.#tellFailure(outcome, assignment.failures, group.runs.size);
          told = true;
      }
    }
    return pauseMs;
  }

  #halt(assignment: Assignment, halt: Halt, nowMs: number): void {
    const { clock, telemetry } = this.#options;
    const { part } = assignment.lease;
    if (halt.kind === "stop") {
      const code = halt.code ?? "ENGINE_HISTORY_DIVERGED";
      const { meaning, next } = ENGINE_CODES[code];
      stop(assignment, clock, telemetry, { code, off: halt.position.off, producer: halt.producer, reason: meaning, next });
      return;
    }
    assignment.heldSinceMs ??= nowMs;
    const heldMs = nowMs - assignment.heldSinceMs;
    if (heldMs >= heldTellMs) {
      telemetry.emit(partitionHeld, { part, producer: halt.producer, off: halt.position.off, ms: Math.round(heldMs) });
      assignment.heldSinceMs = nowMs;
    }
    rest(assignment, nowMs + holdMs);
  }

  #tellFailure(outcome: RunOutcome & { kind: "failed" }, attempt: number, partitions: number): void {
    const { telemetry } = this.#options;
    const { code, reason } = outcome;
    telemetry.emit(storeRetried, { code, reason, attempt, partitions });
    if (outcome.rests || attempt % stallFailures === 0) telemetry.emit(storeStalled, { code, reason, next: ENGINE_CODES[code].next });
  }

  #mayStore(assignment: Assignment): boolean {
    return this.#assignments.get(assignment.lease.part) === assignment && mayWork(assignment, this.#options.clock.monotonicMs());
  }
}

function linksUpTo(frames: readonly PreparedFrame[], { off }: Position): FrameLink[] {
  return frames.filter(({ position }) => position.off <= off).map(({ link }) => link);
}
