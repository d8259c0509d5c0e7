/**
 * Why it exists: statements prove something only as a chain: each signed by the key of its time, each naming the one before.
 * Enforces: numbers without holes, hashes that fit, keys that were handed on by the key before, ranges that go on where the last ones ended.
 * Forbids: I/O; going on behind a statement that does not hold.
 */
import type { Finding } from "./finding.ts";
import { isSignedBy, type NoteVerifier, parseNote, parseVerifierKey } from "./signed_note.ts";
import { entriesIn, leafIndex, noPrevious, parseStatement, type Statement, statementHash } from "./statement.ts";
import { EvidenceError } from "./codes.ts";

/** Takes notes in order. */
export class StatementChain {
  readonly #byNumber = new Map<number, Statement>();
  readonly #hashes = new Map<number, string>();
  readonly #ends = new Map<string, number>();
  /** The highest offset under any checkpoint, by partition. */
  readonly #highest = new Map<number, number>();
  #verifier: NoteVerifier | undefined;
  #last: Statement | undefined;
  readonly #keys: string[] = [];

  /** The newest that held. */
  get last(): Statement | undefined {
    return this.#last;
  }

  /** Keys that signed, the first one first. */
  get keys(): readonly string[] {
    return this.#keys;
  }

  statement(number: number): Statement | undefined {
    return this.#byNumber.get(number);
  }

  /** The newest checkpoint that covers this place, of whichever log: one that is made anew goes on behind what was sealed. */
  covering(part: number, off: number): number | undefined {
    if (off > (this.#highest.get(part) ?? -1)) return undefined;
    return [...this.#byNumber.values()].findLast((one) => one.kind === "checkpoint" && leafIndex(one, part, off) !== undefined)?.number;
  }

  /** The key that was the sealer's once a statement was signed. */
  keyAt(number: number): string | undefined {
    const named = [...this.#byNumber.values()].findLast((one) => one.kind === "key" && one.number <= number);
    return named?.kind === "key" ? named.key : undefined;
  }

  hash(number: number): string | undefined {
    return this.#hashes.get(number);
  }

  /** Takes the next note. What is wrong with it, or undefined. */
  add(note: string): Finding | undefined {
    let statement: Statement;
    try {
      statement = parseStatement(note);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      return { state: "FAIL", what: `statement after ${this.#last?.number ?? "none"}`, why: error.message };
    }
    const why = this.#fault(statement, note);
    if (why !== undefined) return { state: "FAIL", what: `statement ${statement.number}`, why };
    this.#take(statement, note);
    return undefined;
  }

  #fault(statement: Statement, note: string): string | undefined {
    const parsed = parseNote(note);
    const last = this.#last;
    if (last === undefined) {
      if (statement.kind !== "key" || statement.number !== 0 || statement.previous !== noPrevious)
        return "a chain begins with statement 0, which names the first key";
    } else if (statement.number === last.number + 1) {
      if (statement.previous !== this.#hashes.get(last.number))
        return `does not name statement ${last.number} by its hash: one of the two was exchanged`;
    } else return `does not follow statement ${last.number}: those between are missing`;
    if (last !== undefined && statement.madeUs < last.madeUs) return `was made before statement ${last.number}`;
    if (this.#verifier !== undefined && !isSignedBy(parsed, this.#verifier))
      return `is not signed by the key of its time, ${this.#verifier.text}`;
    if (statement.kind === "key" && !this.#possessed(statement.key, note)) return "is not signed by the key that it names";
    return statement.kind === "checkpoint" ? this.#rangeFault(statement) : undefined;
  }

  #possessed(key: string, note: string): boolean {
    try {
      return isSignedBy(parseNote(note), parseVerifierKey(key));
    } catch {
      return false;
    }
  }

  #rangeFault(statement: Extract<Statement, { kind: "checkpoint" }>): string | undefined {
    const { ranges, entries, generation } = statement;
    if (entriesIn(ranges) !== entries || ranges.some(({ afterOff, upToOff }) => afterOff >= upToOff))
      return "its ranges do not add up to its entries";
    if (ranges.some(({ part }, i) => i > 0 && part <= (ranges[i - 1]?.part ?? -1))) return "its ranges are not in the order of partitions";
    const gap = ranges.find(({ part, afterOff }) => (this.#ends.get(`${generation}:${part}`) ?? afterOff) !== afterOff);
    return gap === undefined ? undefined : `partition ${gap.part} does not go on where the checkpoint before has ended`;
  }

  #take(statement: Statement, note: string): void {
    this.#last = statement;
    this.#byNumber.set(statement.number, statement);
    this.#hashes.set(statement.number, statementHash(parseNote(note).text));
    if (statement.kind === "key") {
      this.#verifier = parseVerifierKey(statement.key);
      this.#keys.push(statement.key);
    }
    if (statement.kind !== "checkpoint") return;
    for (const { part, upToOff } of statement.ranges) {
      this.#ends.set(`${statement.generation}:${part}`, upToOff);
      this.#highest.set(part, Math.max(upToOff, this.#highest.get(part) ?? 0));
    }
  }
}
