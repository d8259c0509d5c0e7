/**
 * Why it exists: one run of `ship`: inputs one after the other, each record read, sent or rejected, and counted.
 * Enforces: read = accepted + invalid; a record that is not taken is named with place, code and reason; the checkpoint behind each call says
 * exactly how many records it covers; memory is bounded whatever the input holds.
 * Forbids: stopping at a bad record, or at a bad file: what can be shipped is shipped.
 */
import { type Clock, RansomeyeError } from "ransomeye-kernel";
import { type Batch, type Format, formats, originalOf, type Place, readRecords } from "ransomeye-shipper";
import { CliError } from "../errors.ts";
import type { GateInvalid, LaneListener } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import type { Reject, RejectsFile } from "./rejects.ts";
import { type Checkpoint, encodeCheckpoint } from "./runs.ts";

/** What became of one input. */
export interface InputReport {
  readonly name: string;
  format: Format | null;
  identity: string | null;
  producer: string | null;
  read: number;
  /** Not taken, for whatever reason. */
  invalid: number;
  /** Of `invalid`: those that the reader passed and the gateway or the rule of kinds did not. */
  refused: number;
  bytes: number;
  first_id: string | null;
  last_id: string | null;
  error: { readonly code: string; readonly message: string; readonly next: string } | null;
}

/** Counts of the whole run, moving while it runs. */
export interface RunCounts {
  read: number;
  handedOver: number;
  invalid: number;
  refused: number;
  /** Of `refused`: those that were never handed over, because their format does not fit the producer's kind. */
  mismatched: number;
  bytes: number;
  /** Records that an earlier part of this run had shipped. */
  resumed: number;
}

export interface ShippingOptions {
  readonly run: string;
  readonly inputs: readonly { readonly name: string; open(): AsyncIterable<Buffer> }[];
  readonly format: Format | undefined;
  readonly raw: boolean;
  readonly host: string | undefined;
  readonly zoneMinutes: number | undefined;
  readonly clock: Clock;
  readonly lanes: Lanes;
  readonly rejects: RejectsFile | undefined;
  readonly start: Checkpoint;
  readonly stopped: AbortSignal;
  /** Each record that was not taken, for the terminal. */
  readonly onReject: (reject: Reject) => void;
}

/** One run. */
export class Shipping implements LaneListener {
  readonly #o: ShippingOptions;
  readonly counts: RunCounts;
  readonly reports: InputReport[] = [];
  #rejectsBytes: number;

  constructor(o: ShippingOptions) {
    this.#o = o;
    const { spooled, invalid, refused, mismatched } = o.start;
    const read = spooled + invalid - (refused - mismatched);
    this.counts = { read, handedOver: spooled, invalid, refused, mismatched, bytes: 0, resumed: read };
    this.#rejectsBytes = o.start.rejectsBytes;
  }

  /** Reads and hands over everything; resolves when all of it is on this machine's disk. */
  async handOver(): Promise<void> {
    for (let input = this.#o.start.input; input < this.#o.inputs.length && !this.#o.stopped.aborted; input += 1) {
      await this.#input(input, input === this.#o.start.input ? this.#o.start.record : 0);
    }
    for (const lane of this.#o.lanes.lanes()) await lane.spooled();
  }

  /** A line that the gateway put among the dead letters. */
  invalid(found: GateInvalid): void {
    this.counts.invalid += 1;
    this.counts.refused += 1;
    const report = this.reports.find((one) => one.name === found.file);
    if (report !== undefined) {
      report.invalid += 1;
      report.refused += 1;
    }
    this.#reject({ file: found.file, place: found.place, code: found.code, reason: `${found.reason} (dead letter ${found.id})` });
  }

  placed(file: string, firstId: string, lastId: string): void {
    const report = this.reports.find((one) => one.name === file);
    if (report === undefined) return;
    report.first_id ??= firstId;
    report.last_id = lastId;
  }

  async #input(index: number, skip: number): Promise<void> {
    const input = this.#o.inputs[index];
    if (input === undefined) return;
    const report: InputReport = {
      name: input.name,
      format: null,
      identity: null,
      producer: null,
      read: 0,
      invalid: 0,
      refused: 0,
      bytes: 0,
      first_id: null,
      last_id: null,
      error: null,
    };
    this.reports.push(report);
    try {
      const { format, raw, host, zoneMinutes, clock } = this.#o;
      const how = { name: input.name, raw, format, host, zoneMinutes, clock, skipRecords: skip };
      for await (const batch of readRecords(input.open(), how)) {
        await this.#batch(index, report, batch);
        if (this.#o.stopped.aborted) return;
      }
    } catch (error) {
      if (!(error instanceof RansomeyeError) || !error.code.startsWith("SHIP_")) throw error;
      report.error = { code: error.code, message: error.message, next: error.next };
    }
  }

  async #batch(index: number, report: InputReport, batch: Batch): Promise<void> {
    const lines: Buffer[] = [];
    const places: Place[] = [];
    report.format = batch.format;
    this.counts.bytes += batch.bytesRead - report.bytes;
    report.bytes = batch.bytesRead;
    const lane = await this.#lane(report, batch.format);
    let last = 0;
    for (const item of batch.items) {
      last = item.place.record;
      report.read += 1;
      this.counts.read += 1;
      if (item.kind === "invalid") {
        this.#notTaken(
          report,
          {
            file: report.name,
            place: item.place,
            code: item.code,
            reason: item.message,
            original: item.original,
            originalBytes: item.originalBytes,
          },
          false,
        );
      } else if (lane instanceof CliError) {
        this.#notTaken(
          report,
          {
            file: report.name,
            place: item.place,
            code: lane.code,
            reason: lane.message,
            original: originalOf(JSON.parse(item.line.toString("utf8"))) ?? item.line,
          },
          true,
        );
      } else {
        lines.push(item.line);
        places.push(item.place);
      }
    }
    if (this.#o.rejects !== undefined) this.#rejectsBytes = await this.#o.rejects.flush();
    if (lines.length === 0 || lane instanceof CliError) return;
    this.counts.handedOver += lines.length;
    const { invalid, refused, mismatched, handedOver } = this.counts;
    await lane.send(
      lines,
      { file: report.name, places },
      {
        cursor: encodeCheckpoint({
          run: this.#o.run,
          input: index,
          record: last,
          spooled: handedOver,
          invalid,
          refused,
          mismatched,
          rejectsBytes: this.#rejectsBytes,
        }),
        mappingVersion: formats[batch.format].mappingVersion,
      },
    );
  }

  /** The lane for the format, or the reason why records of this format are refused under the identity that was asked for. */
  async #lane(report: InputReport, format: Format): Promise<Awaited<ReturnType<Lanes["laneFor"]>>["lane"] | CliError> {
    try {
      const { lane, name, producer } = await this.#o.lanes.laneFor(format, this);
      report.identity = name;
      report.producer = producer;
      return lane;
    } catch (error) {
      if (error instanceof CliError && error.code === "CLI_KIND_MISMATCH") return error;
      throw error;
    }
  }

  #notTaken(report: InputReport, reject: Reject, mismatched: boolean): void {
    report.invalid += 1;
    this.counts.invalid += 1;
    if (mismatched) {
      report.refused += 1;
      this.counts.refused += 1;
      this.counts.mismatched += 1;
    }
    this.#reject(reject);
  }

  #reject(reject: Reject): void {
    this.#o.rejects?.add(reject);
    this.#o.onReject(reject);
  }
}
