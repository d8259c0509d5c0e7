/**
 * Why it exists: what the index of observables has to stand is a matter of histories: appends, rows, takeovers, rewinds, rounds that die, days that go.
 * Enforces: batches, rows and the engine's place are written as gateway and engine write them; what an answer must be is known beside the database.
 * Forbids: knowing how the index is made.
 */
import assert from "node:assert/strict";
import { expireDay, inTransaction, type Pool, utcDay } from "ransomeye-db";
import { removeCounted, signAway, type TestDatabase } from "ransomeye-db/testing";
import { IndexBuilder, IndexReader, IndexStore, type IndexRound, type IndexStep, type KeyOf, keysUnder } from "ransomeye-engine";
import { askedObservable, type ObservableKind } from "ransomeye-ingestion/protocol";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { findByValues, type PivotAnswer, type PivotValue } from "../src/queries/pivot.ts";

const dayUs = 86_400_000_000;
export const partitions = 3;
const days = 4;
const tables = ["events_dpi", "events_agent", "events_honeypot"] as const;

/** What an event holds. */
export interface Line {
  readonly host: number;
  readonly ip: number;
  readonly user: number;
  readonly domain: number;
  readonly hash: number;
}

interface Frame {
  readonly part: number;
  readonly off: number;
  readonly us: number;
  readonly firstSeq: number;
  readonly lines: readonly Line[];
  isStored: boolean;
}

/** The same value as events write it, and as somebody may ask for it. */
export const values: Readonly<Record<ObservableKind, (n: number) => { readonly written: string; readonly asked: string }>> = {
  host: (n) => ({ written: `WS-${n}`, asked: `ws-${n}.` }),
  ip: (n) => ({ written: `::ffff:10.0.0.${n}`, asked: `10.0.0.${n}` }),
  user: (n) => ({ written: `Ada${n}`, asked: `ADA${n}` }),
  domain: (n) => ({ written: `evil${n}.Example.`, asked: `EVIL${n}.example` }),
  hash: (n) => ({ written: `${n}F`.repeat(16).slice(0, 32), asked: `${n}f`.repeat(16).slice(0, 32) }),
};

/** Keys of so few bits that most values share one with others. */
export function shortKeys(salt: Buffer): KeyOf {
  const keyOf = keysUnder(salt);
  return (observable) => (keyOf(observable) & 7) * 0x1234_5679;
}

/** What somebody asks for. */
export function pivot(kind: ObservableKind, n: number): PivotValue {
  const value = askedObservable(kind, values[kind](n).asked);
  assert.ok(value !== null);
  return { kind, value };
}

const died = new Error("died");
const at = (us: number): string => `(timestamptz '1970-01-01 00:00:00+00' + ${us} * interval '1 microsecond')`;
const producerOf = (part: number): string => `00000000-0000-4000-8000-00000000000${part}`;

/** A log, an engine and an indexer, the first two played by hand. */
export class PivotWorld {
  /** How many days retention has dropped, and how many answers had rows. */
  dropped = 0;
  answered = 0;
  readonly database: TestDatabase;
  readonly pool: Pool;
  readonly reader: Pool;
  readonly keysOf: (salt: Buffer) => KeyOf;
  readonly #keeper: Pool;
  readonly #indexer: Pool;
  readonly #log: Frame[][] = Array.from({ length: partitions }, () => []);
  readonly #ends: number[] = Array.from({ length: partitions }, () => 0);
  readonly #seqs: number[] = Array.from({ length: partitions }, () => 0);
  readonly #places: number[] = Array.from({ length: partitions }, () => 0);
  readonly #firstDay: string;
  #builder: IndexBuilder | undefined;
  #nowUs: number;
  #day = 0;

  private constructor(database: TestDatabase, keysOf: (salt: Buffer) => KeyOf) {
    this.database = database;
    this.keysOf = keysOf;
    this.pool = database.pool;
    this.reader = database.rolePool("ransomeye_reader", 2);
    this.#keeper = database.rolePool("ransomeye_keeper", 2);
    this.#indexer = database.rolePool("ransomeye_indexer", 2);
    this.#firstDay = utcDay(systemClock.nowUs(), 1 - days);
    this.#nowUs = Date.parse(`${this.#firstDay}T12:00:00Z`) * 1000;
  }

  static async open(database: TestDatabase, keysOf: (salt: Buffer) => KeyOf = shortKeys): Promise<PivotWorld> {
    const world = new PivotWorld(database, keysOf);
    await world.pool.query("SELECT ops.ensure_partitions($1::date, $2)", [world.#firstDay, days]);
    await world.pool.query(
      `INSERT INTO bus.consumer_offset (grp, part, off, generation, fence) SELECT 'engine', p.part, 0, g.id, 1 FROM bus.partition_head p, bus.generation g WHERE p.part < $1`,
      [partitions],
    );
    return world;
  }

  /** Another indexer of the same database. */
  static beside(world: PivotWorld): PivotWorld {
    return new PivotWorld(world.database, world.keysOf);
  }

  /** Appends a batch. `afterUs` passes first: with 0 two bear one time. */
  async append(part: number, lines: readonly Line[], afterUs: number): Promise<void> {
    this.#nowUs += afterUs;
    const off = (this.#ends[part] ?? 0) + 1;
    const firstSeq = (this.#seqs[part] ?? 0) + 1;
    const frame: Frame = { part, off, us: this.#nowUs, firstSeq, lines, isStored: false };
    this.#log[part]?.push(frame);
    this.#ends[part] = off;
    this.#seqs[part] = firstSeq + lines.length - 1;
    await this.pool.query(
      `INSERT INTO bus.frames (part, off, received_at, producer_id, producer_kind, epoch, first_seq, count, kind, codec, schema_version, mapping_version, key_id, offered,
         prev_epoch, prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, body)
       VALUES ($1, $2, ${at(frame.us)}, $3, 2, 1, $4, $5, 1, 0, 1, 1, '\\x01', 0, 0, 0, '\\x', '\\x', '\\x', '\\x', '\\x', '\\x', 'g', $6)`,
      [part, off, producerOf(part), firstSeq, lines.length, payloadOf(lines)],
    );
    await this.pool.query("UPDATE bus.partition_head SET off = $2, received_us = $3 WHERE part = $1", [part, off, frame.us]);
  }

  /** The engine's row transaction over at most so many batches of a partition; after a rewind it has most of them already. */
  async store(part: number, framesMax: number): Promise<void> {
    const frames = (this.#log[part] ?? []).filter(({ off }) => off > (this.#places[part] ?? 0)).slice(0, framesMax);
    const last = frames.at(-1);
    if (last === undefined) return;
    await inTransaction(this.pool, async (client) => {
      await client.query("UPDATE bus.consumer_offset SET off = $2, entry_received_us = $3 WHERE part = $1", [part, last.off, last.us]);
      for (const frame of frames) if (!frame.isStored) await client.query(rowsOf(frame));
    });
    for (const frame of frames) frame.isStored = true;
    this.#places[part] = last.off;
  }

  async storeAll(): Promise<void> {
    for (let part = 0; part < partitions; part++) await this.store(part, Number.MAX_SAFE_INTEGER);
  }

  async takeOver(part: number): Promise<void> {
    await this.pool.query("UPDATE bus.consumer_offset SET fence = fence + 1 WHERE part = $1", [part]);
  }

  /** The log is made anew, and gives offsets again that batches have; received time goes on. Then store all. */
  async anew(part: number): Promise<void> {
    this.#ends[part] = 1;
    this.#places[part] = 1;
    await this.pool.query("UPDATE bus.consumer_offset SET off = 1, fence = fence + 1 WHERE part = $1", [part]);
  }

  /** An operator has a partition read again from some batches before. */
  async rewind(part: number, frames: number): Promise<void> {
    const log = this.#log[part] ?? [];
    const to = log.filter(({ off }) => off <= (this.#places[part] ?? 0)).at(-1 - frames);
    if (to === undefined) return;
    await this.pool.query("UPDATE bus.consumer_offset SET off = $2, entry_received_us = $3, fence = fence + 1 WHERE part = $1", [
      part,
      to.off,
      to.us,
    ]);
    this.#places[part] = to.off;
  }

  /** One round of the indexer. It ends at `dies`, without having done what comes after. */
  async round(dies?: IndexStep): Promise<IndexRound | undefined> {
    this.#builder ??= new IndexBuilder({
      store: new IndexStore(this.#indexer),
      nowUs: () => this.#nowUs,
      keysOf: this.keysOf,
      framesMax: 3,
      pendingMax: 40,
      probe: async (step) => {
        if (step === this.#dies) throw died;
      },
    });
    this.#dies = dies;
    try {
      return await this.#builder.round();
    } catch (error) {
      if (error !== died) throw error;
      this.#builder = undefined;
      return undefined;
    }
  }
  #dies: IndexStep | undefined;

  async indexAll(): Promise<void> {
    for (let n = 0; n < 500; n++) {
      const { frames, sorted, isBehind } = (await this.round()) ?? { frames: 1, sorted: 0, isBehind: true };
      if (frames === 0 && sorted === 0 && !isBehind) return;
    }
    assert.fail("the indexer comes to no end");
  }

  async rebuild(): Promise<void> {
    await this.#keeper.query("SELECT observable.rebuild(0)");
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
    const keeper = { pool: this.#keeper, clock: systemClock, telemetry: recordingTelemetry() };
    if ((await expireDay(keeper, name, "age")).kind !== "expired") return;
    await removeCounted(this.database.connection, keeper);
    this.dropped += 1;
    for (const [part, log] of this.#log.entries()) this.#log[part] = log.filter(({ us }) => utcDay(us) !== name);
  }

  async ask(wanted: readonly (readonly [ObservableKind, number])[], limit: number): Promise<PivotAnswer> {
    return findByValues(
      this.reader,
      { limit },
      wanted.map(([kind, n]) => pivot(kind, n)),
      { clock: systemClock, budgetMs: 60_000, keysOf: this.keysOf },
    );
  }

  /** The answer is what is stored and has the values, newest first. */
  async check(wanted: readonly (readonly [ObservableKind, number])[], limit = 1000): Promise<PivotAnswer> {
    const answer = await this.ask(wanted, limit);
    const expected = this.#log
      .flat()
      .filter(({ isStored }) => isStored)
      .flatMap(({ part, us, firstSeq, lines }) =>
        lines.map((line, n) => ({ us, seq: firstSeq + n, line, id: `${producerOf(part)}:1:${firstSeq + n}` })),
      )
      .filter(({ line }) => wanted.every(([kind, n]) => line[kind] === n))
      .toSorted((a, b) => b.us - a.us || b.seq - a.seq || (a.id < b.id ? 1 : -1));
    assert.equal(answer.coverage.reachedUs, null);
    assert.deepEqual(
      answer.rows.map(({ id }) => id),
      expected.slice(0, limit).map(({ id }) => id),
      JSON.stringify(wanted),
    );
    this.answered += answer.rows.length > 0 ? 1 : 0;
    return answer;
  }

  /** Batches that the index names for a value. */
  async candidates(kind: ObservableKind, n: number): Promise<number> {
    const client = await this.reader.connect();
    try {
      const index = new IndexReader(client);
      const salt = await index.salt();
      assert.ok(salt !== undefined);
      await index.look([this.keysOf(salt)(pivot(kind, n).value)]);
      let found = 0;
      for (const day of await index.days()) found += (await index.candidates(day)).length;
      return found;
    } finally {
      client.release();
    }
  }
}

function payloadOf(lines: readonly Line[]): Buffer {
  return Buffer.from(lines.map((line) => `${documentOf(line)}\n`).join(""));
}

/** Values stand in different places, and some only in `observables`. */
function documentOf({ host, ip, user, domain, hash }: Line): string {
  return JSON.stringify({
    class_uid: 4001,
    ...(host % 2 === 0 ? { device: { hostname: values.host(host).written } } : { src_endpoint: { name: values.host(host).written } }),
    dst_endpoint: { ip: values.ip(ip).written },
    ...(user % 2 === 0
      ? { actor: { process: { user: { name: values.user(user).written } } } }
      : { observables: [{ type_id: 4, value: values.user(user).written }] }),
    query: { hostname: values.domain(domain).written },
    file: { hashes: [{ algorithm_id: 1, value: values.hash(hash).written }] },
  });
}

function rowsOf({ part, off, us, firstSeq, lines }: Frame): string {
  let byte = 0;
  const rows = lines.map((line, n) => {
    const length = Buffer.byteLength(documentOf(line));
    const row = `(${at(us)}, ${at(us)}, '${producerOf(part)}', 1, ${firstSeq + n}, ${part}, ${off}, ${n}, ${byte}, ${length}, 4001, 1, 1, 0, 1, 1, 1)`;
    byte += length + 1;
    return row;
  });
  return `INSERT INTO data.${tables[part % tables.length]} (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id,
    severity_id, flags, schema_version, mapping_version, normaliser_version) VALUES ${rows.join(", ")}`;
}
