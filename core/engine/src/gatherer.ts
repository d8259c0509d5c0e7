// Why: reading and encoding go on while PostgreSQL stores the group before, so that neither waits for the other.
// Enforces: bounded memory: one group has at most `commit_rows_max` rows and `gatherBytesMax` bytes, and there are two of them;
//   the entry at the stored position is compared before the first read of a leased partition.
// Forbids: reading a partition past its lease, while it rests, or ahead of a frame that was not stored.

import { type Clock, RansomeyeError, type Telemetry } from "ransomeye-kernel";
import { BUS_CODES, type FrameReader } from "ransomeye-pipeline";
import { type Assignment, mayWork, rest } from "./assignment.ts";
import { busUnreadable, partitionStopped } from "./events.ts";
import { type GatherLimits, groupIsFull } from "./pace.ts";
import { type PreparedFrame, RowBatch } from "./row_batch.ts";
import { type CommitGroup, type StoreRun, offsetOf } from "./sink_store.ts";
import { type TailWatch, codeOf } from "./tail_watch.ts";

/** Bytes that one group may hold in memory, and that one read may bring. The second bounds how long encoding keeps the event loop. */
export const gatherBytesMax: number = 16 * 1024 * 1024;
export const readBytesMax: number = 2 * 1024 * 1024;
const readFramesMax = 512;

/** Pause after a failed read, growing with the failures; and before a stopped partition is examined again. */
export const retryMsMin = 20;
export const retryMsMax = 2000;
export const stoppedMs = 30_000;

export interface GathererOptions {
  readonly bus: FrameReader;
  readonly tails: TailWatch;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly limits: GatherLimits;
  /** Whether frames are archived with their rows. */
  readonly archives: boolean;
}

/** Frames read for one commit group, by partition, with the assignment under which they were read. */
export interface GatheredGroup {
  readonly runs: Map<Assignment, PreparedFrame[]>;
  readonly batch: RowBatch;
  /** True if a bound ended the gathering and not the end of the bus. */
  readonly full: boolean;
}

export class Gatherer {
  readonly #options: GathererOptions;
  readonly #batches: RowBatch[];
  #turn = 0;

  constructor(options: GathererOptions) {
    this.#options = options;
    this.#batches = [new RowBatch(options.archives), new RowBatch(options.archives)];
  }

  /** Reads what is there, each partition in turn, until a bound or the end. `sinkBusy`: a group is being stored, so waiting for more rows costs no time. */
  async gather(assignments: readonly Assignment[], sinkBusy: () => boolean, signal: AbortSignal): Promise<GatheredGroup> {
    const { clock, limits } = this.#options;
    const batch = this.#batches.pop() ?? new RowBatch(this.#options.archives);
    const runs = new Map<Assignment, PreparedFrame[]>();
    let rows = 0;
    let bytes = 0;
    let sinceMs: number | null = null;
    let full = false;
    let idle = 0;
    while (!signal.aborted && idle < assignments.length && !full) {
      const assignment = assignments[this.#turn++ % assignments.length] as Assignment;
      const frames = await this.#read(assignment, Math.min(readBytesMax, limits.gatherBytesMax - bytes), batch);
      if (frames.length === 0) {
        idle += 1;
        continue;
      }
      idle = 0;
      sinceMs ??= clock.monotonicMs();
      runs.set(assignment, [...(runs.get(assignment) ?? []), ...frames]);
      for (const frame of frames) {
        rows += frame.link.count;
        bytes += frame.payloadBytes + (frame.to - frame.from);
      }
      const elapsedMs = sinkBusy() ? 0 : clock.monotonicMs() - sinceMs;
      full = groupIsFull({ rows, bytes, elapsedMs }, limits);
    }
    batch.seal();
    return { runs, batch, full };
  }

  /** Takes a group's memory back, once it is settled. */
  reuse(group: GatheredGroup): void {
    group.batch.reset();
    this.#batches.push(group.batch);
  }

  async #read(assignment: Assignment, bytesMax: number, batch: RowBatch): Promise<PreparedFrame[]> {
    const { bus, tails, clock } = this.#options;
    const { part } = assignment.lease;
    if (!mayWork(assignment, clock.monotonicMs()) || tails.tail(part) <= (assignment.read?.off ?? 0)) return [];
    const after = assignment.read;
    try {
      if (!assignment.checked && !(await this.#historyIsSame(assignment))) return [];
      const entries = await bus.read(part, after, { framesMax: readFramesMax, bytesMax });
      const frames = entries.map((entry) => batch.add(entry));
      const last = frames[frames.length - 1];
      if (last !== undefined) assignment.read = last.position;
      return frames;
    } catch (error) {
      this.#readFailed(assignment, error);
      return [];
    }
  }

  /** R-2: whether the bus still holds, at the stored position, the entry that was stored. `trimmed`: the frames' chains must tell. */
  async #historyIsSame(assignment: Assignment): Promise<boolean> {
    const { bus, clock, telemetry } = this.#options;
    const position = assignment.stored;
    if (position !== null && (await bus.checkPosition(position)) === "diverged") {
      stop(assignment, clock, telemetry, {
        code: "BUS_HISTORY_DIVERGED",
        off: position.off,
        producer: "",
        reason: "the entry at the stored offset is another one",
        next: BUS_CODES.BUS_HISTORY_DIVERGED.next,
      });
      return false;
    }
    assignment.checked = true;
    return true;
  }

  #readFailed(assignment: Assignment, error: unknown): void {
    const { clock, telemetry } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof RansomeyeError && error.disposition === "fatal") {
      stop(assignment, clock, telemetry, {
        code: error.code,
        off: (assignment.read?.off ?? 0) + 1,
        producer: "",
        reason,
        next: error.next,
      });
      return;
    }
    telemetry.emit(busUnreadable, { code: codeOf(error), reason });
    assignment.failures += 1;
    // What was read before is good; only the next read waits.
    assignment.restUntilMs = clock.monotonicMs() + retryMs(assignment.failures);
  }
}

/** Pause after so many failures in a row. */
export function retryMs(failures: number): number {
  return Math.min(retryMsMax, retryMsMin * 2 ** Math.min(failures, 16));
}

/** Stops a partition, loudly. It is examined again from its stored offset after `stoppedMs`, and told again while nothing has changed. */
export function stop(
  assignment: Assignment,
  clock: Clock,
  telemetry: Telemetry,
  why: { code: string; off: number; producer: string; reason: string; next: string },
): void {
  telemetry.emit(partitionStopped, { part: assignment.lease.part, ...why });
  assignment.stopped = true;
  assignment.checked = assignment.stored === null;
  rest(assignment, clock.monotonicMs() + stoppedMs);
}

/** The group as the sink takes it: without partitions that were let go, or that a halt has set back since they were read. */
export function commitGroupOf(group: GatheredGroup, mayStore: (assignment: Assignment) => boolean): CommitGroup {
  const runs: StoreRun[] = [];
  for (const [assignment, frames] of group.runs) {
    const { lease, stored } = assignment;
    const follows = frames[0]?.position.off === offsetOf(stored) + 1;
    if (follows && mayStore(assignment)) runs.push({ lease, part: lease.part, after: stored, frames });
    // What is left out here must be read again, or the partition would stand still for ever.
    else assignment.read = stored;
  }
  return { runs, batch: group.batch };
}
