/**
 * Why it exists: hour by hour somebody signs what the log held, so that nobody can change it afterwards unseen, whatever rights he has in the database.
 * Enforces: every stored entry ends up under a checkpoint of its day, without a hole; statements follow each other; a database that has forgotten what was
 * signed is refused; retention takes a day only after a statement says so.
 * Forbids: signing past an entry that is missing; more memory than a checkpoint's leaves.
 */
import {
  entriesIn,
  entryLeaf,
  EvidenceError,
  expiredLeaf,
  hashBytes,
  isSignedBy,
  noPrevious,
  type NoteSigner,
  parseNote,
  parseStatement,
  parseVerifierKey,
  rootOf,
  signNote,
  type Statement,
  statementHash,
  statementText,
  TreeRoot,
  verifierKey,
} from "ransomeye-evidence";
import type { Clock, Telemetry } from "ransomeye-kernel";
import { dayExpirySigned, entryMissing, statementSigned } from "../events.ts";
import type { EventId } from "../queries/events.ts";
import { type ChainEnd, type ExpiryWish, leavesPerChunk, type Sealable, type SealedEntries, type SealStore } from "./seal_store.ts";
import { type Attested, Attester } from "./attester.ts";
import type { SealerKeys } from "./sealer_keys.ts";

const dayUs = 86_400_000_000;
/** Entries of one checkpoint; what is beyond is the next one's. */
const entriesMaxDefault = 250_000;
const entriesPerRead = 5000;

/** What a statement says, before it has its place in the chain. */
type Said<S> = S extends Statement ? Omit<S, "number" | "previous" | "madeUs"> : never;

export interface SealerOptions {
  readonly store: SealStore;
  readonly keys: SealerKeys;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Entries of one checkpoint; only tests say less. */
  readonly entriesMax?: number;
  /** Statements that an attestation reads at once; only tests say less. */
  readonly notesPerRead?: number;
}

/** Signs statements; one of its methods at a time. */
export class Sealer {
  readonly #o: SealerOptions;
  #end: ChainEnd | undefined;
  #signer: NoteSigner;
  #keySinceUs: number;
  readonly #attester: Attester;

  private constructor(o: SealerOptions, end: ChainEnd | undefined, signer: NoteSigner, keySinceUs: number) {
    this.#o = o;
    this.#end = end;
    this.#signer = signer;
    this.#keySinceUs = keySinceUs;
    this.#attester = new Attester(o);
  }

  /** Goes on with the chain, or begins it. @throws EvidenceError EVIDENCE_CHAIN_ROLLED_BACK, EVIDENCE_KEY_MISSING, EVIDENCE_KEY_UNREADABLE */
  static async open(o: SealerOptions): Promise<Sealer> {
    const end = await o.store.end();
    const last = await o.keys.lastSigned();
    if (last !== undefined && (await o.store.hashOf(last.number)) !== last.hash)
      throw new EvidenceError(
        "EVIDENCE_CHAIN_ROLLED_BACK",
        `statement ${last.number} was signed as ${last.hash}, and the database does not have it; its last is ${end?.number ?? "none"}`,
      );
    const note = await o.store.keyNote();
    const named = note === undefined ? undefined : parseStatement(note);
    const key = named?.kind === "key" ? named.key : undefined;
    const signer = await o.keys.signer(key);
    if (end !== undefined && !isSignedBy(parseNote(end.note), parseVerifierKey(verifierKey(signer))))
      throw new EvidenceError("EVIDENCE_CHAIN_ROLLED_BACK", `statement ${end.number}, the last one, is not one that this key has signed`);
    const sealer = new Sealer(o, end, signer, named?.madeUs ?? 0);
    if (end === undefined) await sealer.#nameKey([signer], signer);
    return sealer;
  }

  /** Hands over to a new key once this one is as old as that. */
  async rotate(keyUsMax: number): Promise<boolean> {
    if (this.#o.clock.nowUs() - this.#keySinceUs < keyUsMax) return false;
    const next = await this.#o.keys.next();
    await this.#nameKey([this.#signer, next], next);
    await this.#o.keys.adopt();
    this.#signer = next;
    return true;
  }

  /** Signs what one event's fingerprint is, if it stands under a checkpoint of this chain. */
  async attest(event: EventId): Promise<Attested> {
    const end = this.#end;
    if (end === undefined) return { kind: "refused", why: "nothing has been signed yet" };
    return this.#attester.attest(event, end, this.#signer, Math.max(this.#o.clock.nowUs(), end.madeUs));
  }

  /** Puts everything under checkpoints that may be; says how many entries that were. */
  async seal(): Promise<number> {
    const stuck = new Set<number>();
    let sealed = 0;
    // What is stored meanwhile is for the next time: else there would be no end while events come in.
    for (let open: readonly Sealable[] = await this.#o.store.sealable(); ; ) {
      const checkpoint = await this.#gather(open, stuck);
      if (checkpoint === undefined) return sealed;
      const { day, root, ...entries } = checkpoint;
      const count = entriesIn(entries.ranges);
      const ranges = entries.ranges.map(({ part, afterOff, upToOff }) => ({ part, afterOff, upToOff }));
      await this.#say({ kind: "checkpoint", generation: entries.generation, day, entries: count, root, ranges }, entries);
      sealed += count;
      open = behind(open, entries.ranges).filter(({ part }) => !stuck.has(part));
    }
  }

  /** Signs days away that retention wants gone, and of which everything is sealed; says which. */
  async expire(): Promise<string[]> {
    const { store, telemetry } = this.#o;
    const days: string[] = [];
    for (const wish of await store.wishes()) {
      if (!(await store.allSealed(wish.day))) break;
      const signed = await this.#signAway(wish);
      if (signed === undefined) continue;
      const { chains, entries } = signed;
      days.push(wish.day);
      telemetry.emit(dayExpirySigned, { day: wish.day, policy: wish.policy, actor: wish.actor, entries, chains });
    }
    return days;
  }

  /** Undefined: a hold has come in between, and the day stays. */
  async #signAway({ day, policy, actor }: ExpiryWish): Promise<{ readonly chains: number; readonly entries: number } | undefined> {
    const { store } = this.#o;
    const checkpoints = (await store.checkpointsOf(day)).map((note) => parseStatement(note));
    const entries = checkpoints.reduce((sum, one) => sum + (one.kind === "checkpoint" ? one.entries : 0), 0);
    const chains = await store.chainsOf(day);
    const root = rootOf(chains.map(expiredLeaf)).toString("hex");
    const { stored, end } = this.#sign({ kind: "expiry", day, entries, chains: chains.length, root, policy, actor }, [this.#signer]);
    if (!(await store.writeExpiry(stored, chains))) return undefined;
    await this.#signed(end);
    return { chains: chains.length, entries };
  }

  /** The next checkpoint: of the earliest day that is open anywhere. */
  async #gather(
    open: readonly Sealable[],
    stuck: Set<number>,
  ): Promise<(SealedEntries & { readonly day: string; readonly root: string }) | undefined> {
    const firsts = await Promise.all(
      open.map(async (part) => ({ part, first: (await this.#o.store.entries(part, Number.MAX_SAFE_INTEGER, 1))[0] })),
    );
    for (const { part, first } of firsts) if (first?.off !== part.afterOff + 1) this.#missing(part, stuck);
    const ready = firsts.filter(({ part }) => !stuck.has(part.part));
    const [one] = ready;
    if (one === undefined) return undefined;
    const dayStartUs = Math.min(...ready.map(({ first }) => Math.floor((first?.receivedUs ?? 0) / dayUs) * dayUs));
    const { entriesMax = entriesMaxDefault } = this.#o;
    const tree = new TreeRoot();
    const leaves: Buffer[] = [];
    const ranges: SealedEntries["ranges"][number][] = [];
    for (const { part } of ready) {
      const range = await this.#takeRange(
        part,
        dayStartUs + dayUs,
        (leaf) => {
          tree.add(leaf);
          leaves.push(leaf);
          return entriesMax - leaves.length;
        },
        stuck,
      );
      if (range.upToOff > range.afterOff) ranges.push(range);
      if (leaves.length >= entriesMax) break;
    }
    if (ranges.length === 0) return undefined;
    const chunks: Buffer[] = [];
    for (let from = 0; from < leaves.length; from += leavesPerChunk)
      chunks.push(Buffer.concat(leaves.slice(from, from + leavesPerChunk), Math.min(leavesPerChunk, leaves.length - from) * hashBytes));
    return {
      generation: one.part.generation,
      day: new Date(dayStartUs / 1000).toISOString().slice(0, 10),
      root: tree.root().toString("hex"),
      ranges,
      chunks,
    };
  }

  /** Takes a partition's entries of the day, each to be followed by the next offset. `take` says how many more there is room for. */
  async #takeRange(
    part: Sealable,
    beforeUs: number,
    take: (leaf: Buffer) => number,
    stuck: Set<number>,
  ): Promise<SealedEntries["ranges"][number]> {
    let range = { part: part.part, afterOff: part.afterOff, upToOff: part.afterOff, receivedUs: part.fromUs };
    for (let room = Number.POSITIVE_INFINITY; room > 0; ) {
      const entries = await this.#o.store.entries({ ...part, afterOff: range.upToOff, fromUs: range.receivedUs }, beforeUs, entriesPerRead);
      for (const { off, receivedUs, hash, verdicts } of entries) {
        if (off !== range.upToOff + 1) {
          this.#missing({ ...part, afterOff: range.upToOff }, stuck);
          return range;
        }
        room = take(entryLeaf({ generation: part.generation, part: part.part, off, receivedUs, hash, verdicts }));
        range = { ...range, upToOff: off, receivedUs };
        if (room <= 0) return range;
      }
      if (entries.length < entriesPerRead) return range;
    }
    return range;
  }

  #missing({ part, afterOff }: Sealable, stuck: Set<number>): void {
    stuck.add(part);
    this.#o.telemetry.emit(entryMissing, { part, off: afterOff + 1 });
  }

  async #nameKey(signers: readonly NoteSigner[], next: NoteSigner): Promise<void> {
    const { stored, end } = this.#sign({ kind: "key", key: verifierKey(next) }, signers);
    await this.#o.store.write(stored);
    this.#keySinceUs = end.madeUs;
    await this.#signed(end);
  }

  async #say(said: Said<Statement>, sealed: SealedEntries): Promise<void> {
    const { stored, end } = this.#sign(said, [this.#signer]);
    await this.#o.store.write(stored, sealed);
    await this.#signed(end);
  }

  #sign(
    said: Said<Statement>,
    signers: readonly NoteSigner[],
  ): { readonly stored: Parameters<SealStore["write"]>[0]; readonly end: ChainEnd } {
    const number = (this.#end?.number ?? -1) + 1;
    const madeUs = Math.max(this.#o.clock.nowUs(), this.#end?.madeUs ?? 0);
    const text = statementText({ ...said, number, previous: this.#end?.hash ?? noPrevious, madeUs });
    const hash = statementHash(text);
    const day = said.kind === "key" ? null : said.day;
    return { stored: { number, kind: said.kind, day, madeUs, hash, note: signNote(text, signers) }, end: { number, hash, madeUs } };
  }

  async #signed(end: ChainEnd): Promise<void> {
    this.#end = end;
    await this.#o.keys.noteSigned(end);
    this.#o.telemetry.emit(statementSigned, { number: end.number, hash: end.hash });
  }
}

/** What is left of the partitions once these ranges are sealed. */
function behind(open: readonly Sealable[], ranges: SealedEntries["ranges"]): Sealable[] {
  const ends = new Map(ranges.map((range) => [range.part, range]));
  return open
    .map((part) => {
      const end = ends.get(part.part);
      return end === undefined ? part : { ...part, afterOff: end.upToOff, fromUs: end.receivedUs };
    })
    .filter(({ afterOff, upToOff }) => afterOff < upToOff);
}
