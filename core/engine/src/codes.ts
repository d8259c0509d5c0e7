// Why: everything the engine can refuse or complain about, in one closed table.
// Enforces: an error names its stage, what happens to the data, and what to do next.
// Forbids: matching on messages; errors outside the table.

import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

export type EngineCode =
  | "ENGINE_HISTORY_DIVERGED"
  | "ENGINE_CHAIN_BROKEN"
  | "ENGINE_OFFSET_HOLE"
  | "ENGINE_COUNT_BROKEN"
  | "ENGINE_FENCED"
  | "ENGINE_HEAD_MOVED"
  | "ENGINE_BUS_UNREADABLE"
  | "ENGINE_SINK_UNREACHABLE"
  | "ENGINE_SINK_BUSY"
  | "ENGINE_SINK_FULL"
  | "ENGINE_SINK_REFUSED"
  | "ENGINE_SINK_DAMAGED"
  | "ENGINE_PARTITION_MISSING"
  | "ENGINE_ROWS_REFUSED"
  | "ENGINE_ROW_REFUSED"
  | "ENGINE_FRAME_UNDECODABLE"
  | "ENGINE_LINE_UNREADABLE"
  | "ENGINE_INDEX_BROKEN";

export const ENGINE_CODES: CodeTable<EngineCode> = {
  ENGINE_HISTORY_DIVERGED: {
    stage: "plan",
    disposition: "fatal",
    meaning: "The bus does not hold the history from which the stored rows were made (R-2).",
    next: "Find out which server was restored or failed over; `ransomeye reconcile` shows which producers' rows the log contradicts.",
  },
  ENGINE_CHAIN_BROKEN: {
    stage: "plan",
    disposition: "fatal",
    meaning: "A frame that should be next does not link to the hash of the frame stored before it.",
    next: "Verify the producer's chain with `ransomeye event ID`; the partition stays stopped, nothing was stored.",
  },
  ENGINE_OFFSET_HOLE: {
    stage: "plan",
    disposition: "fatal",
    meaning: "The bus handed out entries whose offsets are not consecutive; a reader that sees a hole stops (R-1).",
    next: "Treat the bus partition as corrupt: check bus.frames for the missing offset before anything is trimmed.",
  },
  ENGINE_COUNT_BROKEN: {
    stage: "plan",
    disposition: "fatal",
    meaning: "Rows and dead letters of a frame do not add up to its signed count (R-8): a defect of the engine.",
    next: "Report it with the frame's position; the partition stays stopped, nothing was stored.",
  },
  ENGINE_FENCED: {
    stage: "store",
    disposition: "retry",
    meaning: "Another engine has taken over the partition; this one's work on it was rolled back (R-3).",
    next: "Nothing: the new owner goes on from the stored offset.",
  },
  ENGINE_HEAD_MOVED: {
    stage: "store",
    disposition: "retry",
    meaning: "A producer's head in the sink moved while its frames were being stored; the group was rolled back.",
    next: "Nothing: the group is planned again on the new head.",
  },
  ENGINE_BUS_UNREADABLE: {
    stage: "read",
    disposition: "retry",
    meaning: "The bus could not be read.",
    next: "Look at the cause in the log; reading is tried again with growing pauses.",
  },
  ENGINE_SINK_UNREACHABLE: {
    stage: "store",
    disposition: "retry",
    meaning: "PostgreSQL closed or refused the connection.",
    next: "Nothing if the server is restarting; else check that it runs and that the engine may log in.",
  },
  ENGINE_SINK_BUSY: {
    stage: "store",
    disposition: "retry",
    meaning: "PostgreSQL rolled the transaction back for a passing reason (deadlock, lock timeout, cancelled).",
    next: "Nothing: the group is stored again.",
  },
  ENGINE_SINK_FULL: {
    stage: "store",
    disposition: "retry",
    meaning: "PostgreSQL is out of disk, memory or connections.",
    next: "Free the resource named in the log; frames wait on the bus meanwhile.",
  },
  ENGINE_SINK_REFUSED: {
    stage: "store",
    disposition: "fatal",
    meaning: "PostgreSQL refused a statement that does not depend on the data (privilege, missing table, wrong version).",
    next: "Run the migrations and grants of this version; the partition is tried again after a pause.",
  },
  ENGINE_SINK_DAMAGED: {
    stage: "store",
    disposition: "fatal",
    meaning: "PostgreSQL has found a page, an index or a file that is not what it wrote: disk, memory or somebody has changed it.",
    next: 'Stop, keep the data directory as it is, and look after the disk; then restore a backup (`ransomeye backup restore`). Frames wait on the bus meanwhile, and nothing is written over. core/docs/data_plane.md, "Backup and crash".',
  },
  ENGINE_PARTITION_MISSING: {
    stage: "store",
    disposition: "retry",
    meaning: "The day partition of a row does not exist and could not be made.",
    next: "Check that the keeper runs and that ops.ensure_partitions succeeds.",
  },
  ENGINE_ROWS_REFUSED: {
    stage: "store",
    disposition: "fatal",
    meaning: "PostgreSQL refuses more rows of one commit than a fault in the data can explain.",
    next: "Compare the table with this version's schema; the partition is tried again after a pause.",
  },
  ENGINE_ROW_REFUSED: {
    stage: "store",
    disposition: "dead_letter",
    meaning: "PostgreSQL refuses this one row; it became a dead letter in its place.",
    next: "Read the SQLSTATE in the dead letter's detail; the original line is in its frame.",
  },
  ENGINE_FRAME_UNDECODABLE: {
    stage: "rows",
    disposition: "dead_letter",
    meaning: "The frame's payload does not decode to exactly the signed number of lines (R-8).",
    next: "Update the producer; the signed bytes are kept in the frame.",
  },
  ENGINE_LINE_UNREADABLE: {
    stage: "rows",
    disposition: "dead_letter",
    meaning: "A line that the gateway called valid cannot be read by this engine.",
    next: "Check that gateway and engine run the same version; the original line is in its frame.",
  },
  ENGINE_INDEX_BROKEN: {
    stage: "index",
    disposition: "fatal",
    meaning: "The index of observables does not hold what it should: a block ends in the middle, or a segment is larger than any may be.",
    next: "Make it again with `ransomeye index --rebuild`; events and batches are not touched.",
  },
};

/** A failure of the engine's shell. Outcomes of the hot path are returned unions, never this. */
export class EngineError extends RansomeyeError<EngineCode> {
  constructor(code: EngineCode, message: string, options?: ErrorOptions) {
    super(ENGINE_CODES, code, message, options);
  }
}
