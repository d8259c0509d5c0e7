/**
 * Why it exists: whoever is handed one event wants the sealer's word for it, and not only for the hour that it stood in.
 * Enforces: the sealer signs what it has found out by itself: a checkpoint that leads, hash by hash, to what it signed last; the batch that leads, hash by hash, to the root of that
 *   checkpoint; the event out of the batch's bytes, and its fingerprint.
 * Forbids: signing anything that somebody hands over; believing a column of the database, or a leaf that is stored; memory that grows with the statements.
 */
import {
  attestable,
  attestationText,
  entryLeaf,
  EvidenceError,
  leafIndex,
  type NoteSigner,
  parseNote,
  parseStatement,
  rootByPath,
  signNote,
  type Statement,
  statementHash,
} from "ransomeye-evidence";
import { decodeHeader, type FrameHeader, payloadHash } from "ransomeye-ingestion/protocol";
import type { Telemetry } from "ransomeye-kernel";
import { entryChanged } from "../events.ts";
import type { EventId } from "../queries/events.ts";
import type { ChainEnd, SealedBatch, SealStore } from "./seal_store.ts";

/** A signed note, or why there is none. */
export type Attested = { readonly kind: "attested"; readonly note: string } | { readonly kind: "refused"; readonly why: string };

/** Statements in memory at once. */
const notesPerReadDefault = 500;

/** A statement of the chain, and the sealer's first key. */
interface Known {
  readonly statement: Statement;
  readonly authority: string;
}

export class Attester {
  readonly #store: SealStore;
  readonly #telemetry: Telemetry;
  readonly #notesPerRead: number;
  /** The key that statement 0 names, once the chain was followed from there. */
  #authority: string | undefined;

  constructor(o: { readonly store: SealStore; readonly telemetry: Telemetry; readonly notesPerRead?: number }) {
    this.#store = o.store;
    this.#telemetry = o.telemetry;
    this.#notesPerRead = o.notesPerRead ?? notesPerReadDefault;
  }

  /** `end`: what this sealer has signed last; `signer`: by whom it signs since. */
  async attest(event: EventId, end: ChainEnd, signer: NoteSigner, madeUs: number): Promise<Attested> {
    const found = await this.#store.batchOf(event);
    const header = found && decodeHeader(found.batch.header);
    if (found === undefined || header === undefined) return refused("the log has no batch with it");
    if (found.proof === undefined) return refused("no checkpoint covers its batch yet");
    const checkpoint = found.proof.leaf.statement;
    const known = await this.#follow(checkpoint, end);
    if (known === undefined) return refused(`the database does not hold the statements up to ${end.number} as they were signed`);
    if (header.kind === "refused" || !isSealed(found, header.value, known.statement)) {
      const { part, off } = found.batch;
      this.#telemetry.emit(entryChanged, { part, off, checkpoint });
      return refused(`its batch, or the proof of it, is not what checkpoint ${checkpoint} was signed over: it was changed in the database`);
    }
    // Columns said that it is there; the signed header says whether it is.
    const { producer, epoch, firstSeq, count } = header.value;
    if (producer !== event.producer || epoch !== event.epoch || event.seq < firstSeq || event.seq >= firstSeq + count)
      return refused("the log has no batch with it");
    const batch = { header: header.value, verdicts: found.batch.verdicts, payload: found.batch.payload };
    const it = attestable(batch, event.seq, known.authority);
    if (it.kind === "none") return refused(it.why);
    const { id, fingerprint } = it;
    const said = { event: id, fingerprint, checkpoint, statement: end.number, statementHash: end.hash, madeUs };
    return { kind: "attested", note: signNote(attestationText(said), [signer]) };
  }

  /** The statement of this number, as it leads to `end` hash by hash; undefined if it does not. The first time the whole chain is followed, for the key that it begins with. */
  async #follow(number: number, end: ChainEnd): Promise<Known | undefined> {
    let authority = this.#authority;
    let statement: Statement | undefined;
    let previous: string | undefined;
    for (let next = authority === undefined ? 0 : number; next <= end.number; ) {
      const notes = await this.#store.notesBehind(next - 1, Math.min(this.#notesPerRead, end.number - next + 1));
      if (notes.length === 0) return undefined;
      for (const note of notes) {
        const one = readStatement(note);
        if (one?.number !== next || (previous !== undefined && one.previous !== previous)) return undefined;
        if (next === 0 && one.kind === "key") authority = one.key;
        if (next === number) statement = one;
        previous = statementHash(parseNote(note).text);
        next += 1;
      }
    }
    if (previous !== end.hash || statement === undefined || authority === undefined) return undefined;
    this.#authority = authority;
    return { statement, authority };
  }
}

/** Whether the batch is among what a statement was signed over. */
function isSealed({ batch, proof }: SealedBatch, header: FrameHeader, statement: Statement): boolean {
  if (statement.kind !== "checkpoint" || proof?.generation !== statement.generation) return false;
  if (!header.payloadHash.equals(payloadHash(batch.payload)) || header.payloadBytes !== batch.payload.length) return false;
  const index = leafIndex(statement, batch.part, batch.off);
  if (index === undefined) return false;
  const leaf = entryLeaf({ ...batch, generation: statement.generation, hash: header.hash });
  return rootByPath(leaf, index, statement.entries, proof.leaf.path)?.toString("hex") === statement.root;
}

function readStatement(note: string): Statement | undefined {
  try {
    return parseStatement(note);
  } catch (error) {
    if (error instanceof EvidenceError) return undefined;
    throw error;
  }
}

function refused(why: string): Attested {
  return { kind: "refused", why };
}
