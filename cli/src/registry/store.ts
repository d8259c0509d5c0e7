/**
 * Why it exists: what the registry knows must survive it, and every change must be provable afterwards.
 * Enforces: each change is one transaction with its audit row and its new version; enrolment is idempotent by batch key, so that a retried
 * request gives the same identity; a key never changes hands.
 * Forbids: any other process: role ransomeye_registry alone may write these tables.
 */
import { inTransaction, type Pool, type PoolClient } from "ransomeye-db";
import type { ProducerStatus } from "ransomeye-ingestion";
import type { Random } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import type { IssuedCertificate } from "./authority.ts";
import type { WireProducer } from "./wire.ts";

/** A change as it is announced. */
export interface StoredChange {
  readonly version: number;
  readonly producer: WireProducer;
}

export interface NewProducer {
  readonly name: string;
  readonly kind: ProducerKind;
  readonly keyId: string;
  readonly publicKey: Buffer;
}

const producerSelect = `
  SELECT p.id, p.name, p.kind, p.status, (extract(epoch FROM p.created_at) * 1000000)::bigint AS created_us,
    coalesce((SELECT json_agg(json_build_object('key_id', encode(k.key_id, 'hex'), 'public_key', encode(k.public_key, 'base64'),
        'retired_us', (extract(epoch FROM k.retired_at) * 1000000)::bigint) ORDER BY k.added_at)
      FROM registry.producer_keys k WHERE k.producer_id = p.id), '[]') AS keys,
    coalesce((SELECT json_agg(json_build_object('fingerprint', encode(c.fingerprint, 'hex'),
        'not_after_us', (extract(epoch FROM c.not_after) * 1000000)::bigint, 'revoked', c.revoked_at IS NOT NULL) ORDER BY c.issued_at)
      FROM registry.certificates c WHERE c.producer_id = p.id), '[]') AS certificates
  FROM registry.producers p`;

/** The registry's tables. One instance, one writer: the registry process runs its changes one after the other. */
export class RegistryStore {
  readonly #pool: Pool;
  readonly #random: Random;

  constructor(pool: Pool, random: Random) {
    this.#pool = pool;
    this.#random = random;
  }

  /** Everything, with the version it belongs to. */
  async load(): Promise<{ readonly version: number; readonly producers: readonly WireProducer[] }> {
    return inTransaction(this.#pool, async (client) => ({
      version: (await client.query<{ version: number }>("SELECT version FROM registry.version")).rows[0]?.version ?? 0,
      producers: (await client.query<WireProducer>(`${producerSelect} ORDER BY p.created_at`)).rows,
    }));
  }

  /**
   * Registers a producer, or finds the one that holds this batch key, and records the certificate that `issue` makes for it.
   * @throws CliError CLI_REGISTRY_REFUSED when the key belongs to a barred producer or to another kind, or the name is taken
   */
  async enrol(
    request: NewProducer,
    issue: (producer: string) => Promise<IssuedCertificate>,
  ): Promise<{ readonly change: StoredChange; readonly known: boolean; readonly issued: IssuedCertificate }> {
    return inTransaction(this.#pool, async (client) => {
      const holder = await client.query<{ id: string; kind: string; status: string }>(
        "SELECT p.id, p.kind, p.status FROM registry.producer_keys k JOIN registry.producers p ON p.id = k.producer_id WHERE k.public_key = $1",
        [request.publicKey],
      );
      const found = holder.rows[0];
      if (found !== undefined && found.status !== "active") refuse(`the key belongs to a producer that is ${found.status}`);
      if (found !== undefined && found.kind !== request.kind) refuse(`the key belongs to a producer of kind ${found.kind}`);
      const id = found?.id ?? this.#random.uuid();
      if (found === undefined) {
        const taken = await client.query("SELECT 1 FROM registry.producers WHERE name = $1 AND status <> 'revoked'", [request.name]);
        if (taken.rowCount !== 0) refuse(`the name ${request.name} is in use; revoke its holder or choose another`);
        await client.query("INSERT INTO registry.producers (id, kind, name) VALUES ($1, $2, $3)", [id, request.kind, request.name]);
        await client.query("INSERT INTO registry.producer_keys (key_id, producer_id, public_key) VALUES ($1, $2, $3)", [
          Buffer.from(request.keyId, "hex"),
          id,
          request.publicKey,
        ]);
      }
      const issued = await issue(id);
      await client.query(
        "INSERT INTO registry.certificates (fingerprint, producer_id, serial, not_after) VALUES ($1, $2, $3, to_timestamp($4::bigint / 1000000.0))",
        [Buffer.from(issued.fingerprint, "hex"), id, issued.serial, issued.notAfterUs],
      );
      const change = await this.#changed(
        client,
        id,
        found === undefined ? "enrolled" : "enrolled_again",
        `key ${request.keyId} certificate ${issued.serial}`,
      );
      return { change, known: found !== undefined, issued };
    });
  }

  /** Sets a producer's status. `which` is an id or a name in use. @throws CliError CLI_REGISTRY_REFUSED */
  async setStatus(which: string, status: ProducerStatus, reason: string): Promise<StoredChange> {
    return inTransaction(this.#pool, async (client) => {
      const found = await client.query<{ id: string; status: string }>(
        "SELECT id, status FROM registry.producers WHERE id::text = $1 OR name = $1 ORDER BY (id::text = $1) DESC, (status <> 'revoked') DESC, created_at DESC LIMIT 1 FOR UPDATE",
        [which],
      );
      const row = found.rows[0] ?? refuse(`no producer has the id or name ${which}`);
      if (row.status === "revoked" && status !== "revoked") refuse("a revoked producer stays revoked; enrol a new one");
      await client.query("UPDATE registry.producers SET status = $2, changed_at = clock_timestamp() WHERE id = $1", [row.id, status]);
      if (status === "revoked")
        await client.query(
          "UPDATE registry.certificates SET revoked_at = clock_timestamp() WHERE producer_id = $1 AND revoked_at IS NULL",
          [row.id],
        );
      return this.#changed(client, row.id, status, reason);
    });
  }

  /** Raises the version, writes the audit row and returns what gateways must learn. */
  async #changed(client: PoolClient, id: string, action: string, detail: string): Promise<StoredChange> {
    const version =
      (await client.query<{ version: number }>("UPDATE registry.version SET version = version + 1 RETURNING version")).rows[0]?.version ??
      0;
    await client.query("INSERT INTO registry.audit (version, action, producer_id, detail) VALUES ($1, $2, $3, $4)", [
      version,
      action,
      id,
      detail,
    ]);
    const producer = (await client.query<WireProducer>(`${producerSelect} WHERE p.id = $1`, [id])).rows[0];
    return { version, producer: producer ?? refuse("the producer vanished") };
  }
}

function refuse(message: string): never {
  throw new CliError("CLI_REGISTRY_REFUSED", message);
}
