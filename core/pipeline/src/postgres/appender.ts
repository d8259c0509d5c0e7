/**
 * Why it exists: what a gate may do with a bus on PostgreSQL, and all that its role can do.
 * Enforces: only the five functions are called; the server is refused where a receipt could not mean durable; one flush for what
 * gathers while another is under way.
 * Forbids: tables, retries, and closing the pool, which belongs to whoever opened it.
 *
 * An append whose answer is lost rejects with BUS_OUTCOME_UNKNOWN: the frames may be durable. Append the same frames again: what was stored
 * comes back as `duplicate` (behind the same barrier), the rest is accepted. Nothing else settles it, and nothing else is needed.
 */
import type { Pool, PoolClient } from "ransomeye-db";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { checkAppend, checkProducer } from "../arguments.ts";
import type {
  AppendOptions,
  AppendOutcome,
  BusPressure,
  FrameAppend,
  FrameAppender,
  GateReport,
  OpenEpochOutcome,
  OpenEpochRequest,
  PressureQuestion,
  ProducerHead,
} from "../bus.ts";
import { BusError } from "../errors.ts";
import { AppendQueue, type SendAppend } from "../append_queue.ts";
import { reportAppend } from "../append_report.ts";
import { busEpochLimited, busEpochOpened, busQueuedBytes } from "../events.ts";
import { type AppendRow, encodeAppend, headOf, type HeadRow, outcomeOf } from "./append_call.ts";
import { callFailed, connect, giveBack, queryOnce } from "./connections.ts";
import { type BusFacts, readFacts } from "./facts.ts";
import { busFailure } from "./failures.ts";

export interface PostgresAppenderOptions {
  /** A pool of the gate's role; its size bounds how many partitions append at once. */
  readonly pool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Bounds of one merged call. */
  readonly callBytesMax?: number;
  readonly callFramesMax?: number;
}

const appendSql = "SELECT * FROM bus.append($1, $2, $3, $4, $5::uuid[], $6::bigint[], $7)";
const openEpochSql = "SELECT * FROM bus.open_epoch($1, $2, $3, $4)";
const headsSql = "SELECT * FROM bus.heads_of($1::uuid[])";
const pressureSql =
  "SELECT paused, retry_after_ms, backlog_entries, backlog_ms, strain, strain_level, in_flight_bytes, lease_ms FROM bus.pressure($1, $2, $3)";
const reportSql = "SELECT bus.counters_put($1, $2, $3)";
/** Who wants nothing leases nothing: the bus tells its facts. */
const factsSql = "SELECT generation, partitions FROM bus.pressure('', '00000000-0000-0000-0000-000000000000', 0)";

/** @throws BusError BUS_NOT_DURABLE, BUS_NOT_PREPARED, BUS_FORBIDDEN, BUS_UNAVAILABLE */
export async function openPostgresAppender(options: PostgresAppenderOptions): Promise<FrameAppender> {
  const facts = await readFacts(options.pool, factsSql, options.telemetry);
  return new PostgresAppender(facts, options);
}

interface PressureRow {
  readonly paused: string | null;
  readonly retry_after_ms: number;
  readonly backlog_entries: number;
  readonly backlog_ms: number;
  readonly strain: string | null;
  readonly strain_level: number;
  readonly in_flight_bytes: number;
  readonly lease_ms: number;
}

class PostgresAppender implements FrameAppender {
  readonly generation: string;
  readonly partitions: number;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #queue: AppendQueue;

  constructor(facts: BusFacts, options: PostgresAppenderOptions) {
    this.generation = facts.generation;
    this.partitions = facts.partitions;
    this.#pool = options.pool;
    this.#clock = options.clock;
    this.#telemetry = options.telemetry;
    this.#queue = new AppendQueue((part, take) => this.#send(part, take), {
      callBytesMax: options.callBytesMax ?? 2 * 1024 * 1024,
      callFramesMax: options.callFramesMax ?? 256,
    });
  }

  async append(part: number, frames: readonly FrameAppend[], options: AppendOptions): Promise<AppendOutcome[]> {
    checkAppend(frames, options);
    const settled = this.#queue.append(part, frames, options);
    this.#telemetry.set(busQueuedBytes, this.#queue.queuedBytes);
    return settled;
  }

  async openEpoch(request: OpenEpochRequest): Promise<OpenEpochOutcome> {
    checkProducer(request.producer);
    type Row = HeadRow & { readonly verdict: string; readonly retry_after_ms: number | null };
    const values = [request.producer, request.expectedEpoch, Buffer.from(request.keyId, "hex"), request.registryVersion];
    const [row] = await queryOnce<Row>(this.#pool, this.#telemetry, "change", { name: "bus_open_epoch", text: openEpochSql, values });
    const { producer } = request;
    if (row === undefined) throw new BusError("BUS_INTERNAL", "bus.open_epoch gave no answer");
    switch (row.verdict) {
      case "opened":
        this.#telemetry.emit(busEpochOpened, { producer, epoch: row.epoch, part: row.part });
        return {
          kind: "opened",
          epoch: row.epoch,
          prev: { epoch: row.prev_epoch, seq: row.prev_seq, hash: row.prev_hash },
          part: row.part,
        };
      case "conflict":
        return { kind: "conflict", head: headOf(row) };
      case "limited":
        this.#telemetry.emit(busEpochLimited, { producer, epoch: row.epoch });
        return { kind: "limited", retryAfterMs: row.retry_after_ms ?? 0 };
      case "revoked":
      case "stale_registry":
        return { kind: row.verdict };
    }
    throw new BusError("BUS_INTERNAL", "bus.open_epoch gave an answer that this release does not know", {
      fields: { verdict: row.verdict },
    });
  }

  async headsOf(producers: readonly string[]): Promise<Map<string, ProducerHead>> {
    for (const producer of producers) checkProducer(producer);
    type Row = HeadRow & { readonly producer_id: string };
    const rows = await queryOnce<Row>(this.#pool, this.#telemetry, "read", {
      name: "bus_heads",
      text: headsSql,
      values: [`{${producers.join(",")}}`],
    });
    return new Map(rows.map((row) => [row.producer_id, headOf(row)]));
  }

  async pressure({ gateway, incarnation, wantBytes }: PressureQuestion): Promise<BusPressure> {
    const values = [gateway, incarnation, wantBytes];
    const [row] = await queryOnce<PressureRow>(this.#pool, this.#telemetry, "read", { name: "bus_pressure", text: pressureSql, values });
    if (row === undefined) throw new BusError("BUS_NOT_PREPARED", "the bus has no state");
    return {
      paused: row.paused,
      retryAfterMs: row.retry_after_ms,
      backlogEntries: row.backlog_entries,
      backlogMs: row.backlog_ms,
      strain: row.strain === null ? null : { name: row.strain, level: row.strain_level },
      inFlightBytesMax: row.in_flight_bytes,
      leaseMs: row.lease_ms,
    };
  }

  async report({ gateway, incarnation, ...said }: GateReport): Promise<void> {
    const values = [gateway, incarnation, JSON.stringify(said)];
    await queryOnce(this.#pool, this.#telemetry, "change", { name: "bus_counters", text: reportSql, values });
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #send(part: number, take: Parameters<SendAppend>[1]): Promise<AppendOutcome[]> {
    const client: PoolClient = await connect(this.#pool, this.#telemetry, "append");
    const { frames, options, bytes } = take();
    const { producers, numbers, blob } = encodeAppend(frames);
    const startedMs = this.#clock.monotonicMs();
    let failure: unknown;
    try {
      const result = await client.query<AppendRow>({
        name: "bus_append",
        text: appendSql,
        values: [part, options.registryVersion, options.gateway, options.incarnation, producers, numbers, blob],
      });
      const outcomes = frames.map((frame, index) => outcomeOf(result.rows[index] as AppendRow, frame, part, this.generation));
      reportAppend(this.#telemetry, { part, frames, outcomes, bytes, seconds: (this.#clock.monotonicMs() - startedMs) / 1000 });
      this.#telemetry.set(busQueuedBytes, this.#queue.queuedBytes);
      return outcomes;
    } catch (error) {
      failure = error;
      throw callFailed(this.#telemetry, "append", busFailure(error, "change"), frames.length);
    } finally {
      giveBack(client, failure);
    }
  }
}
