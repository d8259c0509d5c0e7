/**
 * Why: a disk in memory. Enforces: what was synced survives a crash, and any prefix of what was not.
 */
import { decodeHeader, mustDecode, zeroHash } from "ransomeye-ingestion/protocol";
import { type BatchRecord, type CursorAt, incompleteTail, type LinkRecord, type MachineState, type Signal } from "../src/lib.ts";

/** A spool: what was synced survives a crash, and any prefix of what was not. */
export class SpoolModel {
  records: (BatchRecord | LinkRecord)[] = [];
  pending: (BatchRecord | LinkRecord)[] = [];
  readonly payloads: Map<number, Buffer> = new Map();
  state: MachineState | undefined;
  cursor: CursorAt | undefined;
  durableCursor: CursorAt | undefined;
  /** Of events that a declaration in the machine's state holds. */
  declaredCursor: CursorAt | undefined;

  /** Writes the state file. */
  save(state: MachineState): void {
    this.state = state;
    const declared = this.declaredCursor;
    this.durableCursor = declared !== undefined && declared.index >= (this.durableCursor?.index ?? 0) ? declared : this.durableCursor;
    this.cursor = this.durableCursor;
  }

  sync(): Signal[] {
    const group = this.pending;
    this.pending = [];
    this.records.push(...group);
    const signals: Signal[] = [];
    const placedGap = (record: BatchRecord | LinkRecord): boolean =>
      record.type === "batch" && record.kind === "gap" && record.signed !== undefined;
    const complete = group.findLast((record): record is BatchRecord => record.type === "batch" && !record.more && !placedGap(record));
    if (complete !== undefined) {
      signals.push({ kind: "durable", through: complete.index });
      if (complete.cursor !== undefined) this.durableCursor = { index: complete.index, cursor: complete.cursor };
    }
    const links = group
      .filter((record) => record.type === "link" || placedGap(record))
      .map((record) => ({ index: record.index, hash: mustDecode(decodeHeader(record.signed?.header ?? zeroHash)).hash }));
    if (links.length > 0) signals.push({ kind: "signed", links });
    return signals;
  }

  crash(keep: number): void {
    this.records.push(...this.pending.slice(0, keep));
    this.pending = [];
    this.declaredCursor = undefined;
    const dropped = new Set(incompleteTail(this.batches).map((batch) => batch.index));
    this.records = this.records.filter((record) => !dropped.has(record.index));
  }

  get batches(): BatchRecord[] {
    return this.records.filter((record) => record.type === "batch");
  }
}
