/**
 * Why: beside the frames a few facts must survive: where the chain ends, where the source stands, whose receipts are believed.
 * Enforces: one write at a time, and deletions in line behind the write that makes them safe; a cursor counts when its batch is durable.
 * Forbids: swallowing a failed write.
 */
import type { Receipt } from "ransomeye-ingestion/protocol";
import type { MachineState } from "./machine_types.ts";
import type { ReceiptTrust } from "./receipt_trust.ts";
import type { OpenedSpool } from "./spool_open.ts";
import type { CursorAt } from "./spool_recovery.ts";
import { type SpoolState, writeSpoolState } from "./spool_state.ts";

/** Keeps a spool's state file. */
export class StateKeeper {
  readonly #directory: string;
  readonly #producer: string;
  readonly #machine: () => MachineState;
  readonly #trust: ReceiptTrust;
  readonly #failed: (error: unknown) => void;
  readonly #coming: CursorAt[] = [];
  #cursor: CursorAt | undefined;
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

  /** The newest receipt: the proof of what a server has signed for, in case it forgets. */
  receipted(receipt: Receipt): void {
    const { epoch, durableSeq, storedEpoch, storedSeq, receivedUs, invalidMore, invalid } = receipt;
    const hex = { chainHash: receipt.chainHash.toString("hex"), signature: receipt.signature.toString("hex") };
    this.#lastReceipt = { epoch, durableSeq, storedEpoch, storedSeq, receivedUs, invalidMore, invalid: JSON.stringify(invalid), ...hex };
  }

  /** Writes what is true now. */
  save(): Promise<void> {
    return this.behind(() =>
      writeSpoolState(this.#directory, {
        producer: this.#producer,
        machine: this.#machine(),
        cursor: this.#cursor,
        receiptKeys: this.#trust.pins,
        lastReceipt: this.#lastReceipt,
      }),
    );
  }

  /** Does something behind the writes that were asked for before. */
  behind(work: () => Promise<void>): Promise<void> {
    this.#line = this.#line.then(work);
    this.#line.catch(this.#failed);
    return this.#line;
  }
}
