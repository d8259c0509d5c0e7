/**
 * Why it exists: what the registry knows must survive it, and every change must be provable afterwards.
 * Enforces: each change is one transaction with its audit row and its new version; enrolment is idempotent by batch key, so that a retried
 * request gives the same identity; a key never changes hands.
 * Forbids: any other process: role ransomeye_registry alone may write these tables.
 */
import { inTransaction, type Pool } from "ransomeye-db";
import type { ProducerStatus } from "ransomeye-ingestion";
import type { Random } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { recordCertificate } from "./admissions.ts";
import type { IssuedCertificate } from "./authority.ts";
import { audit, changed, findProducer, producerSelect, raiseVersion, refuse, type StoredChange } from "./changes.ts";
import type { WireProducer } from "./wire.ts";

export interface NewProducer {
  readonly name: string;
  readonly kind: ProducerKind;
  readonly keyId: string;
  readonly publicKey: Buffer;
}

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
      await recordCertificate(client, id, issued, "");
      const change = await changed(
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
      const row = await findProducer(client, which);
      if (row.status === "revoked" && status !== "revoked") refuse("a revoked producer stays revoked; enrol a new one");
      await client.query("UPDATE registry.producers SET status = $2, changed_at = clock_timestamp() WHERE id = $1", [row.id, status]);
      if (status === "revoked")
        await client.query(
          "UPDATE registry.certificates SET revoked_at = clock_timestamp() WHERE producer_id = $1 AND revoked_at IS NULL",
          [row.id],
        );
      return changed(client, row.id, status, reason);
    });
  }

  /** Takes back one certificate or one batch key. `id`: fingerprint or key id, at least 8 digits. @throws CliError CLI_REGISTRY_REFUSED */
  async revokePart(which: string, part: "certificate" | "key", id: string, reason: string): Promise<StoredChange> {
    return inTransaction(this.#pool, async (client) => {
      const { id: producer } = await findProducer(client, which);
      const gone = await client.query(revokePartSql[part], [producer, `${id}%`]);
      if (gone.rowCount === 0) refuse(`the producer has no ${part} in force that begins with ${id}`);
      if (gone.rowCount !== 1) refuse(`more than one ${part} begins with ${id}; give more of it`);
      return changed(client, producer, `${part}_revoked`, `${id} ${reason}`);
    });
  }

  /**
   * Lets a batch key that was replaced sign until `untilUs`, whether its overlap is over or not. `id`: key id, at least 8 digits. What was revoked stays so;
   * the audit trail, which nobody can rewrite, says what was. @throws CliError CLI_REGISTRY_REFUSED
   */
  async extendKey(which: string, id: string, untilUs: number, reason: string): Promise<StoredChange> {
    return inTransaction(this.#pool, async (client) => {
      const { id: producer } = await findProducer(client, which);
      const { rows } = await client.query<{ key_id: string; in_force: boolean; revoked: boolean }>(replacedKeySql, [producer, `${id}%`]);
      const [key, other] = rows;
      if (key === undefined) refuse(`the producer has no key that begins with ${id}`);
      if (other !== undefined) refuse(`more than one key begins with ${id}; give more of it`);
      if (key.in_force) refuse("this key has not been replaced: it has no end");
      if (key.revoked) refuse("this key was revoked, and stays so; enrol the machine anew");
      await client.query(
        "UPDATE registry.producer_keys SET retired_at = greatest(retired_at, to_timestamp($2::bigint / 1000000.0)) WHERE key_id = $1",
        [Buffer.from(key.key_id, "hex"), untilUs],
      );
      return changed(client, producer, "key_extended", `${key.key_id} ${reason}`);
    });
  }

  /** Goes so many versions on, without any other change: a log on servers of its own has heard of more than a restored database knows. */
  async skipVersions(by: number): Promise<number> {
    return inTransaction(this.#pool, async (client) => {
      const version = await raiseVersion(client, by);
      await audit(client, { version, action: "versions_skipped", detail: `${by}: the log has heard of a newer registry` });
      return version;
    });
  }

  /** Files the certificates from before authorities could change under the only one that there was. */
  async adoptCertificates(issuer: string): Promise<void> {
    await this.#pool.query("UPDATE registry.certificates SET issuer = $1 WHERE issuer IS NULL", [Buffer.from(issuer, "hex")]);
  }

  /** Certificates of one authority that are still in force. */
  async certificatesOf(issuer: string): Promise<number> {
    const { rows } = await this.#pool.query<{ certificates: number }>(
      "SELECT count(*)::int AS certificates FROM registry.certificates WHERE issuer = $1 AND revoked_at IS NULL AND not_after > clock_timestamp()",
      [Buffer.from(issuer, "hex")],
    );
    return rows[0]?.certificates ?? 0;
  }

  /** Takes back every certificate of an authority that is believed no more. Resolves with their number. */
  async retireIssuer(issuer: string): Promise<number> {
    return inTransaction(this.#pool, async (client) => {
      const gone = await client.query(
        "UPDATE registry.certificates SET revoked_at = clock_timestamp() WHERE issuer = $1 AND revoked_at IS NULL",
        [Buffer.from(issuer, "hex")],
      );
      await audit(client, { version: await raiseVersion(client), action: "authority_retired", detail: `authority ${issuer}` });
      return gone.rowCount ?? 0;
    });
  }

  /** Writes an audit row about something that changed nothing. */
  async audit(action: string, detail: string): Promise<void> {
    await audit(this.#pool, { action, detail });
  }
}

const replacedKeySql = `SELECT encode(k.key_id, 'hex') AS key_id, k.retired_at IS NULL AS in_force,
    EXISTS (SELECT 1 FROM registry.audit a WHERE a.producer_id = k.producer_id AND a.action = 'key_revoked'
      AND starts_with(encode(k.key_id, 'hex'), split_part(a.detail, ' ', 1))) AS revoked
  FROM registry.producer_keys k WHERE k.producer_id = $1 AND encode(k.key_id, 'hex') LIKE $2`;

const revokePartSql = {
  certificate: `UPDATE registry.certificates SET revoked_at = clock_timestamp()
    WHERE producer_id = $1 AND revoked_at IS NULL AND encode(fingerprint, 'hex') LIKE $2`,
  key: `UPDATE registry.producer_keys SET retired_at = clock_timestamp()
    WHERE producer_id = $1 AND (retired_at IS NULL OR retired_at > clock_timestamp()) AND encode(key_id, 'hex') LIKE $2`,
} as const;
