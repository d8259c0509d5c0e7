/**
 * Why it exists: whoever is handed one event wants the sealer's word for it, and not only for the hour that it stood in.
 * Enforces: the sealer signs what it has found out by itself: its own chain of statements, read again and ended by what it signed last; the batch under a checkpoint of it, hash
 *   by hash up to the signed root; the event out of the batch's bytes, and its fingerprint.
 * Forbids: signing anything that somebody hands over; believing a column of the database, or a leaf that is stored.
 */
import {
  attestable,
  attestationText,
  entryLeaf,
  leafIndex,
  type NoteSigner,
  rootByPath,
  signNote,
  StatementChain,
} from "ransomeye-evidence";
import { decodeHeader, type FrameHeader, payloadHash } from "ransomeye-ingestion/protocol";
import type { Telemetry } from "ransomeye-kernel";
import { entryChanged } from "../events.ts";
import type { EventId } from "../queries/events.ts";
import type { ChainEnd, SealedBatch, SealStore } from "./seal_store.ts";

/** A signed note, or why there is none. */
export type Attested = { readonly kind: "attested"; readonly note: string } | { readonly kind: "refused"; readonly why: string };

/** Statements that are read at once. */
const notesPerRead = 500;

export class Attester {
  readonly #store: SealStore;
  readonly #telemetry: Telemetry;
  /** As far as it was read: what held once holds. */
  #chain = new StatementChain();

  constructor({ store, telemetry }: { readonly store: SealStore; readonly telemetry: Telemetry }) {
    this.#store = store;
    this.#telemetry = telemetry;
  }

  /** `end`: what this sealer has signed last; `signer`: by whom it signs since. */
  async attest(event: EventId, end: ChainEnd, signer: NoteSigner, madeUs: number): Promise<Attested> {
    const fault = await this.#readChain(end);
    if (fault !== undefined) return refused(fault);
    const found = await this.#store.batchOf(event);
    const header = found && decodeHeader(found.batch.header);
    if (found === undefined || header === undefined) return refused("the log has no batch with it");
    if (found.proof === undefined) return refused("no checkpoint covers its batch yet");
    const checkpoint = found.proof.leaf.statement;
    if (header.kind === "refused" || !this.#isSealed(found, header.value)) {
      const { part, off } = found.batch;
      this.#telemetry.emit(entryChanged, { part, off, checkpoint });
      return refused(`its batch, or the proof of it, is not what checkpoint ${checkpoint} was signed over: it was changed in the database`);
    }
    // Columns said that it is there; the signed header says whether it is.
    const { producer, epoch, firstSeq, count } = header.value;
    if (producer !== event.producer || epoch !== event.epoch || event.seq < firstSeq || event.seq >= firstSeq + count)
      return refused("the log has no batch with it");
    const it = attestable(
      { header: header.value, verdicts: found.batch.verdicts, payload: found.batch.payload },
      event.seq,
      this.#chain.keys[0],
    );
    if (it.kind === "none") return refused(it.why);
    const { id, fingerprint } = it;
    const said = { event: id, fingerprint, checkpoint, statement: end.number, statementHash: end.hash, madeUs };
    return { kind: "attested", note: signNote(attestationText(said), [signer]) };
  }

  /** Reads the statements that it does not know. Why they are not this sealer's, or undefined. */
  async #readChain(end: ChainEnd): Promise<string | undefined> {
    for (;;) {
      const known = this.#chain.last?.number ?? -1;
      const notes = known >= end.number ? [] : await this.#store.notesBehind(known, Math.min(notesPerRead, end.number - known));
      for (const note of notes) {
        const finding = this.#chain.add(note);
        if (finding !== undefined) return this.#forget(`${finding.what} in the database ${finding.why}`);
      }
      if (notes.length === 0) break;
    }
    return this.#chain.hash(end.number) === end.hash
      ? undefined
      : this.#forget(`the database does not hold statement ${end.number} as it was signed`);
  }

  /** What does not hold is read anew next time. */
  #forget(why: string): string {
    this.#chain = new StatementChain();
    return why;
  }

  #isSealed({ batch, proof }: SealedBatch, header: FrameHeader): boolean {
    const statement = proof && this.#chain.statement(proof.leaf.statement);
    if (statement?.kind !== "checkpoint" || proof?.generation !== statement.generation) return false;
    if (!header.payloadHash.equals(payloadHash(batch.payload)) || header.payloadBytes !== batch.payload.length) return false;
    const index = leafIndex(statement, batch.part, batch.off);
    if (index === undefined) return false;
    const leaf = entryLeaf({ ...batch, generation: statement.generation, hash: header.hash });
    return rootByPath(leaf, index, statement.entries, proof.leaf.path)?.toString("hex") === statement.root;
  }
}

function refused(why: string): Attested {
  return { kind: "refused", why };
}
