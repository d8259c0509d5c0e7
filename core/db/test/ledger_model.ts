/**
 * Why it exists: what the ledger's sums have to stand is a matter of histories: appends, row transactions that commit or do not, rewinds, takeovers, folds, days that go.
 * Enforces: rows, dead letters, gaps, heads and the engine's place are written in one transaction, as the engine writes them; received time never runs
 * backwards in a partition; what the sums must say is known beside the database.
 * Forbids: knowing how the ledger is made.
 */
import assert from "node:assert/strict";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import type { Connection } from "../src/connection.ts";
import { utcDay } from "../src/partitions.ts";
import { inTransaction, type Pool } from "../src/pool.ts";
import { expireDay } from "../src/retention.ts";
import { removeCounted, signAway, type TestDatabase } from "../src/testing.ts";

const dayUs = 86_400_000_000;
const tables = ["events_dpi", "events_agent", "events_honeypot"] as const;
export const partitions = 3;
export const producers = 4;
/** Days of a history: the last one is today. */
const days = 4;

/** What becomes of one line of a frame; a gap frame has none. */
export type Line = "row" | "dead";

interface Frame {
  readonly part: number;
  readonly off: number;
  readonly us: number;
  readonly producer: number;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly count: number;
  readonly lines: readonly Line[];
}

interface Producer {
  part: number;
  epoch: number;
  seq: number;
  storedEpoch: number;
  storedSeq: number;
}

export interface LedgerRow {
  readonly stored: number;
  readonly dead_lettered: number;
  readonly gap_declared: number;
  readonly in_flight: number;
  readonly imbalance: number;
  readonly misplaced_epochs: number;
}

/** The id of a producer in the database. */
export const producerId = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;

/** A log, an engine and a keeper, all of them played by hand. */
export class LedgerModel {
  /** How many days retention has dropped. */
  dropped = 0;
  readonly connection: Connection;
  readonly pool: Pool;
  readonly keeper: Pool;
  readonly reader: Pool;
  readonly #log: Frame[][] = Array.from({ length: partitions }, () => []);
  readonly #ends: number[] = Array.from({ length: partitions }, () => 0);
  readonly #places: number[] = Array.from({ length: partitions }, () => 0);
  readonly #lows: number[] = Array.from({ length: partitions }, () => 0);
  readonly #producers: Producer[] = [];
  #nowUs: number;
  #day = 0;
  readonly #firstDay: string;
  #found = { stored: 0, dead_lettered: 0, gap_declared: 0 };
  #appended = 0;

  private constructor(database: TestDatabase) {
    this.connection = database.connection;
    this.pool = database.pool;
    this.keeper = database.rolePool("ransomeye_keeper", 4);
    this.reader = database.rolePool("ransomeye_reader", 2);
    this.#firstDay = utcDay(systemClock.nowUs(), 1 - days);
    this.#nowUs = Date.parse(`${this.#firstDay}T12:00:00Z`) * 1000;
  }

  static async open(database: TestDatabase): Promise<LedgerModel> {
    const model = new LedgerModel(database);
    await model.pool.query("SELECT ops.ensure_partitions($1::date, $2)", [model.#firstDay, days]);
    await model.pool.query(
      `INSERT INTO bus.consumer_offset (grp, part, off, generation, fence) SELECT 'engine', p.part, 0, g.id, 1 FROM bus.partition_head p, bus.generation g WHERE p.part < $1`,
      [partitions],
    );
    for (let n = 0; n < producers; n++) {
      const part = n % partitions;
      model.#producers.push({ part, epoch: 0, seq: 0, storedEpoch: 0, storedSeq: 0 });
      await model.openEpoch(n, part);
    }
    return model;
  }

  /** Seals the producer's epoch and opens the next one, in this partition. Left undone while the engine is behind: it would hold the new epoch's frames. */
  async openEpoch(n: number, part: number): Promise<void> {
    const producer = this.#producer(n);
    const { epoch, seq } = producer;
    if (seq > 0 && (producer.storedEpoch !== epoch || producer.storedSeq !== seq)) return;
    const id = producerId(n);
    await this.pool.query(
      `UPDATE bus.epoch_log SET sealed_us = 1, final_seq = ${seq}, offered = ${seq} WHERE producer_id = '${id}' AND final_seq IS NULL;
       INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash) VALUES ('${id}', ${epoch + 1}, 1, ${part}, '\\x01', ${epoch}, ${seq}, '\\x');
       INSERT INTO bus.producer_head VALUES ('${id}', ${epoch + 1}, 0, '\\x', ${part}, ${epoch}, ${seq}, '\\x', '\\x01', 0, 0)
         ON CONFLICT (producer_id) DO UPDATE SET epoch = excluded.epoch, seq = 0, part = excluded.part, offered = 0`,
    );
    Object.assign(producer, { part, epoch: epoch + 1, seq: 0 });
  }

  /** Appends a frame; without lines it declares a gap of `count`. `afterUs` passes first: with 0 two entries of a partition bear one time. */
  async append(n: number, lines: readonly Line[], count: number, afterUs: number): Promise<void> {
    const producer = this.#producer(n);
    const { part, epoch } = producer;
    this.#nowUs += afterUs;
    const frame: Frame = {
      ...{ part, epoch, producer: n, us: this.#nowUs, off: (this.#ends[part] ?? 0) + 1 },
      ...{ firstSeq: producer.seq + 1, count: lines.length === 0 ? count : lines.length, lines },
    };
    this.#log[part]?.push(frame);
    this.#ends[part] = frame.off;
    producer.seq += frame.count;
    this.#appended += frame.count;
    const id = producerId(n);
    await this.pool.query(
      `INSERT INTO bus.frames VALUES (${part}, ${frame.off}, ${at(frame.us)}, '${id}', ${kindOf(n)}, ${epoch}, ${frame.firstSeq}, ${frame.count}, ${lines.length === 0 ? 2 : 1},
         0, 1, 1, '\\x01', ${producer.seq}, 0, 0, '\\x', '\\x', '\\x', '\\x', '\\x', '\\x', 'g', '\\x');
       UPDATE bus.partition_head SET off = ${frame.off}, received_us = ${frame.us} WHERE part = ${part};
       UPDATE bus.producer_head SET seq = ${producer.seq}, offered = ${producer.seq} WHERE producer_id = '${id}'`,
    );
  }

  /** The engine's row transaction over at most so many entries of a partition; with `dies` it never commits. */
  async store(part: number, entriesMax: number, dies: boolean): Promise<void> {
    const entries = (this.#log[part] ?? []).filter(({ off }) => off > (this.#places[part] ?? 0)).slice(0, entriesMax);
    const last = entries.at(-1);
    if (last === undefined) return;
    const fresh = entries.filter((frame) => isNext(this.#producer(frame.producer), frame));
    const heads = new Map(fresh.map((frame) => [frame.producer, frame]));
    const sql = [
      `UPDATE bus.consumer_offset SET off = ${last.off}, entry_received_us = ${last.us} WHERE grp = 'engine' AND part = ${part}`,
      ...fresh.flatMap(rowsOf),
      ...[...heads].flatMap(([n, frame]) => headOf(this.#producer(n), frame)),
    ].join(";\n");
    if (dies) {
      await this.#undone(sql);
      return;
    }
    await inTransaction(this.pool, (client) => client.query(sql));
    this.#places[part] = last.off;
    for (const [n, { epoch, firstSeq, count }] of heads)
      Object.assign(this.#producer(n), { storedEpoch: epoch, storedSeq: firstSeq + count - 1 });
    for (const { lines, count } of fresh) {
      this.#found.stored += lines.filter((line) => line === "row").length;
      this.#found.dead_lettered += lines.filter((line) => line === "dead").length;
      this.#found.gap_declared += lines.length === 0 ? count : 0;
    }
  }

  /** The engine has read everything. */
  async storeAll(): Promise<void> {
    for (let part = 0; part < partitions; part++) await this.store(part, Number.MAX_SAFE_INTEGER, false);
  }

  /** Another engine takes the partition over. */
  async takeOver(part: number): Promise<void> {
    await this.pool.query("UPDATE bus.consumer_offset SET fence = fence + 1 WHERE part = $1", [part]);
  }

  /** An operator has a partition read again, from the low mark. */
  async rewind(part: number): Promise<void> {
    await this.pool.query("SELECT bus.group_rewind('engine', $1, 0, id, '', 0) FROM bus.generation", [part]);
    this.#places[part] = this.#lows[part] ?? 0;
  }

  async fold(dies: boolean): Promise<void> {
    if (dies) await this.#undone("SELECT * FROM ops.ledger_fold()");
    else await this.keeper.query("SELECT * FROM ops.ledger_fold()");
  }

  async rebuild(): Promise<void> {
    await this.keeper.query("SELECT * FROM ops.ledger_rebuild()");
  }

  /** Time goes on to the next day. */
  nextDay(): void {
    if (this.#day === days - 1) return;
    this.#day += 1;
    this.#nowUs = Date.parse(`${this.#firstDay}T00:00:00Z`) * 1000 + this.#day * dayUs;
  }

  /** Retention drops a day, if it is over. */
  async drop(day: number): Promise<void> {
    if (day >= this.#day) return;
    const name = utcDay(Date.parse(`${this.#firstDay}T00:00:00Z`) * 1000, day);
    await signAway(this.pool, name);
    const options = { pool: this.keeper, clock: systemClock, telemetry: recordingTelemetry() };
    if ((await expireDay(options, name, "age")).kind === "expired") {
      // Counted and still there: the sums and the recount pass it over.
      await this.check();
      this.dropped += 1;
    }
    await removeCounted(this.connection, options);
    const { rows } = await this.pool.query<{ part: number; low_off: number }>(
      "SELECT part, low_off FROM bus.partition_head WHERE part < $1",
      [partitions],
    );
    for (const { part, low_off: low } of rows) this.#lows[part] = low;
    const { rows: kept } = await this.pool.query<{ part: number; off: number }>("SELECT part, off FROM bus.frames");
    const places = new Set(kept.map(({ part, off }) => `${part}:${off}`));
    for (const [part, log] of this.#log.entries()) this.#log[part] = log.filter(({ off }) => places.has(`${part}:${off}`));
  }

  /** The ledger of the sums, as the keeper and the supervisor ask for it. */
  async live(): Promise<LedgerRow> {
    const { rows } = await this.keeper.query<LedgerRow>(
      "SELECT stored, dead_lettered, gap_declared, in_flight, imbalance, misplaced_epochs FROM views.ledger_live",
    );
    return rows[0] as LedgerRow;
  }

  /** Epochs in which the full recount says anything else than the sums. */
  async differences(): Promise<unknown[]> {
    return (await this.reader.query("SELECT * FROM views.ledger_audit WHERE sums_differ")).rows;
  }

  /** The ledger of the sums says what was written, and the recount says the same. */
  async check(): Promise<void> {
    const { stored, dead_lettered, gap_declared } = this.#found;
    const inFlight = this.#appended - stored - dead_lettered - gap_declared;
    assert.deepEqual(await this.live(), { ...this.#found, in_flight: inFlight, imbalance: 0, misplaced_epochs: 0 });
    assert.deepEqual(await this.differences(), []);
  }

  #producer(n: number): Producer {
    const producer = this.#producers[n];
    assert.ok(producer !== undefined);
    return producer;
  }

  /** Runs what its process does not live to commit. */
  async #undone(sql: string): Promise<void> {
    const client = await this.pool.connect();
    try {
      await client.query(`BEGIN;\n${sql}`);
      await client.query("ROLLBACK");
    } finally {
      client.release();
    }
  }
}

const at = (us: number): string => `(timestamptz '1970-01-01 00:00:00+00' + ${us} * interval '1 microsecond')`;

/** dpi, linux, honeypot, dpi …: every table has rows. */
const kindOf = (n: number): number => [1, 2, 4][n % tables.length] ?? 1;

/** Whether the sink takes it; after a rewind it has most of what it reads. */
function isNext({ storedEpoch, storedSeq }: Producer, { epoch, firstSeq }: Frame): boolean {
  return epoch > storedEpoch || (epoch === storedEpoch && firstSeq > storedSeq);
}

function rowsOf({ part, off, us, producer, epoch, firstSeq, count, lines }: Frame): string[] {
  const id = producerId(producer);
  const place = (seq: number, many: number): string => `${at(us)}, '${id}', ${epoch}, ${seq}, ${many}, ${part}, ${off}`;
  if (lines.length === 0)
    return [
      `INSERT INTO data.gaps (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, reason) VALUES (${place(firstSeq, count)}, 'spool_full')`,
    ];
  return lines.map((line, n) =>
    line === "row"
      ? `INSERT INTO data.${tables[producer % tables.length]} (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version)
         VALUES (${at(us)}, now(), '${id}', ${epoch}, ${firstSeq + n}, ${part}, ${off}, ${n}, 0, 0, 1007, 1, 1, 0, 1, 1, 1)`
      : `INSERT INTO data.event_dead_letters (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, line, code, detail)
         VALUES (${place(firstSeq + n, 1)}, ${n}, 'X', '')`,
  );
}

function headOf({ storedEpoch }: Producer, { producer, epoch, firstSeq, count }: Frame): string[] {
  const id = producerId(producer);
  const seq = firstSeq + count - 1;
  return [
    ...(storedEpoch > 0 && storedEpoch < epoch
      ? [
          `INSERT INTO data.sink_epochs SELECT producer_id, epoch, seq, hash FROM data.sink_head WHERE producer_id = '${id}' AND epoch = ${storedEpoch}`,
        ]
      : []),
    `INSERT INTO data.sink_head VALUES ('${id}', ${kindOf(producer)}, ${epoch}, ${seq}, '\\x', now()) ON CONFLICT (producer_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq`,
  ];
}
