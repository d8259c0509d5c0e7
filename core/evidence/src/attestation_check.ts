/**
 * Why it exists: an attestation in a file says something of a batch in the same file; both are there, so that nothing of it has to be believed.
 * Enforces: the document and its fingerprint are derived again from the signed line and compared whole; the note speaks of this event and of the checkpoint that covers this
 *   very entry, under the key that was the sealer's when it was signed.
 * Forbids: I/O; asking the attestation for anything that the batch or the statements say.
 */
import type { FrameHeader } from "ransomeye-ingestion/protocol";
import { type AttestationNote, parseAttestation } from "./attestation_note.ts";
import { EvidenceError } from "./codes.ts";
import type { Finding, FindingState } from "./finding.ts";
import { type Attestable, attestable, type AttestableEvent, canonicalOf } from "./ocsf_attestation.ts";
import type { AttestationRecord, EntryRecord } from "./records.ts";
import { isSignedBy, parseNote, parseVerifierKey } from "./signed_note.ts";
import type { StatementChain } from "./statement_chain.ts";
import { parseStrictJson } from "./strict_json.ts";

/** The event that a file was made for, in the batch that was found for it. */
export interface Subject {
  readonly entry: EntryRecord;
  readonly header: FrameHeader;
  readonly seq: number;
}

/** What an attestation is found to be. */
export interface AttestationReport {
  /** `none`: the event can have none. `unsigned`: a fingerprint alone, which shows a change and nobody's word. `broken`: findings say in what. */
  readonly state: "signed" | "unsigned" | "none" | "broken";
  /** Why it is not signed: found here for `none`, the export's word for `unsigned`. */
  readonly why: string | null;
}

const broken: AttestationReport = { state: "broken", why: null };

/** The attestation that an exported event has: only what has become a row has one. `authority`: the key of the first statement. */
export function attestableEvent({ entry, header, seq }: Subject, authority: string | undefined): Attestable {
  const found = attestable({ header, verdicts: entry.verdicts, payload: entry.payload }, seq, authority);
  if (found.kind === "none" || entry.rows.some((row) => row.seq === seq)) return found;
  const letter = entry.deadLetters.find(({ firstSeq, count }) => firstSeq <= seq && seq < firstSeq + count);
  return { kind: "none", why: letter === undefined ? "it has not become a row" : `it is a dead letter: ${letter.code}` };
}

/** Checks an attestation; `find` is told of all that does not hold. */
export function checkAttestation(
  record: AttestationRecord,
  subject: Subject,
  chain: StatementChain,
  find: (finding: Finding) => void,
): AttestationReport {
  const { producer, epoch } = subject.header;
  const id = `${producer}:${epoch}:${subject.seq}`;
  let faults = 0;
  const fail = (why: string, state: FindingState = "FAIL"): void => {
    faults += 1;
    find({ state, what: `attestation of ${id}`, why });
  };
  if (record.event !== id) fail("is one of another event");
  const expected = attestableEvent(subject, chain.keys[0]);
  if (expected.kind === "none") {
    if (record.document !== null || record.note !== null) fail(`is there, and the event can have none: ${expected.why}`);
    return faults > 0 ? broken : { state: "none", why: expected.why };
  }
  let signedUs: number | undefined;
  if (record.note !== null) {
    const note = readNote(record.note, fail);
    signedUs = note?.madeUs;
    if (note !== undefined) for (const why of noteFaults(note, record.note, expected, subject.entry, chain)) fail(why);
  }
  if (record.document === null) fail("is missing: the event can have one", "MISSING");
  else if (record.document !== expected.document(signedUs)) fail(documentFault(record.document, expected.document(signedUs)));
  if (faults > 0) return broken;
  return record.note === null ? { state: "unsigned", why: record.why } : { state: "signed", why: null };
}

function readNote(note: string, fail: (why: string) => void): AttestationNote | undefined {
  try {
    return parseAttestation(note);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    fail(`has a note that cannot be read: ${error.message}`);
    return undefined;
  }
}

function noteFaults(
  note: AttestationNote,
  text: string,
  { id, fingerprint }: AttestableEvent,
  { leaf }: EntryRecord,
  chain: StatementChain,
): string[] {
  const faults: string[] = [];
  if (note.event !== id) faults.push(`has a note that was signed for another event, ${note.event}`);
  if (note.fingerprint !== fingerprint) faults.push("has a note that was signed over another fingerprint");
  if (leaf === null || note.checkpoint !== leaf.statement)
    faults.push(`has a note that names checkpoint ${note.checkpoint}, which is not the one that covers the batch`);
  const statement = chain.statement(note.statement);
  if (statement === undefined || chain.hash(note.statement) !== note.statementHash)
    return [...faults, `has a note that was signed behind statement ${note.statement}, and the file has no such statement`];
  if (note.checkpoint > note.statement || note.madeUs < statement.madeUs)
    faults.push("has a note that was signed before the statements that it names");
  const key = chain.keyAt(note.statement);
  if (key === undefined || !isSignedBy(parseNote(text), parseVerifierKey(key)))
    faults.push(`has a note that is not signed by the sealer's key of its time, ${key}`);
  return faults;
}

/** In what a document differs from the one that the signed line gives. */
function documentFault(found: string, expected: string): string {
  const parsed = parseStrictJson(Buffer.from(found, "utf8"));
  if (parsed.kind === "refused") return `has a document that ${parsed.why}`;
  const { value } = parsed;
  const wanted = JSON.parse(expected) as Readonly<Record<string, unknown>>;
  const has = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(has)])].filter(
    (name) => !Object.hasOwn(wanted, name) || !Object.hasOwn(has, name) || canonicalOf(has[name]) !== canonicalOf(wanted[name]),
  );
  return names.length === 0
    ? "has a document that is not in its canonical form"
    : `has a document that differs from what the signed line gives in ${names.join(", ")}`;
}
