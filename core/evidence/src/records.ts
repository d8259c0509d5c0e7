/**
 * Why it exists: evidence leaves the house as one file that needs nothing else: JSON, one record to a line, bytes in base64.
 * Enforces: a first record that names the format, a last one that counts the lines, so that a cut file is known as one; a bound on a line.
 * Forbids: believing a record: reading only gives it a shape.
 */
import { EvidenceError } from "./codes.ts";
import { isUuid } from "ransomeye-ingestion/protocol";
import { derivedColumns, type StoredRow } from "./derived_row.ts";

export const fileFormat = "ransomeye-evidence/1";

/** What was asked for when the file was made. */
export type Selection =
  | { readonly kind: "event"; readonly producer: string; readonly epoch: number; readonly seq: number }
  /** All batches of one producer that were received within this time. */
  | { readonly kind: "producer"; readonly producer: string; readonly sinceUs: number; readonly untilUs: number | null }
  /** All entries that checkpoints made since then cover (what was received since then is among them), and those not yet covered. */
  | { readonly kind: "all"; readonly sinceUs: number };

export interface FileRecord {
  readonly type: "evidence";
  readonly format: string;
  readonly madeUs: number;
  readonly release: string;
  readonly selection: Selection;
  /** What the values of a row are, in their order. */
  readonly rowColumns: readonly string[];
}
/** A statement of the sealer. All of them, from the first to the newest, before anything that rests on them. */
export interface StatementRecord {
  readonly type: "statement";
  readonly note: string;
}
/** A producer's key, as the registry has it. Its id is in what the producer signs, and is the beginning of the key's hash. */
export interface KeyRecord {
  readonly type: "key";
  readonly producer: string;
  readonly name: string;
  readonly publicKey: Buffer;
}
/** Where a leaf stands in a checkpoint's tree: the siblings from the leaf up. */
export interface LeafProof {
  readonly statement: number;
  readonly path: readonly Buffer[];
}
export interface DeadLetterFacts {
  readonly firstSeq: number;
  readonly count: number;
  readonly code: string;
}
export interface GapFacts {
  readonly firstSeq: number;
  readonly count: number;
  readonly reason: string;
}
export interface SequencedRow extends StoredRow {
  readonly seq: number;
}
/** A signed batch as the log holds it, and what was made of it. */
export interface EntryRecord {
  readonly type: "entry";
  readonly generation: string;
  readonly part: number;
  readonly off: number;
  readonly receivedUs: number;
  readonly header: Buffer;
  readonly signature: Buffer;
  readonly verdicts: Buffer;
  readonly payload: Buffer;
  /** Null where no checkpoint covers it yet. */
  readonly leaf: LeafProof | null;
  readonly rows: readonly SequencedRow[];
  readonly deadLetters: readonly DeadLetterFacts[];
  readonly gaps: readonly GapFacts[];
  /** Whether rows of it could have been made: false behind the stored offset. */
  readonly stored: boolean;
}
/** The event that was asked for as an OCSF document with its attestation; behind its entry. */
export interface AttestationRecord {
  readonly type: "attestation";
  /** producer:epoch:sequence. */
  readonly event: string;
  /** In its canonical form; null where the event can have none. */
  readonly document: string | null;
  /** What the sealer has signed of it; null where it has not. */
  readonly note: string | null;
  /** Why one of them is not there, in words; nobody signs it. */
  readonly why: string | null;
}
/** The event that was asked for is not there. */
export interface AbsentRecord {
  readonly type: "absent";
  readonly event: string;
  readonly why: string;
}
/** What a chain had on a day that retention has removed. */
export interface ExpiredRecord {
  readonly type: "expired";
  readonly chain: ExpiredChain;
  readonly index: number;
  readonly leaf: LeafProof;
}
export interface ExpiredChain {
  readonly producer: string;
  readonly epoch: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly firstHash: Buffer;
  readonly lastHash: Buffer;
}
export interface EndRecord {
  readonly type: "end";
  /** Records before this one. */
  readonly records: number;
}

export type EvidenceRecord =
  | FileRecord
  | StatementRecord
  | KeyRecord
  | EntryRecord
  | AttestationRecord
  | AbsentRecord
  | ExpiredRecord
  | EndRecord;

/** The order of a row's values in a file. */
export const rowColumns: readonly (keyof SequencedRow)[] = [
  "seq",
  "line",
  "byteOffset",
  "byteLength",
  "schemaVersion",
  "mappingVersion",
  "normaliserVersion",
  ...derivedColumns,
];

/** One line of the file, without its line feed. */
export function encodeRecord(record: EvidenceRecord): string {
  if (record.type === "entry")
    return JSON.stringify({
      ...record,
      ...bytesAsText(record),
      leaf: record.leaf && leafAsText(record.leaf),
      rows: record.rows.map(rowValues),
    });
  if (record.type === "expired")
    return JSON.stringify({ ...record, chain: { ...record.chain, ...bytesAsText(record.chain) }, leaf: leafAsText(record.leaf) });
  return JSON.stringify(record.type === "key" ? { ...record, ...bytesAsText(record) } : record);
}

function bytesAsText(record: object): Record<string, string> {
  const found = Object.entries(record).filter((entry): entry is [string, Buffer] => Buffer.isBuffer(entry[1]));
  return Object.fromEntries(found.map(([name, bytes]) => [name, bytes.toString("base64")]));
}

function leafAsText({ statement, path }: LeafProof): object {
  return { statement, path: path.map((hash) => hash.toString("base64")) };
}

function rowValues(row: SequencedRow): unknown[] {
  return rowColumns.map((name) => {
    const value = row[name];
    return Buffer.isBuffer(value) ? value.toString("base64") : value;
  });
}

/**
 * A record from its line.
 * @param at where it stands, for the error, such as `line 12`
 * @throws EvidenceError EVIDENCE_FILE_UNREADABLE
 */
export function decodeRecord(line: string, at: string): EvidenceRecord {
  const shape = new Shape(at);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw shape.refused("is not JSON", error);
  }
  const record = shape.object(value);
  switch (record["type"]) {
    case "evidence":
      return fileRecord(shape, record);
    case "statement":
      return { type: "statement", note: shape.text(record, "note") };
    case "key":
      return {
        type: "key",
        producer: shape.uuid(record, "producer"),
        name: shape.text(record, "name"),
        publicKey: shape.bytes(record, "publicKey"),
      };
    case "entry":
      return entryRecord(shape, record);
    case "attestation":
      return {
        type: "attestation",
        event: shape.text(record, "event"),
        document: shape.textOrNull(record, "document"),
        note: shape.textOrNull(record, "note"),
        why: shape.textOrNull(record, "why"),
      };
    case "absent":
      return { type: "absent", event: shape.text(record, "event"), why: shape.text(record, "why") };
    case "expired":
      return expiredRecord(shape, record);
    case "end":
      return { type: "end", records: shape.count(record, "records") };
    default:
      throw shape.refused(`is of no type that this release knows: ${String(record["type"])}`);
  }
}

function fileRecord(shape: Shape, record: Fields): FileRecord {
  const format = shape.text(record, "format");
  if (format !== fileFormat) throw shape.refused(`is of format ${format}; this release reads ${fileFormat}`);
  const columns = shape.list(record, "rowColumns");
  if (columns.join() !== rowColumns.join()) throw shape.refused("names other columns of rows than this release has");
  const chosen = shape.object(record["selection"]);
  const kind = shape.text(chosen, "kind");
  const producer = (): string => shape.uuid(chosen, "producer");
  const time = (name: string): number | null => (chosen[name] === null ? null : shape.count(chosen, name));
  const kinds: Readonly<Record<Selection["kind"], () => Selection>> = {
    event: () => ({ kind: "event", producer: producer(), epoch: shape.count(chosen, "epoch"), seq: shape.count(chosen, "seq") }),
    producer: () => ({ kind: "producer", producer: producer(), sinceUs: shape.count(chosen, "sinceUs"), untilUs: time("untilUs") }),
    all: () => ({ kind: "all", sinceUs: shape.count(chosen, "sinceUs") }),
  };
  if (!Object.hasOwn(kinds, kind)) throw shape.refused(`asks for ${kind}, which this release does not know`);
  const selection = kinds[kind as Selection["kind"]]();
  return { type: "evidence", format, madeUs: shape.count(record, "madeUs"), release: shape.text(record, "release"), selection, rowColumns };
}

function entryRecord(shape: Shape, record: Fields): EntryRecord {
  return {
    type: "entry",
    generation: shape.uuid(record, "generation"),
    part: shape.count(record, "part"),
    off: shape.count(record, "off"),
    receivedUs: shape.count(record, "receivedUs"),
    header: shape.bytes(record, "header"),
    signature: shape.bytes(record, "signature"),
    verdicts: shape.bytes(record, "verdicts"),
    payload: shape.bytes(record, "payload"),
    leaf: record["leaf"] === null ? null : leafOf(shape, record["leaf"]),
    rows: shape.list(record, "rows").map((row) => rowOf(shape, row)),
    deadLetters: shape.list(record, "deadLetters").map((one) => {
      const letter = shape.object(one);
      return { firstSeq: shape.count(letter, "firstSeq"), count: shape.count(letter, "count"), code: shape.text(letter, "code") };
    }),
    gaps: shape.list(record, "gaps").map((one) => {
      const gap = shape.object(one);
      return { firstSeq: shape.count(gap, "firstSeq"), count: shape.count(gap, "count"), reason: shape.text(gap, "reason") };
    }),
    stored: record["stored"] === true,
  };
}

function expiredRecord(shape: Shape, record: Fields): ExpiredRecord {
  const chain = shape.object(record["chain"]);
  return {
    type: "expired",
    chain: {
      producer: shape.uuid(chain, "producer"),
      epoch: shape.count(chain, "epoch"),
      firstSeq: shape.count(chain, "firstSeq"),
      lastSeq: shape.count(chain, "lastSeq"),
      firstHash: shape.bytes(chain, "firstHash"),
      lastHash: shape.bytes(chain, "lastHash"),
    },
    index: shape.count(record, "index"),
    leaf: leafOf(shape, record["leaf"]),
  };
}

function leafOf(shape: Shape, value: unknown): LeafProof {
  const leaf = shape.object(value);
  return { statement: shape.count(leaf, "statement"), path: shape.list(leaf, "path").map((hash) => shape.bytes({ hash }, "hash")) };
}

function rowOf(shape: Shape, value: unknown): SequencedRow {
  if (!Array.isArray(value) || value.length !== rowColumns.length) throw shape.refused("holds a row with another number of values");
  // One shape for all rows, and nothing in between: a file has a million of them.
  const row: Record<string, unknown> = {};
  for (let i = 0; i < rowColumns.length; i += 1) row[rowColumns[i] as string] = value[i];
  if (row["fileSha256"] !== null) row["fileSha256"] = shape.bytes(row, "fileSha256");
  return row as unknown as SequencedRow;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads fields of the kind that they should have, or says which one has not. */
class Shape {
  readonly #at: string;

  constructor(at: string) {
    this.#at = at;
  }

  refused(what: string, cause?: unknown): EvidenceError {
    return new EvidenceError("EVIDENCE_FILE_UNREADABLE", `${this.#at} ${what}`, cause === undefined ? {} : { cause });
  }

  object(value: unknown): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.refused("is not a record");
    return value as Fields;
  }

  text(record: Fields, name: string): string {
    const value = record[name];
    if (typeof value !== "string") throw this.refused(`has no text ${name}`);
    return value;
  }

  textOrNull(record: Fields, name: string): string | null {
    return record[name] === null ? null : this.text(record, name);
  }

  uuid(record: Fields, name: string): string {
    const value = this.text(record, name);
    if (!isUuid(value)) throw this.refused(`has a ${name} that is no uuid`);
    return value;
  }

  count(record: Fields, name: string): number {
    const value = record[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw this.refused(`has no whole number ${name}`);
    return value;
  }

  bytes(record: Fields, name: string): Buffer {
    const text = this.text(record, name);
    const bytes = Buffer.from(text, "base64");
    if (bytes.toString("base64") !== text) throw this.refused(`has a ${name} that is not base64`);
    return bytes;
  }

  list(record: Fields, name: string): readonly unknown[] {
    const value = record[name];
    if (!Array.isArray(value)) throw this.refused(`has no list ${name}`);
    return value;
  }
}
