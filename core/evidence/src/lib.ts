/**
 * The door of `ransomeye-evidence`: what can be proven of stored events, by anybody, from a file alone. Nobody reaches past it.
 */
export { attestableEvent, type AttestationReport } from "./attestation_check.ts";
export { attestationText, parseAttestation } from "./attestation_note.ts";
export { EVIDENCE_CODES, type EvidenceCode, EvidenceError } from "./codes.ts";
export type { StoredRow } from "./derived_row.ts";
export { type Check, type EvidenceFrame, type Proof, proveEvent } from "./event_proof.ts";
export type { Finding, FindingState } from "./finding.ts";
export { type EntryFacts, entryLeaf, expiredLeaf } from "./leaves.ts";
export { hashBytes, rootByPath, rootOf, Tree, TreeRoot } from "./merkle.ts";
export { attestable } from "./ocsf_attestation.ts";
export { recordsIn, verifyRecords } from "./record_file.ts";
export {
  type AttestationRecord,
  type DeadLetterFacts,
  decodeRecord,
  encodeRecord,
  type EntryRecord,
  type EvidenceRecord,
  type ExpiredChain,
  type ExpiredRecord,
  fileFormat,
  type GapFacts,
  type LeafProof,
  rowColumns,
  type Selection,
  type SequencedRow,
} from "./records.ts";
export { isSignedBy, type NoteSigner, parseNote, parseVerifierKey, signNote, verifierKey } from "./signed_note.ts";
export {
  type CheckpointStatement,
  entriesIn,
  type ExpiryStatement,
  type KeyStatement,
  leafIndex,
  noPrevious,
  parseStatement,
  type SealedRange,
  type Statement,
  statementHash,
  statementText,
} from "./statement.ts";
export { StatementChain } from "./statement_chain.ts";
export { type Report, type Trust, Verifier } from "./verifier.ts";
