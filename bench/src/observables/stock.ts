/**
 * Why: what a question costs depends on how much is stored; ten million events come into the tables in minutes, as gateway and engine would have left them.
 * Enforces: batches with the documents that the index is made of, rows by the engine's own code, in the order of received time; planted values are known.
 * Forbids: timing anything.
 */
import { createHash } from "node:crypto";
import { BinaryCopyEncoder, copyIn, inTransaction, type Pool } from "ransomeye-db";
import { eventColumns, RowBatch } from "ransomeye-engine";
import { encodeVerdicts } from "ransomeye-ingestion/protocol";
import { seededRandom } from "ransomeye-kernel";
import type { BusEntry } from "ransomeye-pipeline";

const partitions = 16;
const producers = 2000;
const framesPerCopy = 100;
const dayUs = 86_400_000_000;
const nothing: Buffer = Buffer.alloc(32);
/** Hosts, addresses and domains come from so many, the first far more often than the last. */
const kinds = { address: 50_000, domain: 20_000, user: 500 } as const;

export interface StockOptions {
  readonly events: number;
  readonly batch: number;
  readonly days: number;
  /** So many values stand in one event each. */
  readonly rare: number;
}

export interface Stock {
  readonly events: number;
  readonly frames: number;
  readonly payloadBytes: number;
}

/** The domain that only one event has. */
export const rareDomain = (n: number): string => `rare-${n}.example`;
/** A host that one batch in two thousand is of, and a domain that most batches have. */
export const someHost = (n: number): string => `ws-${n % producers}`;
export const commonDomain = "site-0.example";

/** Fills an empty database. The last of the days is today. */
export async function makeStock(pool: Pool, o: StockOptions): Promise<Stock> {
  const frames = Math.ceil(o.events / o.batch);
  const startUs = Math.floor(Date.now() / 86_400_000) * dayUs - (o.days - 1) * dayUs;
  await pool.query("SELECT ops.ensure_partitions($1::date, $2)", [new Date(startUs / 1000).toISOString().slice(0, 10), o.days]);
  const maker = new FrameMaker(o, frames, startUs);
  let payloadBytes = 0;
  for (let from = 0; from < frames; from += framesPerCopy) {
    const entries = Array.from({ length: Math.min(framesPerCopy, frames - from) }, (_, n) => maker.frame(from + n));
    payloadBytes += entries.reduce((sum, { payload }) => sum + payload.length, 0);
    await store(pool, entries);
  }
  await pool.query(
    `UPDATE bus.partition_head p SET off = f.off, received_us = (extract(epoch FROM f.received_at) * 1000000)::bigint
       FROM bus.partition_head q CROSS JOIN LATERAL (SELECT f.off, f.received_at FROM bus.frames f WHERE f.part = q.part ORDER BY f.off DESC LIMIT 1) f WHERE q.part = p.part;
     INSERT INTO bus.consumer_offset (grp, part, off, generation, entry_received_us, fence) SELECT 'engine', p.part, p.off, g.id, p.received_us, 1 FROM bus.partition_head p, bus.generation g`,
  );
  // What autovacuum has done by then.
  await pool.query("VACUUM ANALYZE");
  return { events: frames * o.batch, frames, payloadBytes };
}

class FrameMaker {
  readonly #o: StockOptions;
  readonly #frames: number;
  readonly #startUs: number;
  readonly #random = seededRandom("bench observables");
  readonly #rareIn = new Map<number, number>();

  constructor(o: StockOptions, frames: number, startUs: number) {
    this.#o = o;
    this.#frames = frames;
    this.#startUs = startUs;
    for (let n = 0; n < o.rare; n++) this.#rareIn.set(Math.floor(((n + 0.5) * frames) / o.rare), n);
  }

  frame(n: number): BusEntry {
    const { batch, days } = this.#o;
    const receivedUs = this.#startUs + Math.floor((n * (days * dayUs - dayUs / 2)) / this.#frames);
    const rare = this.#rareIn.get(n);
    const lines: string[] = [];
    const lineStarts = new Uint32Array(batch);
    let bytes = 0;
    for (let line = 0; line < batch; line++) {
      lineStarts[line] = bytes;
      const text = `${this.#event(n, line, receivedUs, line === 7 ? rare : undefined)}\n`;
      bytes += text.length;
      lines.push(text);
    }
    const part = n % partitions;
    const position = { generation: "", part, off: Math.floor(n / partitions) + 1, receivedUs, hash: nothing };
    const link = {
      ...{
        producer: producerOf(n),
        keyId: "0011223344556677",
        kind: "events" as const,
        codec: 0,
        schemaVersion: 1,
        mappingVersion: 1,
        epoch: 1,
      },
      ...{ firstSeq: Math.floor(n / producers) * batch + 1, count: batch, offered: 0, prevEpoch: 0, prevSeq: 0 },
      ...{ prevHash: nothing, payloadHash: nothing, hash: nothing },
    };
    const verdicts = encodeVerdicts({ kind: "lines", lineStarts, invalid: [] });
    const payload = Buffer.from(lines.join(""), "latin1");
    const kept = { header: nothing, signature: nothing, gateway: "gateway-1", incarnation: null };
    return { position, receivedUs, producerKind: "linux", link, payload, verdicts, ...kept };
  }

  /** Of `of` things, one; the first ones come most often. */
  #some(of: number): number {
    return Math.floor(of * this.#random.float() ** 3);
  }

  #event(frame: number, line: number, receivedUs: number, rare: number | undefined): string {
    const time = Math.floor(receivedUs / 1000) - line;
    const address = this.#some(kinds.address);
    const domain = rare === undefined ? `site-${this.#some(kinds.domain)}.example` : rareDomain(rare);
    const user = `user${(frame * 7 + this.#some(5)) % kinds.user}`;
    // One in ten brings a file that nobody has seen before.
    const sha256 = createHash("sha256").update(`${frame} ${line}`).digest("hex");
    const file = line % 10 === 0 ? `,"file":{"name":"f.bin","type_id":1,"hashes":[{"algorithm_id":3,"value":"${sha256}"}]}` : "";
    return `{"activity_id":1,"category_uid":4,"class_uid":4003,"type_uid":400301,"severity_id":1,"time":${time},"metadata":{"version":"1.9.0","product":{"name":"dns","vendor_name":"RansomEye"}},"device":{"hostname":"${someHost(frame)}","ip":"10.1.${(frame % producers) >> 8}.${frame % 256}","type_id":2},"actor":{"user":{"name":"${user}"}},"src_endpoint":{"ip":"10.1.${(frame % producers) >> 8}.${frame % 256}","port":53122},"dst_endpoint":{"ip":"198.18.${(address >> 8) % 256}.${address % 256}","port":53},"query":{"hostname":"${domain}","type":"A"}${file}}`;
  }
}

function producerOf(n: number): string {
  return `00000000-0000-4000-8000-${(n % producers).toString(16).padStart(12, "0")}`;
}

async function store(pool: Pool, entries: readonly BusEntry[]): Promise<void> {
  const batch = new RowBatch();
  const frames = entries.map((entry) => batch.add(entry));
  batch.seal();
  await inTransaction(pool, async (client) => {
    await client.query("SET LOCAL synchronous_commit = off");
    await copyIn(
      client,
      `COPY bus.frames (part, off, received_at, producer_id, producer_kind, epoch, first_seq, count, kind, codec, schema_version, mapping_version, key_id, offered, prev_epoch,
         prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, body) FROM STDIN (FORMAT binary)`,
      [framesCopy(entries)],
    );
    const rows = await copyIn(
      client,
      `COPY data.events_agent (${eventColumns.join(", ")}) FROM STDIN (FORMAT binary)`,
      batch.stream("events_agent", frames),
    );
    if (rows !== entries.reduce((sum, { link }) => sum + link.count, 0))
      throw new Error(`${rows} rows were stored; an event of the bench is not valid`);
  });
}

function framesCopy(entries: readonly BusEntry[]): Buffer {
  const encoder = new BinaryCopyEncoder();
  for (const { position, receivedUs, link, payload, verdicts, header, signature, gateway } of entries) {
    encoder.row(24);
    encoder.int4(position.part);
    encoder.int8(position.off);
    encoder.timestamptzUs(receivedUs);
    encoder.uuid(link.producer);
    encoder.int2(2);
    encoder.int8(link.epoch);
    encoder.int8(link.firstSeq);
    encoder.int4(link.count);
    encoder.int2(1);
    encoder.int2(link.codec);
    encoder.int4(link.schemaVersion);
    encoder.int4(link.mappingVersion);
    encoder.bytea(Buffer.from(link.keyId, "hex"));
    for (const number of [link.offered, link.prevEpoch, link.prevSeq]) encoder.int8(number);
    for (const bytes of [link.prevHash, link.payloadHash, link.hash, header, signature, verdicts]) encoder.bytea(bytes);
    encoder.text(gateway);
    encoder.bytea(payload);
  }
  return encoder.finish();
}
