/**
 * Why it exists: the verifier takes records; they come out of a file, or straight out of the database.
 * Enforces: a bound on a line, so that a file of one endless line is refused and not gathered.
 * Forbids: judging; that is verifier.ts.
 */
import type { Readable } from "node:stream";
import { EvidenceError } from "./codes.ts";
import { decodeRecord, type EvidenceRecord } from "./records.ts";
import { type Report, type Trust, Verifier } from "./verifier.ts";

/** Far beyond the largest batch with all its rows. */
const lineBytesMax = 64 * 1024 * 1024;

/** Judges records. @throws EvidenceError EVIDENCE_FILE_UNREADABLE */
export async function verifyRecords(records: AsyncIterable<EvidenceRecord>, trust: Trust): Promise<Report> {
  const verifier = new Verifier(trust);
  for await (const record of records) verifier.take(record);
  return verifier.finish();
}

/** The records of a file. @throws EvidenceError EVIDENCE_FILE_UNREADABLE, naming the line */
export async function* recordsIn(input: Readable): AsyncGenerator<EvidenceRecord, void, undefined> {
  let line = 0;
  for await (const bytes of linesIn(input)) {
    line += 1;
    yield decodeRecord(bytes.toString("utf8"), `line ${line}`);
  }
}

async function* linesIn(input: Readable): AsyncGenerator<Buffer, void, undefined> {
  let pieces: Buffer[] = [];
  let gathered = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield pieces.length === 0 ? chunk.subarray(from, end) : Buffer.concat([...pieces, chunk.subarray(from, end)]);
      pieces = [];
      gathered = 0;
      from = end + 1;
    }
    if (from === chunk.length) continue;
    pieces.push(chunk.subarray(from));
    gathered += chunk.length - from;
    if (gathered > lineBytesMax) throw new EvidenceError("EVIDENCE_FILE_UNREADABLE", `a line is longer than ${lineBytesMax} bytes`);
  }
  if (pieces.length > 0) throw new EvidenceError("EVIDENCE_FILE_UNREADABLE", "the last line has no end: the file was cut");
}
