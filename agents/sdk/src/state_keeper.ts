/**
 * Why: beside the frames a few facts must survive: where the chain ends, where the source stands, whose receipts are believed.
 * Enforces: one write at a time; a segment is deleted behind the write of a state that tells all it told; a cursor counts when its batch is durable.
 * Forbids: swallowing a failed write.
 */
import type { Receipt } from "ransomeye-ingestion/protocol";
import { untilRoom } from "./disk_room.ts";
import type { MachineState } from "./machine_types.ts";
import type { ReceiptTrust } from "./receipt_trust.ts";
import type { Segment, Spool } from "./spool.ts";
import type { OpenedSpool } from "./spool_open.ts";
import { type CursorAt, newerCursor } from "./spool_recovery.ts";
import { type SpoolState, writeSpoolState } from "./spool_state.ts";

/** Keeps a spool's state file. */
export class StateKeeper {
  readonly #directory: string;
  readonly #producer: string;
  readonly #machine: () => MachineState;
  readonly #trust: ReceiptTrust;
  readonly #failed: (error: unknown) => void;
  readonly #spool: Spool;
  readonly #coming: CursorAt[] = [];
  #cursor: CursorAt | undefined;
  /** Where the source stands behind events that a declaration holds; it counts when the state that has them is on disk. */
  #declared: CursorAt | undefined;
  #lastReceipt: SpoolState["lastReceipt"];
  #line: Promise<void> = Promise.resolve();
  /** A removal waits for its state to be taken, which will tell whatever becomes free until then. */
  #removes = false;

  constructor(
    place: { readonly directory: string; readonly producer: string },
    opened: OpenedSpool,
    trust: ReceiptTrust,
    machine: () => MachineState,
    failed: (error: unknown) => void,
  ) {
    this.#directory = place.directory;
    this.#producer = place.producer;
    this.#machine = machine;
    this.#trust = trust;
    this.#failed = failed;
    this.#spool = opened.spool;
    this.#cursor = opened.cursor;
    this.#lastReceipt = opened.state?.lastReceipt;
  }

  /** Where the source stood behind the newest durable batch. */
  get cursor(): string | undefined {
    return this.#cursor?.cursor;
  }

  /** A batch with a cursor was handed to the spool. */
  cursorComes(at: CursorAt): void {
    this.#coming.push(at);
  }

  /** Batches up to this index are durable. */
  durable(through: number): void {
    while (this.#coming[0] !== undefined && this.#coming[0].index <= through) this.#cursor = this.#coming.shift();
  }

  /** A declaration grew by events up to this cursor. To be told in the same breath: the next state that is written holds both. */
  cursorDeclared(at: CursorAt): void {
    this.#declared = at;
  }

  /** The newest receipt: the proof of what a server has signed for, in case it forgets. */
  receipted(receipt: Receipt): void {
    const { epoch, durableSeq, storedEpoch, storedSeq, receivedUs, invalidMore, invalid } = receipt;
    const hex = { chainHash: receipt.chainHash.toString("hex"), signature: receipt.signature.toString("hex") };
    this.#lastReceipt = { epoch, durableSeq, storedEpoch, storedSeq, receivedUs, invalidMore, invalid: JSON.stringify(invalid), ...hex };
  }

  /** Writes what is true now; `written` is told at that moment. A full disk is waited for. */
  save(written: () => void = () => undefined): Promise<void> {
    return this.#behind(() =>
      untilRoom(async () => {
        written();
        const cursor = this.#behindLosses();
        await writeSpoolState(this.#directory, {
          producer: this.#producer,
          machine: this.#machine(),
          cursor,
          receiptKeys: this.#trust.pins,
          lastReceipt: this.#lastReceipt,
        });
        this.#cursor = newerCursor(cursor, this.#cursor);
      }, this.#spool.roomWaiter),
    );
  }

  /**
   * Writes what is true now, then deletes the segments that nothing needed at that moment. What becomes free while the state is written waits for the next
   * one: this one does not tell it, and a crash in between would leave a hole.
   */
  removeFree(removed: () => void): void {
    if (this.#removes) return;
    this.#removes = true;
    let free: readonly Segment[] = [];
    void this.save(() => {
      this.#removes = false;
      ({ free } = this.#spool);
    });
    void this.#behind(async () => {
      await this.#spool.remove(free);
      removed();
    });
  }

  #behindLosses(): CursorAt | undefined {
    const declared = this.#declared;
    return declared !== undefined && declared.index >= (this.#cursor?.index ?? 0) ? declared : this.#cursor;
  }

  #behind(work: () => Promise<void>): Promise<void> {
    this.#line = this.#line.then(work);
    this.#line.catch(this.#failed);
    return this.#line;
  }
}
