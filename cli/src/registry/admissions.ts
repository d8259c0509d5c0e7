/**
 * Why it exists: what an agent may ask for over the network: an identity for a token, a new certificate for an old one, another batch key.
 * Enforces: each is one transaction with its audit row; a retried request gives the same identity and costs nothing twice; whoever renews shows a
 * certificate that was issued to it, unrevoked, and not over for longer than the grace; a second machine with the same identity is noted as a suspected
 * clone and served (R-6: a finding, not a lockout); how many certificates and keys one producer gets is bounded by the day.
 * Forbids: admission of a producer that is barred, and proofs that are not asked for.
 */
import { inTransaction, type Pool, type PoolClient } from "ransomeye-db";
import type { Random } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { EnrolRefusal } from "../enrolment/refusal.ts";
import type { IssuedCertificate } from "./authority.ts";
import { changed, type StoredChange } from "./changes.ts";
import { noteClone } from "./clone_store.ts";
import { useToken } from "./token_store.ts";

/** More certificates in a day than an honest agent can want: a renewal, some retries, a reinstallation. */
const certificatesPerDayMax = 20;
const keysPerDayMax = 4;

type Issue = (producer: { readonly id: string; readonly kind: ProducerKind }) => Promise<IssuedCertificate>;

/** A certificate that was issued, and what gateways must learn of it. */
export interface Admitted {
  readonly change: StoredChange;
  readonly issued: IssuedCertificate;
  /** Evidence that the identity is in use twice, where this request was a sign of it for the first time. */
  readonly suspected: boolean;
}

export interface TokenAdmission {
  readonly tokenId: string;
  readonly tokenSecret: Buffer;
  readonly kind: ProducerKind;
  readonly keyId: string;
  readonly publicKey: Buffer;
  /** SHA-256 of the TLS key, hex. */
  readonly tlsKey: string;
  readonly source: string;
  readonly nowUs: number;
}

/** The client certificate of a connection that asks for something. */
export interface Shown {
  /** SHA-256 of the DER certificate, hex. */
  readonly fingerprint: string;
  readonly source: string;
  readonly nowUs: number;
  /** How long after its end a certificate may still be renewed. */
  readonly graceUs: number;
}

/** The tables, as agents may change them. */
export class Admissions {
  readonly #pool: Pool;
  readonly #random: Random;

  constructor(pool: Pool, random: Random) {
    this.#pool = pool;
    this.#random = random;
  }

  /** Admits a batch key by a token. @throws EnrolRefusal */
  byToken(ask: TokenAdmission, issue: Issue): Promise<Admitted & { readonly known: boolean }> {
    return inTransaction(this.#pool, async (client) => {
      const token = await useToken(client, ask);
      const key = Buffer.from(ask.keyId, "hex");
      const holder = await client.query<{ id: string; kind: string; status: string; retired: boolean }>(
        `SELECT p.id, p.kind, p.status, k.retired_at IS NOT NULL AS retired FROM registry.producer_keys k
         JOIN registry.producers p ON p.id = k.producer_id WHERE k.public_key = $1`,
        [ask.publicKey],
      );
      const found = holder.rows[0];
      if (found !== undefined && found.status !== "active") throw new EnrolRefusal("ENROL_BARRED", `the producer is ${found.status}`);
      if (found !== undefined && found.kind !== ask.kind)
        throw new EnrolRefusal("ENROL_KIND", `the key belongs to a producer of kind ${found.kind}`);
      if (found?.retired === true) throw new EnrolRefusal("ENROL_KEY_REFUSED", "the batch key has been retired");
      const id = found?.id ?? (await this.#create(client, token.name, ask));
      if (!token.again)
        await client.query("INSERT INTO registry.token_uses (token_id, key_id, producer_id, source) VALUES ($1, $2, $3, $4)", [
          Buffer.from(ask.tokenId, "hex"),
          key,
          id,
          ask.source,
        ]);
      await boundByDay(client, id);
      const twin = await otherKeyInForce(client, id, ask.tlsKey);
      const issued = await issue({ id, kind: ask.kind });
      await recordCertificate(client, id, issued, ask.source);
      const suspected =
        twin !== undefined &&
        (await noteClone(client, id, "enrolment_fork", `enrolled from ${twin} and, with another TLS key, from ${ask.source}`));
      const detail = `token ${ask.tokenId} key ${ask.keyId} certificate ${issued.serial} from ${ask.source}`;
      const change = await changed(client, id, found === undefined ? "enrolled" : "enrolled_again", detail);
      return { change, issued, suspected, known: found !== undefined };
    });
  }

  /** Renews the certificate that was shown. `holds` checks the batch key's proof. @throws EnrolRefusal */
  renew(
    shown: Shown,
    ask: { readonly keyId: string; readonly tlsKey: string },
    holds: (publicKey: Buffer) => boolean,
    issue: Issue,
  ): Promise<Admitted> {
    return inTransaction(this.#pool, async (client) => {
      const { id, kind } = await holderOf(client, shown);
      if (!holds(await keyInForce(client, id, ask.keyId, shown.nowUs))) throw new EnrolRefusal("ENROL_PROOF");
      await boundByDay(client, id);
      const parent = Buffer.from(shown.fingerprint, "hex");
      const fork = await client.query<{ source: string }>(
        "SELECT source FROM registry.certificates WHERE parent = $1 AND tls_key IS DISTINCT FROM $2 LIMIT 1",
        [parent, Buffer.from(ask.tlsKey, "hex")],
      );
      const issued = await issue({ id, kind });
      await recordCertificate(client, id, issued, shown.source, parent);
      const other = fork.rows[0];
      const suspected =
        other !== undefined &&
        (await noteClone(
          client,
          id,
          "renewal_fork",
          `certificate ${shown.fingerprint.slice(0, 16)} was renewed from ${other.source} and, with another TLS key, from ${shown.source}`,
        ));
      const change = await changed(client, id, "renewed", `certificate ${issued.serial} from ${shown.source}`);
      return { change, issued, suspected };
    });
  }

  /**
   * Registers a further batch key and lets the one that asks end after `overlapUs`. Asking again changes nothing.
   * @throws EnrolRefusal
   */
  rotateKey(
    shown: Shown,
    ask: { readonly keyId: string; readonly newKeyId: string; readonly newKey: Buffer; readonly overlapUs: number },
    holds: (publicKey: Buffer) => boolean,
  ): Promise<{ readonly change: StoredChange; readonly retiredUs: number }> {
    return inTransaction(this.#pool, async (client) => {
      const { id } = await holderOf(client, shown);
      if (!holds(await keyInForce(client, id, ask.keyId, shown.nowUs))) throw new EnrolRefusal("ENROL_PROOF");
      const known = await client.query<{ producer_id: string; retired: boolean }>(
        "SELECT producer_id, retired_at IS NOT NULL AS retired FROM registry.producer_keys WHERE public_key = $1",
        [ask.newKey],
      );
      const before = known.rows[0];
      if (before !== undefined && (before.producer_id !== id || before.retired)) throw new EnrolRefusal("ENROL_KEY_REFUSED");
      if (before === undefined) {
        const lately = await client.query<{ keys: number }>(
          "SELECT count(*)::int AS keys FROM registry.producer_keys WHERE producer_id = $1 AND added_at > clock_timestamp() - interval '1 day'",
          [id],
        );
        if ((lately.rows[0]?.keys ?? 0) > keysPerDayMax)
          throw new EnrolRefusal("ENROL_RATE", "too many keys in a day", { retryAfterMs: dayMs });
        await client.query("INSERT INTO registry.producer_keys (key_id, producer_id, public_key) VALUES ($1, $2, $3)", [
          Buffer.from(ask.newKeyId, "hex"),
          id,
          ask.newKey,
        ]);
      }
      const retired = await client.query<{ retired_us: number }>(
        `UPDATE registry.producer_keys SET retired_at = coalesce(retired_at, to_timestamp($2::bigint / 1000000.0)) WHERE key_id = $1
         RETURNING (extract(epoch FROM retired_at) * 1000000)::bigint AS retired_us`,
        [Buffer.from(ask.keyId, "hex"), shown.nowUs + ask.overlapUs],
      );
      const change = await changed(client, id, "key_rotated", `key ${ask.newKeyId} takes over from ${ask.keyId}`);
      return { change, retiredUs: retired.rows[0]?.retired_us ?? 0 };
    });
  }

  async #create(client: PoolClient, name: string, ask: TokenAdmission): Promise<string> {
    const taken = await client.query("SELECT 1 FROM registry.producers WHERE name = $1 AND status <> 'revoked'", [name]);
    if (taken.rowCount !== 0) throw new EnrolRefusal("ENROL_NAME_TAKEN", `the name ${name} is in use`);
    const id = this.#random.uuid();
    await client.query("INSERT INTO registry.producers (id, kind, name) VALUES ($1, $2, $3)", [id, ask.kind, name]);
    await client.query("INSERT INTO registry.producer_keys (key_id, producer_id, public_key) VALUES ($1, $2, $3)", [
      Buffer.from(ask.keyId, "hex"),
      id,
      ask.publicKey,
    ]);
    return id;
  }
}

const dayMs = 86_400_000;

/** Files a certificate. */
export async function recordCertificate(
  client: PoolClient,
  producer: string,
  issued: IssuedCertificate,
  source: string,
  parent?: Buffer,
): Promise<void> {
  await client.query(
    `INSERT INTO registry.certificates (fingerprint, producer_id, serial, not_after, issuer, tls_key, parent, source)
     VALUES ($1, $2, $3, to_timestamp($4::bigint / 1000000.0), $5, $6, $7, $8)`,
    [
      Buffer.from(issued.fingerprint, "hex"),
      producer,
      issued.serial,
      issued.notAfterUs,
      Buffer.from(issued.issuer, "hex"),
      Buffer.from(issued.tlsKey, "hex"),
      parent ?? null,
      source,
    ],
  );
}

/** Who holds the certificate that was shown. @throws EnrolRefusal */
async function holderOf(client: PoolClient, shown: Shown): Promise<{ readonly id: string; readonly kind: ProducerKind }> {
  const { rows } = await client.query<{ id: string; kind: ProducerKind; status: string; revoked: boolean; not_after_us: number }>(
    `SELECT p.id, p.kind, p.status, c.revoked_at IS NOT NULL AS revoked, (extract(epoch FROM c.not_after) * 1000000)::bigint AS not_after_us
     FROM registry.certificates c JOIN registry.producers p ON p.id = c.producer_id WHERE c.fingerprint = $1 FOR UPDATE OF p`,
    [Buffer.from(shown.fingerprint, "hex")],
  );
  const found = rows[0];
  if (found === undefined || (found.revoked && found.status === "active")) throw new EnrolRefusal("ENROL_CERT_UNKNOWN");
  if (found.status !== "active") throw new EnrolRefusal("ENROL_BARRED", `the producer is ${found.status}`);
  if (found.not_after_us + shown.graceUs < shown.nowUs) throw new EnrolRefusal("ENROL_GRACE_OVER");
  return found;
}

async function keyInForce(client: PoolClient, producer: string, keyId: string, nowUs: number): Promise<Buffer> {
  const { rows } = await client.query<{ public_key: Buffer }>(
    `SELECT public_key FROM registry.producer_keys WHERE key_id = $1 AND producer_id = $2
       AND (retired_at IS NULL OR retired_at > to_timestamp($3::bigint / 1000000.0))`,
    [Buffer.from(keyId, "hex"), producer, nowUs],
  );
  const key = rows[0]?.public_key;
  if (key === undefined) throw new EnrolRefusal("ENROL_KEY_REFUSED", "the batch key is not one of this producer, or retired");
  return key;
}

/** Where a certificate in force for another TLS key was got by a token, or undefined. */
async function otherKeyInForce(client: PoolClient, producer: string, tlsKey: string): Promise<string | undefined> {
  const { rows } = await client.query<{ source: string }>(
    `SELECT source FROM registry.certificates WHERE producer_id = $1 AND tls_key <> $2 AND source <> ''
       AND revoked_at IS NULL AND not_after > clock_timestamp() LIMIT 1`,
    [producer, Buffer.from(tlsKey, "hex")],
  );
  return rows[0]?.source;
}

async function boundByDay(client: PoolClient, producer: string): Promise<void> {
  const { rows } = await client.query<{ issued: number }>(
    "SELECT count(*)::int AS issued FROM registry.certificates WHERE producer_id = $1 AND issued_at > clock_timestamp() - interval '1 day'",
    [producer],
  );
  if ((rows[0]?.issued ?? 0) >= certificatesPerDayMax)
    throw new EnrolRefusal("ENROL_RATE", "too many certificates in a day", { retryAfterMs: dayMs });
}
