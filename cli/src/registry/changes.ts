/**
 * Why it exists: every change of the registry's tables leaves the same traces.
 * Enforces: a change raises the version and writes its audit row in its own transaction; what gateways learn is read back from the tables, not put
 * together by hand; certificates that have been over for long travel no more, so that a producer's entry stays small.
 * Forbids: a change without a trace.
 */
import type { PoolClient } from "ransomeye-db";
import { CliError } from "../errors.ts";
import type { WireProducer } from "./wire.ts";

/** A change as it is announced. */
export interface StoredChange {
  readonly version: number;
  readonly producer: WireProducer;
}

export const producerSelect = `
  SELECT p.id, p.name, p.kind, p.status, (extract(epoch FROM p.created_at) * 1000000)::bigint AS created_us,
    coalesce((SELECT json_agg(json_build_object('key_id', encode(k.key_id, 'hex'), 'public_key', encode(k.public_key, 'base64'),
        'retired_us', (extract(epoch FROM k.retired_at) * 1000000)::bigint) ORDER BY k.added_at)
      FROM registry.producer_keys k WHERE k.producer_id = p.id), '[]') AS keys,
    coalesce((SELECT json_agg(json_build_object('fingerprint', encode(c.fingerprint, 'hex'),
        'not_after_us', (extract(epoch FROM c.not_after) * 1000000)::bigint, 'revoked', c.revoked_at IS NOT NULL) ORDER BY c.issued_at)
      FROM registry.certificates c WHERE c.producer_id = p.id AND c.not_after > clock_timestamp() - interval '90 days'), '[]') AS certificates
  FROM registry.producers p`;

/** Raises the version, writes the audit row and returns what gateways must learn. */
export async function changed(client: PoolClient, id: string, action: string, detail: string): Promise<StoredChange> {
  const version = await raiseVersion(client);
  await audit(client, { version, action, producer: id, detail });
  const producer = (await client.query<WireProducer>(`${producerSelect} WHERE p.id = $1`, [id])).rows[0];
  return { version, producer: producer ?? refuse("the producer vanished") };
}

/** A new version, so much higher. */
export async function raiseVersion(client: PoolClient, by = 1): Promise<number> {
  const raised = await client.query<{ version: number }>("UPDATE registry.version SET version = version + $1 RETURNING version", [by]);
  return raised.rows[0]?.version ?? 0;
}

/** Writes an audit row; without a version of its own it stands under the one in force. */
export async function audit(
  client: Pick<PoolClient, "query">,
  row: { readonly version?: number; readonly action: string; readonly producer?: string; readonly detail: string },
): Promise<void> {
  await client.query(
    "INSERT INTO registry.audit (version, action, producer_id, detail) SELECT coalesce($1, v.version), $2, $3, $4 FROM registry.version v",
    [row.version ?? null, row.action, row.producer ?? null, row.detail],
  );
}

/** The producer with this id, or the newest with this name. @throws CliError CLI_REGISTRY_REFUSED */
export async function findProducer(client: PoolClient, which: string): Promise<{ readonly id: string; readonly status: string }> {
  const found = await client.query<{ id: string; status: string }>(
    "SELECT id, status FROM registry.producers WHERE id::text = $1 OR name = $1 ORDER BY (id::text = $1) DESC, (status <> 'revoked') DESC, created_at DESC LIMIT 1 FOR UPDATE",
    [which],
  );
  return found.rows[0] ?? refuse(`no producer has the id or name ${which}`);
}

/** @throws CliError CLI_REGISTRY_REFUSED */
export function refuse(message: string): never {
  throw new CliError("CLI_REGISTRY_REFUSED", message);
}
