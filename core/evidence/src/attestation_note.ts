/**
 * Why it exists: what the sealer says of one event: this is its fingerprint, and that checkpoint covers the batch that carries it.
 * Enforces: one text form, under a first line of its own, so that it passes for no statement and no statement for it; one signature.
 * Forbids: I/O, clocks; trusting a note because it parses.
 */
import { formatInstantUs, parseInstantUs } from "ransomeye-ingestion/protocol";
import { EvidenceError } from "./codes.ts";
import { parseNote } from "./signed_note.ts";

/** What is signed of one event. */
export interface AttestationNote {
  /** producer:epoch:sequence. */
  readonly event: string;
  /** SHA-256 over the canonical form of the event, 64 hex digits. */
  readonly fingerprint: string;
  /** The checkpoint that covers its batch. */
  readonly checkpoint: number;
  /** The newest statement when this was signed, and its hash: it says which key was the sealer's. */
  readonly statement: number;
  readonly statementHash: string;
  /** Microseconds since 1970. */
  readonly madeUs: number;
}

const format = "ransomeye/attestation/v1";
const pattern =
  /^ransomeye\/attestation\/v1\nevent ([0-9a-f-]{36}:\d{1,16}:\d{1,16})\nfingerprint sha-256 ([0-9a-f]{64})\ncheckpoint (\d{1,15})\nstatement (\d{1,15}) ([0-9a-f]{64})\nmade (\S{1,40})\n$/;

/** The text that is signed. */
export function attestationText({ event, fingerprint, checkpoint, statement, statementHash, madeUs }: AttestationNote): string {
  return `${[
    format,
    `event ${event}`,
    `fingerprint sha-256 ${fingerprint}`,
    `checkpoint ${checkpoint}`,
    `statement ${statement} ${statementHash}`,
    `made ${formatInstantUs(madeUs)}`,
  ].join("\n")}\n`;
}

/** What a signed note says. The signature is not verified here. @throws EvidenceError EVIDENCE_STATEMENT_MALFORMED */
export function parseAttestation(note: string): AttestationNote {
  const { text, signatures } = parseNote(note);
  const [, event = "", fingerprint = "", checkpoint, statement, statementHash = "", made = ""] = pattern.exec(text) ?? [];
  const madeUs = parseInstantUs(made, false);
  const said = { event, fingerprint, checkpoint: Number(checkpoint), statement: Number(statement), statementHash, madeUs };
  // One form: what reads back as another text was not written by a sealer.
  if (signatures.length !== 1 || !Number.isSafeInteger(madeUs) || attestationText(said) !== text)
    throw new EvidenceError("EVIDENCE_STATEMENT_MALFORMED", `not an attestation of this release: ${JSON.stringify(text.slice(0, 80))}`);
  return said;
}
