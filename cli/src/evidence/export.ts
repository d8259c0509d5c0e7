/**
 * Why it exists: evidence as records that need nothing else, for a file or straight into the verifier.
 * Enforces: one snapshot of the database, whatever comes in meanwhile; batches by binary COPY (R-10); a bounded number of them in memory.
 * Forbids: judging; leaving out what does not fit: that is what the verifier is to see.
 */
import { instantSql, type Pool, type PoolClient } from "ransomeye-db";
import {
  attestableEvent,
  type AttestationRecord,
  type EntryRecord,
  EvidenceError,
  type EvidenceRecord,
  type ExpiredChain,
  type ExpiredRecord,
  fileFormat,
  parseAttestation,
  rowColumns,
  type Selection,
  StatementChain,
} from "ransomeye-evidence";
import { decodeHeader } from "ransomeye-ingestion/protocol";
import type { EventId } from "../queries/events.ts";
import type { WireProducer } from "../registry/wire.ts";
import type { Attested } from "../sealing/attester.ts";
import { version } from "../version.ts";
import { type Batch, int, readBatches, uuid } from "./batches.ts";
import { derivedFrom, type DerivedRecords } from "./derived_records.ts";
import { LeafProofs } from "./leaf_proofs.ts";

/** A producer, as far as evidence speaks of it. */
type ProducerKeys = Pick<WireProducer, "id" | "name"> & { readonly keys: readonly Pick<WireProducer["keys"][number], "public_key">[] };

export interface ExportOptions {
  /** As ransomeye_reader. */
  readonly pool: Pool;
  readonly selection: Selection;
  /** With their keys, as the registry has them. */
  readonly producers: readonly ProducerKeys[];
  readonly nowUs: number;
  /** Asks the sealer for its word on the one event that is selected. */
  readonly attest?: (event: EventId) => Promise<Attested>;
}

/** Batches that are read at once; each is at most `frame_bytes_max` large. */
const entriesPerRead = 32;

/** The records, in the order in which a verifier wants them. @throws EvidenceError EVIDENCE_NOTHING_SELECTED */
export async function* exportEvidence(o: ExportOptions): AsyncGenerator<EvidenceRecord, void, undefined> {
  // Before the snapshot: whatever statement the answer names is in it.
  const attested = o.selection.kind === "event" ? await o.attest?.(o.selection) : undefined;
  const client = await o.pool.connect();
  let fit = false;
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let records = 0;
    for await (const record of new Exporter(client, o, attested).records()) {
      records += 1;
      yield record;
    }
    yield { type: "end", records };
    await client.query("COMMIT");
    fit = true;
  } finally {
    // Whoever stops in the middle leaves a transaction behind: the connection goes with it.
    client.release(!fit);
  }
}

class Exporter {
  readonly #client: PoolClient;
  readonly #o: ExportOptions;
  readonly #attested: Attested | undefined;
  readonly #proofs: LeafProofs;
  /** The sealer's first key, by which its chain is known. */
  #authority: string | undefined;
  #stored = new Map<number, { readonly off: number; readonly generation: string }>();
  /** Up to where each chain is written, by producer and epoch. */
  readonly #ends = new Map<string, number>();

  constructor(client: PoolClient, o: ExportOptions, attested: Attested | undefined) {
    this.#client = client;
    this.#o = o;
    this.#attested = attested;
    this.#proofs = new LeafProofs(client);
  }

  async *records(): AsyncGenerator<EvidenceRecord, void, undefined> {
    const { selection, nowUs } = this.#o;
    yield { type: "evidence", format: fileFormat, madeUs: nowUs, release: version, selection, rowColumns };
    const notes = await this.#client.query<{ note: string }>("SELECT note FROM views.statements ORDER BY number");
    const beginning = new StatementChain();
    for (const { note } of notes.rows.slice(0, 1)) beginning.add(note);
    this.#authority = beginning.keys[0];
    for (const { note } of notes.rows) yield { type: "statement", note };
    yield* this.#keys();
    const sealable = await this.#client.query<{ part: number; off: number; generation: string }>(
      "SELECT part, off, generation FROM views.sealable",
    );
    this.#stored = new Map(sealable.rows.map(({ part, off, generation }) => [part, { off, generation }]));
    if (selection.kind === "event") yield* this.#event(selection);
    else if (selection.kind === "producer") yield* this.#producer(selection);
    else yield* this.#everything(selection.sinceUs);
  }

  *#keys(): Generator<EvidenceRecord> {
    const { selection, producers } = this.#o;
    for (const { id, name, keys } of producers) {
      if (selection.kind !== "all" && selection.producer !== id) continue;
      for (const key of keys) yield { type: "key", producer: id, name, publicKey: Buffer.from(key.public_key, "base64") };
    }
  }

  async *#event(wanted: Extract<Selection, { kind: "event" }>): AsyncGenerator<EvidenceRecord> {
    const { producer, epoch, seq } = wanted;
    const { rows } = await this.#client.query<{ part: number; off: number; received_at: number }>(
      "SELECT part, off, received_at FROM views.frame_of($1, $2, $3)",
      [producer, epoch, seq],
    );
    const place = rows[0];
    if (place !== undefined) {
      yield* this.#entries(
        await readBatches(
          this.#client,
          `part = ${int(place.part)} AND off = ${int(place.off)} AND received_at = ${instantSql(place.received_at)}`,
          "off",
          1,
        ),
        seq,
      );
      return;
    }
    const expired = await this.#expiredChain(producer, epoch, seq);
    const event = `${producer}:${epoch}:${seq}`;
    yield expired ?? { type: "absent", event, why: "the log has no batch with it, and no statement says that it was removed by retention" };
  }

  async *#producer(wanted: Extract<Selection, { kind: "producer" }>): AsyncGenerator<EvidenceRecord> {
    const { producer, sinceUs, untilUs } = wanted;
    const within = `producer_id = '${uuid(producer)}' AND received_at >= ${instantSql(sinceUs)}${untilUs === null ? "" : ` AND received_at < ${instantSql(untilUs)}`}`;
    let after = { epoch: 0, seq: 0 };
    for (let first = true; ; first = false) {
      const batches = await readBatches(
        this.#client,
        `${within} AND (epoch, first_seq) > (${int(after.epoch)}, ${int(after.seq)})`,
        "epoch, first_seq",
        entriesPerRead,
      );
      const [one] = batches;
      const last = batches.at(-1);
      if (one === undefined || last === undefined) {
        if (first) throw new EvidenceError("EVIDENCE_NOTHING_SELECTED", `the log has no batch of producer ${producer} of that time`);
        return;
      }
      if (first) yield* this.#before(producer, one);
      yield* this.#entries(batches);
      const header = decodeHeader(last.header);
      if (header.kind === "refused") return;
      after = { epoch: header.value.epoch, seq: header.value.firstSeq };
    }
  }

  /** Where the first batch goes on from what retention has removed. */
  async *#before(producer: string, { header }: Batch): AsyncGenerator<EvidenceRecord> {
    const decoded = decodeHeader(header);
    if (decoded.kind === "refused" || decoded.value.prevEpoch === 0) return;
    const expired = await this.#expiredChain(producer, decoded.value.prevEpoch, decoded.value.prevSeq);
    if (expired !== undefined) yield expired;
  }

  async *#everything(sinceUs: number): AsyncGenerator<EvidenceRecord> {
    const { rows } = await this.#client.query<{ part: number; after: number; upTo: number; since: number; before: number }>(
      `SELECT r.part, r.after_off AS after, r.up_to_off AS "upTo", (extract(epoch FROM s.day::timestamp AT TIME ZONE 'UTC') * 1000000)::bigint AS since,
         (extract(epoch FROM (s.day + 1)::timestamp AT TIME ZONE 'UTC') * 1000000)::bigint AS before
       FROM views.sealed_ranges r JOIN views.statements s ON s.number = r.statement WHERE s.made_us >= $1 ORDER BY r.statement, r.part`,
      [sinceUs],
    );
    for (const { part, after, upTo, since, before } of rows)
      yield* this.#range(
        part,
        after,
        `off <= ${int(upTo)} AND received_at >= ${instantSql(since)} AND received_at < ${instantSql(before)}`,
      );
    // And what no checkpoint covers yet.
    const ends = await this.#client.query<{ part: number; after: number; since: number }>(
      `SELECT part, max(up_to_off) AS after, (extract(epoch FROM max(received_at)) * 1000000)::bigint AS since FROM views.sealed_ranges GROUP BY part`,
    );
    const sealed = new Map(ends.rows.map((row) => [row.part, row]));
    for (const part of [...this.#stored.keys()].toSorted((a, b) => a - b))
      yield* this.#range(part, sealed.get(part)?.after ?? 0, `received_at >= ${instantSql(sealed.get(part)?.since ?? 0)}`);
  }

  async *#range(part: number, afterOff: number, where: string): AsyncGenerator<EvidenceRecord> {
    for (let after = afterOff; ; ) {
      const batches = await readBatches(this.#client, `part = ${int(part)} AND off > ${int(after)} AND ${where}`, "off", entriesPerRead);
      const last = batches.at(-1);
      if (last === undefined) return;
      yield* this.#entries(batches);
      after = last.off;
    }
  }

  async *#entries(batches: readonly Batch[], only?: number): AsyncGenerator<EvidenceRecord> {
    const derived = await derivedFrom(this.#client, batches, only);
    for (const batch of batches) {
      const proof = await this.#proofs.entry(batch.part, batch.off);
      const stored = this.#stored.get(batch.part);
      if (only === undefined) yield* this.#between(batch);
      const made: DerivedRecords = derived.get(`${batch.part}:${batch.off}`) ?? { rows: [], deadLetters: [], gaps: [] };
      const generation = proof?.generation ?? stored?.generation ?? "";
      const entry: EntryRecord = {
        type: "entry",
        ...batch,
        ...made,
        generation,
        leaf: proof?.leaf ?? null,
        stored: batch.off <= (stored?.off ?? 0),
      };
      yield entry;
      if (only !== undefined) yield* this.#attestation(entry, only);
    }
  }

  /** The event as an OCSF document. What is not signed says why; the fingerprint is there all the same. */
  *#attestation(entry: EntryRecord, seq: number): Generator<AttestationRecord> {
    const header = decodeHeader(entry.header);
    if (header.kind === "refused") return;
    const event = `${header.value.producer}:${header.value.epoch}:${seq}`;
    const found = attestableEvent({ entry, header: header.value, seq }, this.#authority);
    if (found.kind === "none") {
      yield { type: "attestation", event, document: null, note: null, why: found.why };
      return;
    }
    const attested = this.#attested ?? { kind: "refused", why: "the sealer was not asked" };
    if (attested.kind === "refused") yield { type: "attestation", event, document: found.document(), note: null, why: attested.why };
    else
      yield {
        type: "attestation",
        event,
        document: found.document(parseAttestation(attested.note).madeUs),
        note: attested.note,
        why: null,
      };
  }

  /** What retention has removed between this batch and the one before it in its chain, where a hold has kept that one. */
  async *#between({ header }: Batch): AsyncGenerator<EvidenceRecord> {
    const decoded = decodeHeader(header);
    if (decoded.kind === "refused") return;
    const { producer, epoch, firstSeq, count, prevEpoch, prevSeq } = decoded.value;
    const end = this.#ends.get(`${producer}:${prevEpoch}`);
    this.#ends.set(`${producer}:${epoch}`, firstSeq + count - 1);
    for (let seq = (end ?? prevSeq) + 1; seq <= prevSeq; ) {
      const expired = await this.#expiredChain(producer, prevEpoch, seq);
      if (expired === undefined) return;
      yield expired;
      seq = expired.chain.lastSeq + 1;
    }
  }

  async #expiredChain(producer: string, epoch: number, seq: number): Promise<ExpiredRecord | undefined> {
    const { rows } = await this.#client.query<ExpiredChain & { statement: number; index: number }>(
      `SELECT statement, index, producer_id AS producer, epoch, first_seq AS "firstSeq", last_seq AS "lastSeq", first_hash AS "firstHash", last_hash AS "lastHash"
       FROM views.expired_chains WHERE producer_id = $1 AND epoch = $2 AND first_seq <= $3 AND last_seq >= $3 ORDER BY first_seq DESC LIMIT 1`,
      [producer, epoch, seq],
    );
    const row = rows[0];
    if (row === undefined) return undefined;
    const { statement, index, ...chain } = row;
    return { type: "expired", chain, index, leaf: await this.#proofs.expired(statement, index) };
  }
}
