/**
 * Why: one place says what `npm run bench -- evidence` takes, so that help and parsing agree.
 * Enforces: numbers are positive whole numbers; anything else ends with a sentence and exit code 2.
 * Forbids: reading the command line anywhere else.
 */
import { type CommandSpec, count, resultFile } from "ransomeye-tests/command_line";

/** What one run is asked to do. */
export interface EvidenceOptions {
  readonly events: number;
  readonly result: string | undefined;
}

export const evidenceCommand: CommandSpec<EvidenceOptions> = {
  typed: "npm run bench -- evidence",
  does: "a file of evidence: made, and verified beside bare hashes and signatures",
  options: {
    events: count("--events <n>", "events that are shipped, sealed, exported and verified", 1_000_000),
    result: resultFile,
  },
  notes: `The system runs as \`npm start\` does it. What is compared are CPU seconds of one process over the same batches in the same run: SHA-256 of each payload and one Ed25519
verification for each batch (nobody can do with less), the proofs of the verifier, and all of it with each row derived anew.`,
  exits: ["the file passed, and proofs reach at least half the bare speed", "not"],
};
