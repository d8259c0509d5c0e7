/**
 * Why it exists: a file of evidence is judged by itself: no database, no network, nothing but the file and what the judge has from elsewhere.
 * Enforces: PASS only where everything that was asked for is there and holds; every other answer names the first records that are wrong or missing.
 * Forbids: I/O, clocks; stopping at the first finding; memory that grows with the events.
 */
import type { KeyObject } from "node:crypto";
import { type FrameHeader, importPublicKey, keyIdOf } from "ransomeye-ingestion/protocol";
import { type AttestationReport, checkAttestation, type Subject } from "./attestation_check.ts";
import { EvidenceError } from "./codes.ts";
import { checkDerived, checkSigned } from "./entry_check.ts";
import type { Finding, FindingState } from "./finding.ts";
import { entryLeaf, expiredLeaf } from "./leaves.ts";
import { rootByPath } from "./merkle.ts";
import { ProducerChains } from "./producer_chains.ts";
import type { AttestationRecord, EntryRecord, EvidenceRecord, ExpiredRecord, KeyRecord, Selection } from "./records.ts";
import { parseNote } from "./signed_note.ts";
import { type CheckpointStatement, leafIndex, parseStatement, statementHash } from "./statement.ts";
import { StatementChain } from "./statement_chain.ts";

/** What the judge has from elsewhere. Without either, whoever made the file may have made its keys as well. */
export interface Trust {
  /** Keys of the sealer, as `ransomeye evidence key` prints them; one of them must have signed in this chain. */
  readonly keys?: readonly string[];
  /** Statements copied elsewhere, as signed notes: the chain must hold each of them. */
  readonly copies?: readonly string[];
}

export interface Report {
  readonly verdict: "PASS" | FindingState;
  /** What was asked for when the file was made: the verdict is about that, and about nothing else. */
  readonly selection: Selection;
  /** The first ones. */
  readonly findings: readonly Finding[];
  /** How many there were in all. */
  readonly found: number;
  readonly statements: number;
  readonly batches: number;
  readonly rows: number;
  readonly deadLetters: number;
  readonly gaps: number;
  /** Batches that no checkpoint covers yet: signed by their producers, not yet by the sealer. */
  readonly unsealed: number;
  /** Of the event that the file was made for; null where the file has none: it is of more than one event, or of an older release. */
  readonly attestation: AttestationReport | null;
  /** What ties the chain of statements to something outside the file. */
  readonly anchored: boolean;
  /** The sealer's keys in the chain, the first one first. */
  readonly sealerKeys: readonly string[];
}

const findingsMax = 100;
const severity: readonly (FindingState | "PASS")[] = ["PASS", "EXPIRED_BY_POLICY", "MISSING", "FAIL"];

/** Takes a file's records in order; `finish` gives the report. */
export class Verifier {
  readonly #trust: Trust;
  readonly #chain = new StatementChain();
  readonly #producers = new ProducerChains();
  readonly #keys = new Map<string, KeyObject>();
  readonly #findings: Finding[] = [];
  #verdict: Report["verdict"] = "PASS";
  #found = 0;
  #selection: Selection | undefined;
  /** Of a file that holds everything: the next leaf of each checkpoint. */
  readonly #nextLeaf = new Map<number, number>();
  #records = 0;
  #ended = false;
  #statements = 0;
  #batches = 0;
  #rows = 0;
  #deadLetters = 0;
  #gaps = 0;
  #unsealed = 0;
  #answered = false;
  /** The batch that was found for the one event that was asked for. */
  #subject: Subject | undefined;
  #attestation: AttestationReport | null = null;

  constructor(trust: Trust = {}) {
    this.#trust = trust;
  }

  /** @throws EvidenceError EVIDENCE_FILE_UNREADABLE for a record that may not stand there */
  take(record: EvidenceRecord): void {
    if (this.#ended) throw unreadable("goes on behind its end");
    if ((this.#records === 0) !== (record.type === "evidence"))
      throw unreadable("does not begin with the record that names its format, or has it twice");
    if (record.type === "evidence") this.#selection = record.selection;
    else if (record.type === "statement") this.#statement(record.note);
    else if (record.type === "key") this.#key(record);
    else if (record.type === "entry") this.#entry(record);
    else if (record.type === "attestation") this.#attested(record);
    else if (record.type === "expired") this.#expired(record);
    else if (record.type === "absent") this.#absent(record.event, record.why);
    else {
      this.#ended = true;
      if (record.records !== this.#records) throw unreadable(`has ${this.#records} records, and its end counts ${record.records}`);
    }
    this.#records += 1;
  }

  /** @throws EvidenceError EVIDENCE_FILE_UNREADABLE for a file without its end */
  finish(): Report {
    if (!this.#ended || this.#selection === undefined) throw unreadable("has no end: it was cut");
    for (const finding of this.#producers.finish()) this.#find(finding);
    if (this.#selection.kind === "all") this.#wholeRanges(this.#selection.sinceUs);
    if (this.#selection.kind === "event" && !this.#answered) {
      const { producer, epoch, seq } = this.#selection;
      this.#find({ state: "MISSING", what: `${producer}:${epoch}:${seq}`, why: "the file was made for it, and does not hold it" });
    }
    const anchored = this.#anchor();
    return {
      verdict: this.#verdict,
      selection: this.#selection,
      findings: this.#findings,
      found: this.#found,
      statements: this.#statements,
      batches: this.#batches,
      rows: this.#rows,
      deadLetters: this.#deadLetters,
      gaps: this.#gaps,
      unsealed: this.#unsealed,
      attestation: this.#attestation,
      anchored,
      sealerKeys: this.#chain.keys,
    };
  }

  #find(finding: Finding): void {
    this.#found += 1;
    if (this.#findings.length < findingsMax) this.#findings.push(finding);
    if (severity.indexOf(finding.state) > severity.indexOf(this.#verdict)) this.#verdict = finding.state;
  }

  #statement(note: string): void {
    const finding = this.#chain.add(note);
    if (finding === undefined) this.#statements += 1;
    else this.#find(finding);
  }

  #key({ producer, publicKey }: KeyRecord): void {
    const key = importPublicKey(publicKey);
    if (key.kind === "refused") this.#find({ state: "FAIL", what: `a key of producer ${producer}`, why: key.detail });
    else this.#keys.set(`${producer}:${keyIdOf(publicKey)}`, key.value);
  }

  #entry(entry: EntryRecord): void {
    this.#batches += 1;
    this.#rows += entry.rows.length;
    this.#deadLetters += entry.deadLetters.reduce((sum, { count }) => sum + count, 0);
    this.#gaps += entry.gaps.reduce((sum, { count }) => sum + count, 0);
    const { header, faults } = checkSigned(entry, (producer, keyId) => this.#keys.get(`${producer}:${keyId}`));
    const place = `partition ${entry.part}, offset ${entry.off}`;
    if (header === undefined) {
      for (const { why } of faults) this.#find({ state: "FAIL", what: place, why });
      return;
    }
    const only = this.#selection?.kind === "event" ? this.#selection.seq : undefined;
    const name = (seq: number): string => `${header.producer}:${header.epoch}:${seq}`;
    const batch = `batch ${name(header.firstSeq)} (${place})`;
    // What is sealed was stored before, whatever the file says of it.
    const derived = checkDerived(entry.leaf === null ? entry : { ...entry, stored: true }, header, only);
    for (const { seq, missing, why } of [...faults, ...derived])
      this.#find({ state: missing === true ? "MISSING" : "FAIL", what: seq === undefined ? batch : name(seq), why });
    const leaf = this.#leafFault(entry, header.hash);
    if (leaf !== undefined) this.#find({ state: "FAIL", what: batch, why: leaf });
    this.#belongs(header, batch, entry);
    const link = this.#producers.add(header);
    if (link !== undefined) this.#find(link);
  }

  #attested(record: AttestationRecord): void {
    if (this.#subject === undefined || this.#attestation !== null)
      this.#find({
        state: "FAIL",
        what: `attestation of ${record.event}`,
        why: "does not stand behind the batch of the event that was asked for, or stands there twice",
      });
    else this.#attestation = checkAttestation(record, this.#subject, this.#chain, (finding) => this.#find(finding));
  }

  /** Whether it is what the file was made for. */
  #belongs(header: FrameHeader, batch: string, entry: EntryRecord): void {
    const wanted = this.#selection;
    if (wanted === undefined || wanted.kind === "all") return;
    const holds =
      wanted.kind === "event"
        ? wanted.epoch === header.epoch && header.firstSeq <= wanted.seq && wanted.seq < header.firstSeq + header.count
        : wanted.sinceUs <= entry.receivedUs && entry.receivedUs < (wanted.untilUs ?? Number.POSITIVE_INFINITY);
    if (wanted.producer !== header.producer || !holds) {
      this.#find({ state: "FAIL", what: batch, why: "is not what the file was made for" });
      return;
    }
    this.#answered = true;
    if (wanted.kind === "event") this.#subject = { entry, header, seq: wanted.seq };
  }

  #leafFault(entry: EntryRecord, hash: Buffer): string | undefined {
    if (entry.leaf === null) {
      const covering = this.#chain.covering(entry.part, entry.off);
      if (covering !== undefined) return `checkpoint ${covering} covers it, and the file has no proof of it`;
      this.#unsealed += 1;
      return undefined;
    }
    const { statement: number, path } = entry.leaf;
    const statement = this.#chain.statement(number);
    if (statement?.kind !== "checkpoint") return `rests on statement ${number}, which is no checkpoint that holds`;
    const index = entry.generation === statement.generation ? leafIndex(statement, entry.part, entry.off) : undefined;
    if (index === undefined) return `checkpoint ${number} does not cover it`;
    const root = rootByPath(entryLeaf({ ...entry, hash }), index, statement.entries, path);
    this.#sequence(statement, index);
    return root?.toString("hex") === statement.root
      ? undefined
      : `is not what checkpoint ${number} was signed over: batch, time of receipt or verdicts were changed`;
  }

  /** Of a file that holds everything: offsets of a checkpoint come one after the other. */
  #sequence(statement: CheckpointStatement, index: number): void {
    if (this.#selection?.kind !== "all") return;
    const next = this.#nextLeaf.get(statement.number) ?? 0;
    if (index > next) this.#find(this.#missing(statement, next, index));
    if (index < next)
      this.#find({ state: "FAIL", what: `checkpoint ${statement.number}`, why: `its entry ${index} comes twice, or out of order` });
    this.#nextLeaf.set(statement.number, Math.max(next, index + 1));
  }

  #missing(statement: CheckpointStatement, from: number, to: number): Finding {
    const place = placeOfLeaf(statement, from);
    const more = to - from > 1 ? `, the first of ${to - from} in a row` : "";
    return {
      state: "MISSING",
      what: `partition ${place?.part}, offset ${place?.off}`,
      why: `checkpoint ${statement.number} covers it, and it is not there${more}`,
    };
  }

  #wholeRanges(sinceUs: number): void {
    const expiredDays = new Map<string, number>();
    const all = Array.from({ length: (this.#chain.last?.number ?? -1) + 1 }, (_, number) => this.#chain.statement(number));
    for (const statement of all) if (statement?.kind === "expiry") expiredDays.set(statement.day, statement.number);
    for (const statement of all) {
      if (statement?.kind !== "checkpoint" || statement.madeUs < sinceUs) continue;
      const next = this.#nextLeaf.get(statement.number) ?? 0;
      if (next === statement.entries) continue;
      const expiry = expiredDays.get(statement.day);
      if (expiry !== undefined && expiry > statement.number && next === 0)
        this.#find({
          state: "EXPIRED_BY_POLICY",
          what: `checkpoint ${statement.number}`,
          why: `its day, ${statement.day}, was removed by retention: statement ${expiry}`,
        });
      else this.#find(this.#missing(statement, next, statement.entries));
    }
  }

  #expired({ chain, index, leaf }: ExpiredRecord): void {
    const statement = this.#chain.statement(leaf.statement);
    const what = `${chain.producer}:${chain.epoch}:${chain.firstSeq}`;
    const root =
      statement?.kind === "expiry" ? rootByPath(expiredLeaf(chain), index, statement.chains, leaf.path)?.toString("hex") : undefined;
    if (statement?.kind !== "expiry" || root !== statement.root) {
      this.#find({ state: "FAIL", what, why: `statement ${leaf.statement} does not say that it was removed by retention` });
      return;
    }
    this.#producers.expired(chain);
    const wanted = this.#selection;
    if (
      wanted?.kind !== "event" ||
      wanted.producer !== chain.producer ||
      wanted.epoch !== chain.epoch ||
      wanted.seq < chain.firstSeq ||
      wanted.seq > chain.lastSeq
    )
      return;
    this.#answered = true;
    this.#find({
      state: "EXPIRED_BY_POLICY",
      what: `${wanted.producer}:${wanted.epoch}:${wanted.seq}`,
      why: `its day, ${statement.day}, was removed by retention (${statement.policy}, ${statement.actor}): statement ${statement.number}`,
    });
  }

  #absent(event: string, why: string): void {
    this.#answered = true;
    this.#find({ state: "MISSING", what: event, why });
  }

  #anchor(): boolean {
    const { keys = [], copies = [] } = this.#trust;
    for (const copy of copies) {
      const { number } = parseStatement(copy);
      const hash = this.#chain.hash(number);
      if (hash === undefined)
        this.#find({
          state: "MISSING",
          what: `statement ${number}`,
          why: `the copy from elsewhere has it, and the file's statements end at ${this.#chain.last?.number ?? "none"}: the tail was cut`,
        });
      else if (hash !== statementHash(parseNote(copy).text))
        this.#find({
          state: "FAIL",
          what: `statement ${number}`,
          why: "is not the one that was copied elsewhere: the chain was made anew",
        });
    }
    if (keys.length > 0 && !keys.some((key) => this.#chain.keys.includes(key)))
      this.#find({ state: "FAIL", what: "the chain of statements", why: "none of the given keys has signed in it" });
    return keys.length + copies.length > 0;
  }
}

function placeOfLeaf({ ranges }: CheckpointStatement, index: number): { readonly part: number; readonly off: number } | undefined {
  let before = index;
  for (const { part, afterOff, upToOff } of ranges) {
    if (before < upToOff - afterOff) return { part, off: afterOff + 1 + before };
    before -= upToOff - afterOff;
  }
  return undefined;
}

function unreadable(what: string): EvidenceError {
  return new EvidenceError("EVIDENCE_FILE_UNREADABLE", `the file ${what}`);
}
