/**
 * Why it exists: a log that lies on other servers keeps its frames for hours, evidence is for years: the engine writes each frame here in the
 * transaction that writes its rows.
 * Enforces: the layout of bus.frames, the same as bus.append's, so that evidence, views and retention do not ask where the log is; heads and ends of the
 * log as far as rows have come, so that the ledger never shows a row that the log is not known to have.
 * Forbids: transactions of its own, and frames that the sink has not applied.
 */
import { BinaryCopyEncoder, copyIn, type PoolClient } from "ransomeye-db";
import { frameKindCodes, producerKindCodes } from "../arguments.ts";
import { lastSeqOf } from "../append_machine.ts";
import type { BusEntry, Position } from "../bus.ts";
import type { NotedHead } from "../noted_head.ts";
import { entryColumns } from "./entry.ts";

/** Writes frames that have become rows in this transaction, partition by partition in the order of their offsets. */
export async function archiveFrames(client: PoolClient, entries: readonly BusEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const encoder = new BinaryCopyEncoder();
  for (const entry of entries) encodeEntry(encoder, entry);
  await copyIn(client, `COPY bus.frames (${entryColumns.join(", ")}) FROM STDIN (FORMAT binary)`, [encoder.finish()]);
  const ends = new Map<number, Position>();
  for (const { position } of entries) ends.set(position.part, position);
  await noteEnds(client, [...ends.values()]);
  await noteHeads(client, headsOf(entries));
}

/** How far partitions have come. */
export async function noteEnds(client: Pick<PoolClient, "query">, ends: readonly Position[]): Promise<void> {
  if (ends.length === 0) return;
  await client.query("SELECT bus.note_ends($1::int[], $2::bigint[], $3::bigint[], $4::bytea[])", [
    ends.map(({ part }) => part),
    ends.map(({ off }) => off),
    ends.map(({ receivedUs }) => receivedUs),
    ends.map(({ hash }) => hash),
  ]);
}

/** How far producers have come. */
export async function noteHeads(client: Pick<PoolClient, "query">, heads: readonly NotedHead[]): Promise<void> {
  if (heads.length === 0) return;
  const numbers = heads.flatMap(({ epoch, seq, part, prevEpoch, prevSeq, offered, receivedUs }) => [
    epoch,
    seq,
    part,
    prevEpoch ?? -1,
    prevSeq,
    offered,
    receivedUs,
  ]);
  await client.query("SELECT bus.note_heads($1::uuid[], $2::bigint[], $3)", [
    `{${heads.map(({ producer }) => producer).join(",")}}`,
    `{${numbers.join(",")}}`,
    Buffer.concat(heads.flatMap(({ hash, prevHash, keyId }) => [hash, prevHash, Buffer.from(keyId, "hex")])),
  ]);
}

/** One head for each epoch that these frames belong to. Only an epoch's first frame says what the epoch began after. */
function headsOf(entries: readonly BusEntry[]): NotedHead[] {
  const heads = new Map<string, NotedHead>();
  for (const { link, position, receivedUs } of entries) {
    const key = `${link.producer} ${link.epoch}`;
    const first = link.firstSeq === 1 ? link : undefined;
    const known = heads.get(key);
    heads.set(key, {
      producer: link.producer,
      keyId: link.keyId,
      epoch: link.epoch,
      seq: lastSeqOf(link),
      hash: link.hash,
      part: position.part,
      offered: link.offered,
      receivedUs,
      prevEpoch: first?.prevEpoch ?? known?.prevEpoch ?? null,
      prevSeq: first?.prevSeq ?? known?.prevSeq ?? 0,
      prevHash: first?.prevHash ?? known?.prevHash ?? Buffer.alloc(32),
    });
  }
  return [...heads.values()];
}

/** In the order of `entryColumns`. */
function encodeEntry(encoder: BinaryCopyEncoder, entry: BusEntry): void {
  const { link, position } = entry;
  encoder.row(entryColumns.length);
  encoder.int4(position.part);
  encoder.int8(position.off);
  encoder.timestamptzUs(entry.receivedUs);
  encoder.uuid(link.producer);
  encoder.int2(producerKindCodes[entry.producerKind]);
  encoder.int8(link.epoch);
  encoder.int8(link.firstSeq);
  encoder.int4(link.count);
  encoder.int2(frameKindCodes[link.kind]);
  encoder.int2(link.codec);
  encoder.int4(link.schemaVersion);
  encoder.int4(link.mappingVersion);
  encoder.bytea(Buffer.from(link.keyId, "hex"));
  encoder.int8(link.offered);
  encoder.int8(link.prevEpoch);
  encoder.int8(link.prevSeq);
  encoder.bytea(link.prevHash);
  encoder.bytea(link.payloadHash);
  encoder.bytea(link.hash);
  encoder.bytea(entry.header);
  encoder.bytea(entry.signature);
  encoder.bytea(entry.verdicts);
  encoder.text(entry.gateway);
  encoder.bytea(entry.payload);
  if (entry.incarnation === null) encoder.null();
  else encoder.uuid(entry.incarnation);
}
