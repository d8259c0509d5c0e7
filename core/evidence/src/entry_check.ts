/**
 * Why it exists: one signed batch, checked by itself: what its producer signed, and whether rows, dead letters and gaps are what follows from it.
 * Enforces: R-8 from the bytes: each sequence number of a batch is a row or a dead letter, or part of a gap; each row is derived anew.
 * Forbids: I/O; asking the database's statements for anything that the signed bytes say.
 */
import type { KeyObject } from "node:crypto";
import {
  decodeHeader,
  decodeVerdicts,
  type FrameHeader,
  type FrameVerdicts,
  invalidName,
  lineEnd,
  parseLine,
  payloadHash,
  reasonOfGap,
  splitLines,
  unparsed,
  verifyHeader,
} from "ransomeye-ingestion/protocol";
import { rowFault } from "./derived_row.ts";
import type { DeadLetterFacts, EntryRecord, SequencedRow } from "./records.ts";

/** Something that does not hold, and of what: a sequence number, or the batch as a whole. */
export interface EntryFault {
  readonly seq?: number;
  readonly missing?: true;
  readonly why: string;
}

/** What an entry is found to be. Without a header nothing else could be looked at. */
export interface EntryCheck {
  readonly header: FrameHeader | undefined;
  readonly faults: readonly EntryFault[];
}

/** Checks header, signature and payload. `publicKeyOf` knows the keys of producers by their id. */
export function checkSigned(entry: EntryRecord, publicKeyOf: (producer: string, keyId: string) => KeyObject | undefined): EntryCheck {
  const decoded = decodeHeader(entry.header);
  if (decoded.kind === "refused") return { header: undefined, faults: [{ why: `its header cannot be read: ${decoded.detail}` }] };
  const header = decoded.value;
  const faults: EntryFault[] = [];
  const key = publicKeyOf(header.producer, header.keyId);
  if (key === undefined) faults.push({ why: `no key ${header.keyId} of producer ${header.producer} is given` });
  else if (!verifyHeader(entry.header, entry.signature, key)) faults.push({ why: `its signature does not hold under key ${header.keyId}` });
  if (!header.payloadHash.equals(payloadHash(entry.payload)) || header.payloadBytes !== entry.payload.length)
    faults.push({ why: "its payload is not the one that was signed" });
  return { header, faults };
}

/**
 * Checks what was made of it. `entry.stored` decides whether it may lack rows.
 * @param only the sequence number that was asked for; without it, all
 */
export function checkDerived(entry: EntryRecord, header: FrameHeader, only?: number): EntryFault[] {
  if (header.kind === "gap") return gapFaults(entry, header);
  const faults: EntryFault[] = [];
  const rows = new Map<number, SequencedRow>();
  for (const row of entry.rows) {
    if (rows.has(row.seq)) faults.push({ seq: row.seq, why: "has two rows" });
    if (row.seq < header.firstSeq || row.seq >= header.firstSeq + header.count)
      faults.push({ seq: row.seq, why: "has a row, and is not in the batch" });
    rows.set(row.seq, row);
  }
  if (entry.gaps.length > 0) faults.push({ why: "a gap is stored for it, and it declares none" });
  const decoded = decodeVerdicts(entry.verdicts);
  const verdicts = decoded.kind === "decoded" ? decoded.value : undefined;
  const split = splitLines(entry.payload, header.count);
  if (verdicts?.kind !== "lines" || split.kind !== "lines" || !sameStarts(verdicts.lineStarts, split.lineStarts))
    return [...faults, ...wholeFaults(entry, header, rows, verdicts)];
  const letters = new Map<number, DeadLetterFacts>();
  for (const letter of entry.deadLetters) {
    const { firstSeq: seq, count } = letter;
    const among = seq >= header.firstSeq && seq < header.firstSeq + header.count;
    if (letters.has(seq) || count !== 1 || !among)
      faults.push({ seq, why: "has a dead letter that does not stand for one line of the batch" });
    letters.set(seq, letter);
  }
  const invalid = new Map(verdicts.invalid.map((one) => [one.line, one.code]));
  for (let line = 0; line < header.count; line += 1) {
    const seq = header.firstSeq + line;
    if (only !== undefined && seq !== only) continue;
    const why = lineFault(entry, header, {
      seq,
      line,
      at: { from: split.lineStarts[line] as number, to: lineEnd(entry.payload, split.lineStarts, line) },
      row: rows.get(seq),
      letter: letters.get(seq)?.code,
      code: invalid.get(line),
    });
    if (why !== undefined) faults.push({ seq, ...why });
  }
  return faults;
}

/** Where a line lies in a payload, its line feed not included. */
interface Place {
  readonly from: number;
  readonly to: number;
}

interface LineFacts {
  readonly seq: number;
  readonly line: number;
  readonly at: Place;
  readonly row: SequencedRow | undefined;
  readonly letter: string | undefined;
  /** Of the gateway's verdict, if the line is invalid. */
  readonly code: number | undefined;
}

/** Codes of the engine, under which a line that the gateway called valid may be a dead letter. What PostgreSQL has refused cannot be found out from the line. */
const unreadableCode = "ENGINE_LINE_UNREADABLE";
const refusedCode = "ENGINE_ROW_REFUSED";

function lineFault(
  entry: EntryRecord,
  header: FrameHeader,
  { row, letter, code, line, at }: LineFacts,
): Omit<EntryFault, "seq"> | undefined {
  if (row !== undefined && letter !== undefined) return { why: "is a row and a dead letter" };
  if (row === undefined && letter === undefined) {
    if (!entry.stored) return undefined;
    return { missing: true, why: code === undefined ? "its row is missing" : "its dead letter is missing" };
  }
  if (row === undefined) return letterFault(entry, letter ?? "", code, at);
  if (code !== undefined) return { why: `has a row, and the gateway's verdict was ${invalidName(code)}` };
  if (row.line !== line || row.byteOffset !== at.from || row.byteLength !== at.to - at.from)
    return { why: "its row names another place in the batch" };
  if (row.schemaVersion !== header.schemaVersion || row.mappingVersion !== header.mappingVersion)
    return { why: "its row names other versions than were signed" };
  const why = rowFault(row, entry.payload.subarray(at.from, at.to), entry.receivedUs);
  return why === undefined ? undefined : { why: `its row ${why}` };
}

function letterFault(entry: EntryRecord, letter: string, code: number | undefined, at: Place): Omit<EntryFault, "seq"> | undefined {
  if (code !== undefined) {
    const expected = invalidName(code);
    return letter === expected ? undefined : { why: `is a dead letter by ${letter}, and the gateway's verdict was ${expected}` };
  }
  if (letter === refusedCode) return undefined;
  if (letter !== unreadableCode) return { why: `is a dead letter by ${letter}, and the gateway's verdict was that it is valid` };
  return parseLine(entry.payload, at.from, at.to) === unparsed
    ? undefined
    : { why: `is a dead letter by ${letter}, and its line can be read` };
}

/** A batch that does not decode is one dead letter. */
function wholeFaults(
  entry: EntryRecord,
  header: FrameHeader,
  rows: ReadonlyMap<number, SequencedRow>,
  verdicts: FrameVerdicts | undefined,
): EntryFault[] {
  if (rows.size > 0) return [{ why: "rows are stored for it, and its payload does not decode to the signed number of lines" }];
  if (!entry.stored) return [];
  const [letter, ...more] = entry.deadLetters;
  if (letter === undefined) return [{ missing: true, why: "its dead letter is missing" }];
  if (more.length > 0 || letter.firstSeq !== header.firstSeq || letter.count !== header.count)
    return [{ why: "its dead letters do not cover it" }];
  const expected = verdicts?.kind === "frame" ? invalidName(verdicts.code) : "ENGINE_FRAME_UNDECODABLE";
  return letter.code === expected ? [] : [{ why: `is a dead letter by ${letter.code}, and the verdict was ${expected}` }];
}

function gapFaults(entry: EntryRecord, header: FrameHeader): EntryFault[] {
  if (entry.rows.length > 0 || entry.deadLetters.length > 0)
    return [{ why: "rows or dead letters are stored for it, and it declares a gap" }];
  const [gap, ...more] = entry.gaps;
  if (gap === undefined) return entry.stored ? [{ missing: true, why: "the gap that it declares is missing" }] : [];
  const holds =
    more.length === 0 && gap.firstSeq === header.firstSeq && gap.count === header.count && gap.reason === reasonOfGap(entry.payload);
  return holds ? [] : [{ why: "the gap that is stored is not the one that it declares" }];
}

function sameStarts(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((start, line) => start === b[line]);
}
