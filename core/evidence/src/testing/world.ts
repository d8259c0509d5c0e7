/**
 * Why it exists: tests need evidence that holds, of every kind, without a database.
 * Enforces: signed, chained, sealed and derived by the same rules as the real one; two producers, two days, two keys of the sealer.
 * Forbids: use outside tests.
 */
import { createHash, type KeyPairKeyObjectResult, generateKeyPairSync } from "node:crypto";
import {
  decodeHeader,
  encodeGap,
  encodeHeader,
  type FrameFields,
  frameHash,
  keyIdOf,
  rawPublicKey,
  signHeader,
  zeroHash,
} from "ransomeye-ingestion/protocol";
import { entryLeaf, expiredLeaf } from "../leaves.ts";
import { rootOf, Tree } from "../merkle.ts";
import {
  type AttestationRecord,
  decodeRecord,
  encodeRecord,
  type EntryRecord,
  type EvidenceRecord,
  type ExpiredChain,
  fileFormat,
  rowColumns,
  type Selection,
} from "../records.ts";
import { attestableEvent } from "../attestation_check.ts";
import { type AttestationNote, attestationText } from "../attestation_note.ts";
import { type NoteSigner, parseNote, signNote, verifierKey } from "../signed_note.ts";
import { noPrevious, type SealedRange, type Statement, statementHash, statementText } from "../statement.ts";
import { type Report, type Trust, Verifier } from "../verifier.ts";
import { gapOf, rowsOf, wholeLetter } from "./made_of_batches.ts";

const generation = "10000000-0000-4000-8000-000000000001";
export const producerIds: readonly string[] = ["20000000-0000-4000-8000-00000000000a", "20000000-0000-4000-8000-00000000000b"];
const dayUs = 86_400_000_000;
/** 2026-11-01. */
export const startUs: number = Date.parse("2026-11-01T00:00:00Z") * 1000;

export type Sealed = Omit<EntryRecord, "leaf">;
type Said<S> = S extends Statement ? Omit<S, "number" | "previous" | "madeUs"> : never;

/** A key for the sealer. */
export function sealerKey(): NoteSigner {
  return { name: "ransomeye-sealer", privateKey: generateKeyPairSync("ed25519").privateKey };
}

/** Statements as the sealer makes them. */
export class Statements {
  readonly notes: string[] = [];
  #previous = noPrevious;
  #madeUs = startUs + 40 * dayUs;

  say(said: Said<Statement>, signers: readonly NoteSigner[]): number {
    const number = this.notes.length;
    this.#madeUs += 1;
    const text = statementText({ ...said, number, previous: this.#previous, madeUs: this.#madeUs });
    this.#previous = statementHash(text);
    this.notes.push(signNote(text, signers));
    return number;
  }
}

interface Producer {
  readonly id: string;
  readonly keys: KeyPairKeyObjectResult;
  epoch: number;
  seq: number;
  end: { epoch: number; seq: number; hash: Buffer };
}

/** Two producers, two epochs each, a gap, a dead letter, a batch that does not decode; two days, a key that is rotated in between. */
export class World {
  readonly entries: Sealed[] = [];
  readonly statements: Statements = new Statements();
  readonly firstKey: NoteSigner = sealerKey();
  signer: NoteSigner = this.firstKey;
  readonly #producers: readonly Producer[] = producerIds.map((id) => ({
    id,
    keys: generateKeyPairSync("ed25519"),
    epoch: 1,
    seq: 0,
    end: { epoch: 0, seq: 0, hash: zeroHash },
  }));
  readonly #offs = new Map<number, number>();
  readonly #proofs = new Map<string, { statement: number; path: Buffer[] }>();
  readonly #sealedTo = new Map<number, number>();

  constructor() {
    this.statements.say({ kind: "key", key: verifierKey(this.firstKey) }, [this.firstKey]);
  }

  /** A batch of `lines`, each an event; or of what the test says. */
  batch(
    producer: number,
    o: { readonly day?: number; readonly lines?: readonly string[]; readonly gap?: number; readonly undecodable?: true } = {},
  ): Sealed {
    const who = this.#producers[producer] as Producer;
    const part = producer;
    const off = (this.#offs.get(part) ?? 0) + 1;
    this.#offs.set(part, off);
    const receivedUs = startUs + (o.day ?? 0) * dayUs + off * 1_000_000;
    const firstSeq = who.seq + 1;
    const lines = o.lines ?? [event(`${producer} ${firstSeq}`, receivedUs), event(`${producer} ${firstSeq + 1}`, receivedUs)];
    const payload =
      o.gap !== undefined
        ? encodeGap("spool_full", { events: o.gap })
        : Buffer.from(o.undecodable === true ? "one line\n" : `${lines.join("\n")}\n`);
    const count = o.gap ?? (o.undecodable === true ? 3 : lines.length);
    const privateKey = who.keys.privateKey;
    const fields: FrameFields = {
      producer: who.id,
      keyId: keyIdOf(rawPublicKey(privateKey)),
      kind: o.gap === undefined ? "events" : "gap",
      codec: 0,
      schemaVersion: 1,
      mappingVersion: 7,
      epoch: who.epoch,
      firstSeq,
      count,
      offered: firstSeq + count - 1,
      prevEpoch: who.end.epoch,
      prevSeq: who.end.seq,
      prevHash: who.end.hash,
      payloadHash: createHash("sha256").update(payload).digest(),
      payloadBytes: payload.length,
    };
    const header = encodeHeader(fields);
    who.seq += count;
    who.end = { epoch: who.epoch, seq: who.seq, hash: frameHash(header) };
    const made =
      o.gap !== undefined
        ? gapOf(firstSeq, count)
        : o.undecodable === true
          ? wholeLetter(firstSeq, count)
          : rowsOf(lines, fields, receivedUs);
    const entry: Sealed = {
      type: "entry",
      generation,
      part,
      off,
      receivedUs,
      header,
      signature: signHeader(header, privateKey),
      payload,
      stored: true,
      ...made,
    };
    this.entries.push(entry);
    return entry;
  }

  newEpoch(producer: number): void {
    const who = this.#producers[producer] as Producer;
    who.epoch += 1;
    who.seq = 0;
  }

  /** What is not yet sealed, of one day. */
  checkpoint(day: number): number {
    const open = this.entries
      .filter(({ part, off, receivedUs }) => off > (this.#sealedTo.get(part) ?? 0) && Math.floor((receivedUs - startUs) / dayUs) === day)
      .toSorted((a, b) => a.part - b.part || a.off - b.off);
    const ranges: SealedRange[] = [];
    for (const part of new Set(open.map((one) => one.part))) {
      const offs = open.filter((one) => one.part === part).map(({ off }) => off);
      ranges.push({ part, afterOff: this.#sealedTo.get(part) ?? 0, upToOff: Math.max(...offs) });
      this.#sealedTo.set(part, Math.max(...offs));
    }
    const leaves = open.map((one) => entryLeaf({ ...one, hash: frameHash(one.header) }));
    const tree = new Tree(leaves);
    const said = {
      kind: "checkpoint",
      generation,
      day: dayText(day),
      entries: open.length,
      root: tree.root().toString("hex"),
      ranges,
    } as const;
    const statement = this.statements.say(said, [this.signer]);
    for (const [i, one] of open.entries()) this.#proofs.set(`${one.part}:${one.off}`, { statement, path: tree.path(i) });
    return statement;
  }

  /** A file of one event with its attestation, signed now; `say` has the sealer say something else. */
  attestedFile(
    wanted: { readonly producer: string; readonly epoch: number; readonly seq: number },
    say: Partial<AttestationNote> & { readonly signer?: NoteSigner } = {},
  ): EvidenceRecord[] {
    const records = this.file({ kind: "event", ...wanted });
    const at = records.findIndex(({ type }) => type === "entry");
    const entry = records[at] as EntryRecord;
    const decoded = decodeHeader(entry.header);
    if (decoded.kind === "refused") throw new Error(decoded.detail);
    const found = attestableEvent({ entry, header: decoded.value, seq: wanted.seq }, verifierKey(this.firstKey));
    const event = `${wanted.producer}:${wanted.epoch}:${wanted.seq}`;
    let record: AttestationRecord = {
      type: "attestation",
      event,
      document: null,
      note: null,
      why: found.kind === "none" ? found.why : null,
    };
    if (found.kind === "event") {
      const { signer = this.signer, ...facts } = say;
      const madeUs = startUs + 41 * dayUs;
      const statement = this.statements.notes.length - 1;
      const statementHashHex = statementHash(parseNote(this.statements.notes[statement] as string).text);
      const { fingerprint } = found;
      const said = {
        event,
        fingerprint,
        checkpoint: entry.leaf?.statement ?? 0,
        statement,
        statementHash: statementHashHex,
        madeUs,
        ...facts,
      };
      record = { ...record, document: found.document(said.madeUs), note: signNote(attestationText(said), [signer]) };
    }
    return withEnd(records.toSpliced(at + 1, 0, record));
  }

  rotate(): void {
    const next = sealerKey();
    this.statements.say({ kind: "key", key: verifierKey(next) }, [this.signer, next]);
    this.signer = next;
  }

  /** Retention takes a day; the records that tell of its chains. */
  expire(day: number): EvidenceRecord[] {
    const gone = this.entries.filter(({ receivedUs }) => Math.floor((receivedUs - startUs) / dayUs) === day);
    const chains = new Map<string, ExpiredChain>();
    for (const { header } of gone) {
      const at = headerFacts(header);
      const known = chains.get(`${at.producer}:${at.epoch}`);
      chains.set(`${at.producer}:${at.epoch}`, known === undefined ? at : { ...known, lastSeq: at.lastSeq, lastHash: at.lastHash });
    }
    const sorted = [...chains.values()].toSorted((a, b) =>
      a.producer < b.producer ? -1 : a.producer > b.producer ? 1 : a.epoch - b.epoch,
    );
    const leaves = sorted.map(expiredLeaf);
    const said = {
      kind: "expiry",
      day: dayText(day),
      entries: gone.length,
      chains: sorted.length,
      root: rootOf(leaves).toString("hex"),
      policy: "age",
      actor: "keeper",
    } as const;
    const statement = this.statements.say(said, [this.signer]);
    for (const one of gone) this.entries.splice(this.entries.indexOf(one), 1);
    const tree = new Tree(leaves);
    return sorted.map((chain, index) => ({ type: "expired", chain, index, leaf: { statement, path: tree.path(index) } }));
  }

  /** A file of everything from a statement on, or of what is selected. */
  file(selection: Selection = { kind: "all", sinceUs: 0 }, more: readonly EvidenceRecord[] = []): EvidenceRecord[] {
    const wanted = (one: Sealed): boolean => {
      if (selection.kind === "all") return true;
      const { producer, epoch, firstSeq, lastSeq } = headerFacts(one.header);
      if (producer !== selection.producer) return false;
      return selection.kind === "event"
        ? epoch === selection.epoch && firstSeq <= selection.seq && selection.seq <= lastSeq
        : one.receivedUs >= selection.sinceUs;
    };
    const order = (one: Sealed): number => this.#proofs.get(`${one.part}:${one.off}`)?.statement ?? Number.POSITIVE_INFINITY;
    const entries = this.entries
      .filter((one) => wanted(one))
      .toSorted((a, b) => (order(a) === order(b) ? 0 : order(a) - order(b)) || a.part - b.part || a.off - b.off);
    const records: EvidenceRecord[] = [
      { type: "evidence", format: fileFormat, madeUs: startUs, release: "test", selection, rowColumns },
      ...this.statements.notes.map((note) => ({ type: "statement", note }) as const),
      ...this.#producers.map(
        ({ id, keys }) => ({ type: "key", producer: id, name: "of the test", publicKey: rawPublicKey(keys.publicKey) }) as const,
      ),
      ...more,
      ...entries.map((one) => ({ ...one, leaf: this.#proofs.get(`${one.part}:${one.off}`) ?? null })),
    ];
    return [...records, { type: "end", records: records.length }];
  }
}

/** The same records with the right count at their end. */
export function withEnd(records: readonly EvidenceRecord[]): EvidenceRecord[] {
  const kept = records.filter(({ type }) => type !== "end");
  return [...kept, { type: "end", records: kept.length }];
}

/** Everything that a world may hold, on two days. */
export function fullWorld(): World {
  const world = new World();
  world.batch(0);
  world.batch(1, { lines: [event("good", startUs), "{not json", event("good again", startUs)] });
  world.batch(0, { gap: 5 });
  world.checkpoint(0);
  world.batch(0, { undecodable: true });
  world.batch(1);
  world.rotate();
  world.checkpoint(0);
  world.newEpoch(0);
  world.batch(0, { day: 1 });
  world.batch(1, { day: 1 });
  world.batch(0, { day: 1 });
  world.checkpoint(1);
  world.batch(1, { day: 1 });
  return world;
}

function headerFacts(header: Buffer): ExpiredChain {
  const decoded = decodeHeader(header);
  if (decoded.kind === "refused") throw new Error(decoded.detail);
  const { producer, epoch, firstSeq, count, hash } = decoded.value;
  return { producer, epoch, firstSeq, lastSeq: firstSeq + count - 1, firstHash: hash, lastHash: hash };
}

function dayText(day: number): string {
  return new Date((startUs + day * dayUs) / 1000).toISOString().slice(0, 10);
}

function event(message: string, receivedUs: number): string {
  const time = Math.floor(receivedUs / 1000);
  return JSON.stringify({
    class_uid: 1007,
    activity_id: 1,
    category_uid: 1,
    type_uid: 100_701,
    severity_id: 1,
    time,
    message,
    metadata: { version: "1.5.0", product: {} },
    device: { hostname: "ws-1" },
  });
}

/** What the verifier says of these records, through the file's text, as whoever gets it has it. */
export function reportOn(records: readonly EvidenceRecord[], trust: Trust = {}): Report {
  const verifier = new Verifier(trust);
  for (const [i, record] of records.entries()) verifier.take(decodeRecord(encodeRecord(record), `line ${i + 1}`));
  return verifier.finish();
}
