/**
 * Why it exists: one identity on two machines is found out in several places, and an operator needs one list of it.
 * Enforces: one open finding per producer and kind of evidence, counted when it comes again; nothing is barred by a finding.
 * Forbids: forgetting: what was accepted stays in the table and in the audit trail.
 */
import type { CloneSuspicion } from "ransomeye-ingestion";
import { inTransaction, type Pool, type PoolClient } from "ransomeye-db";
import { audit, findProducer, refuse } from "./changes.ts";
import type { ShownClone } from "./requests.ts";

/** What the registry finds out itself, and what gateways tell it. */
export type CloneEvidence = "renewal_fork" | "enrolment_fork" | CloneSuspicion["evidence"];

/** Records a sign. Resolves with true when it is a new finding. */
export async function noteClone(client: PoolClient, producer: string, evidence: CloneEvidence, detail: string): Promise<boolean> {
  const again = await client.query(
    "UPDATE registry.clone_findings SET last_at = clock_timestamp(), times = times + 1, detail = $3 WHERE producer_id = $1 AND evidence = $2 AND resolved_at IS NULL",
    [producer, evidence, detail.slice(0, 500)],
  );
  if (again.rowCount !== 0) return false;
  await client.query("INSERT INTO registry.clone_findings (producer_id, evidence, detail) VALUES ($1, $2, $3)", [
    producer,
    evidence,
    detail.slice(0, 500),
  ]);
  await audit(client, { action: "clone_suspected", producer, detail: `${evidence}: ${detail}` });
  return true;
}

/** The findings of one registry. */
export class CloneStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Records what a gateway noticed; false where it is known already, or about nobody. */
  note(producer: string, evidence: CloneEvidence, detail: string): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      const known = await client.query("SELECT 1 FROM registry.producers WHERE id = $1", [producer]);
      return known.rowCount === 1 && noteClone(client, producer, evidence, detail);
    });
  }

  /** Open findings, or all. */
  async list(all: boolean): Promise<ShownClone[]> {
    const { rows } = await this.#pool.query<ShownClone>(
      `SELECT f.producer_id AS producer, p.name, f.evidence, f.detail, (extract(epoch FROM f.first_at) * 1000000)::bigint AS first_us,
         (extract(epoch FROM f.last_at) * 1000000)::bigint AS last_us, f.times, CASE WHEN f.resolved_at IS NULL THEN NULL ELSE f.resolution END AS resolution
       FROM registry.clone_findings f JOIN registry.producers p ON p.id = f.producer_id
       WHERE $1 OR f.resolved_at IS NULL ORDER BY f.last_at DESC LIMIT 1000`,
      [all],
    );
    return rows;
  }

  /** An operator says that it is no clone, or has been dealt with. @throws CliError CLI_REGISTRY_REFUSED when nothing is open */
  async accept(which: string, reason: string): Promise<number> {
    return inTransaction(this.#pool, async (client) => {
      const { id } = await findProducer(client, which);
      const closed = await client.query(
        "UPDATE registry.clone_findings SET resolved_at = clock_timestamp(), resolution = $2 WHERE producer_id = $1 AND resolved_at IS NULL",
        [id, reason],
      );
      if (closed.rowCount === 0) refuse("nothing is suspected of this producer");
      await audit(client, { action: "clone_accepted", producer: id, detail: reason });
      return closed.rowCount ?? 0;
    });
  }
}
