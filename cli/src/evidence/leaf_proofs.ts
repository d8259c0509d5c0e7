/**
 * Why it exists: a batch is shown to be among those that a checkpoint was signed over by a few hashes; they are made from the leaves that the sealer stored.
 * Enforces: one checkpoint's leaves in memory at a time; a tree over chunks, and one within the chunk that was asked for last.
 * Forbids: hashing anything again that was sealed: a proof that does not fit its checkpoint is for the verifier to find.
 */
import type { PoolClient } from "ransomeye-db";
import { expiredLeaf, type ExpiredChain, hashBytes, type LeafProof, rootOf, Tree } from "ransomeye-evidence";

/** A range of the log under one checkpoint, with the number of its first leaf. */
interface CoveringRange {
  readonly statement: number;
  readonly part: number;
  readonly afterOff: number;
  readonly upToOff: number;
  readonly generation: string;
  readonly firstLeaf: number;
}

/** Leaves of a checkpoint: chunks of equal size, the last may be smaller. */
interface Leaves {
  readonly statement: number;
  readonly chunks: readonly Buffer[];
  readonly tree: Tree;
}

/** Proofs of entries and of expired chains, by one client's snapshot. */
export class LeafProofs {
  readonly #client: PoolClient;
  #range: CoveringRange | undefined;
  #leaves: Leaves | undefined;
  #chunk: { readonly of: Buffer; readonly tree: Tree } | undefined;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  /** Of the entry at a place, and the log's generation then; undefined where no checkpoint covers it. */
  async entry(part: number, off: number): Promise<{ readonly leaf: LeafProof; readonly generation: string } | undefined> {
    const range = await this.#covering(part, off);
    if (range === undefined) return undefined;
    const leaves = await this.#leavesOf(range.statement);
    return {
      leaf: { statement: range.statement, path: this.#path(leaves, range.firstLeaf + off - range.afterOff - 1) },
      generation: range.generation,
    };
  }

  /** Of what a removed day had held of a chain. */
  async expired(statement: number, index: number): Promise<LeafProof> {
    const { rows } = await this.#client.query<ExpiredChain>(
      `SELECT producer_id AS producer, epoch, first_seq AS "firstSeq", last_seq AS "lastSeq", first_hash AS "firstHash", last_hash AS "lastHash"
       FROM views.expired_chains WHERE statement = $1 ORDER BY index`,
      [statement],
    );
    return { statement, path: new Tree(rows.map(expiredLeaf)).path(index) };
  }

  async #covering(part: number, off: number): Promise<CoveringRange | undefined> {
    const known = this.#range;
    if (known !== undefined && known.part === part && known.afterOff < off && off <= known.upToOff) return known;
    const { rows } = await this.#client.query<CoveringRange>(
      `SELECT r.statement, r.part, r.after_off AS "afterOff", r.up_to_off AS "upToOff", r.generation,
         (SELECT coalesce(sum(b.up_to_off - b.after_off), 0)::bigint FROM views.sealed_ranges b WHERE b.statement = r.statement AND b.part < r.part) AS "firstLeaf"
       FROM views.sealed_ranges r WHERE r.part = $1 AND r.up_to_off >= $2 ORDER BY r.up_to_off LIMIT 1`,
      [part, off],
    );
    const range = rows[0];
    if (range === undefined || range.afterOff >= off) return undefined;
    this.#range = range;
    return range;
  }

  async #leavesOf(statement: number): Promise<Leaves> {
    if (this.#leaves?.statement === statement) return this.#leaves;
    const { rows } = await this.#client.query<{ hashes: Buffer }>(
      "SELECT hashes FROM views.sealed_leaves WHERE statement = $1 ORDER BY chunk",
      [statement],
    );
    const chunks = rows.map(({ hashes }) => hashes);
    this.#leaves = { statement, chunks, tree: new Tree(chunks.map((chunk) => rootOf(hashesIn(chunk)))) };
    return this.#leaves;
  }

  /** Within the chunk, then among the chunks. Leaves that are gone give a path that fits nothing. */
  #path({ chunks, tree }: Leaves, index: number): Buffer[] {
    const perChunk = (chunks[0]?.length ?? 0) / hashBytes;
    const number = Math.floor(index / perChunk);
    const chunk = chunks[number];
    if (chunk === undefined || index % perChunk >= chunk.length / hashBytes) return [];
    if (this.#chunk?.of !== chunk) this.#chunk = { of: chunk, tree: new Tree(hashesIn(chunk)) };
    return [...this.#chunk.tree.path(index % perChunk), ...tree.path(number)];
  }
}

function hashesIn(chunk: Buffer): Buffer[] {
  return Array.from({ length: Math.floor(chunk.length / hashBytes) }, (_, i) => chunk.subarray(i * hashBytes, (i + 1) * hashBytes));
}
