/**
 * Why: beside the frames a few facts must survive: where the chain ends, where the source stands, whose receipts are believed.
 * Enforces: one write at a time, and deletions in line behind the write that makes them safe; a cursor counts when its batch is durable.
 * Forbids: swallowing a failed write.
 */
import type { Receipt } from "ransomeye-ingestion/protocol";
import { type RoomWaiter, untilRoom } from "./disk_room.ts";
import type { MachineState } from "./machine_types.ts";
import type { ReceiptTrust } from "./receipt_trust.ts";
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
  readonly #room: RoomWaiter;
  readonly #coming: CursorAt[] = [];
  #cursor: CursorAt | undefined;
  /** Where the source stands behind events that a declaration holds; it counts when the state that has them is on disk. */
  #declared: CursorAt | undefined;
  #lastReceipt: SpoolState["lastReceipt"];
  #line: Promise<void> = Promise.resolve();

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
    this.#room = opened.spool.roomWaiter;
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
    return this.behind(() =>
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
      }, this.#room),
    );
  }

  #behindLosses(): CursorAt | undefined {
    const declared = this.#declared;
    return declared !== undefined && declared.index >= (this.#cursor?.index ?? 0) ? declared : this.#cursor;
  }

  /** Does something behind the writes that were asked for before. */
  behind(work: () => Promise<void>): Promise<void> {
    this.#line = this.#line.then(work);
    this.#line.catch(this.#failed);
    return this.#line;
  }
}
