/**
 * Why it exists: what evidence can be refused for, in one closed table.
 * Enforces: an error names its stage, what happens to the data, and what to do next.
 * Forbids: errors for what a verification finds: a finding is a result, not an error.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

export type EvidenceCode =
  | "EVIDENCE_KEY_UNREADABLE"
  | "EVIDENCE_KEY_MISSING"
  | "EVIDENCE_STATEMENT_MALFORMED"
  | "EVIDENCE_FILE_UNREADABLE"
  | "EVIDENCE_ENTRY_MISSING"
  | "EVIDENCE_CHAIN_ROLLED_BACK"
  | "EVIDENCE_NOTHING_SELECTED";

export const EVIDENCE_CODES: CodeTable<EvidenceCode> = {
  EVIDENCE_KEY_UNREADABLE: {
    stage: "evidence",
    disposition: "fatal",
    meaning: "A key is not what a sealer's key looks like, or its file cannot be read.",
    next: "Give the key as `ransomeye evidence key` prints it; a private key's file is PEM, mode 0600, and readable by the sealer alone.",
  },
  EVIDENCE_KEY_MISSING: {
    stage: "evidence",
    disposition: "fatal",
    meaning: "Statements have been signed, and the key that signs the next one is not there.",
    next: "Put the file secrets/sealer.key back from a backup; without it nobody can go on with this chain of statements.",
  },
  EVIDENCE_STATEMENT_MALFORMED: {
    stage: "evidence",
    disposition: "fatal",
    meaning: "A statement of the sealer is not in its one form.",
    next: "Compare it with a copy kept elsewhere; what was printed or copied must not be edited, not even its line ends.",
  },
  EVIDENCE_FILE_UNREADABLE: {
    stage: "evidence",
    disposition: "fatal",
    meaning: "A file of evidence cannot be read: cut, edited, of another format, or no such file.",
    next: "Export it again with `ransomeye evidence export`; the message names the line.",
  },
  EVIDENCE_ENTRY_MISSING: {
    stage: "evidence",
    disposition: "retry",
    meaning: "The log lacks an entry between two that it has, so no checkpoint can cover what follows.",
    next: "Treat the partition as corrupt or tampered with: compare with a backup; `ransomeye evidence check` names what is missing.",
  },
  EVIDENCE_CHAIN_ROLLED_BACK: {
    stage: "evidence",
    disposition: "fatal",
    meaning:
      "The database holds fewer statements than this sealer has signed, or other ones: it was restored to an earlier state, or statements were removed.",
    next: "Find out who restored it and why. Then move secrets/sealer.latest away: the sealer goes on behind what the database holds, and the statements that were signed before remain as proof of what was lost.",
  },
  EVIDENCE_NOTHING_SELECTED: {
    stage: "evidence",
    disposition: "fatal",
    meaning: "Nothing that is stored fits what was asked for.",
    next: "Look at `ransomeye events` for ids and times; an event that was expired by retention is answered as such.",
  },
};

/** A failure of making or reading evidence. */
export class EvidenceError extends RansomeyeError<EvidenceCode> {
  constructor(code: EvidenceCode, message: string, options?: ErrorOptions) {
    super(EVIDENCE_CODES, code, message, options);
  }
}
