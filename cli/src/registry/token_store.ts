/**
 * Why it exists: tokens are how an operator's will reaches a machine that nobody stands in front of.
 * Enforces: of a secret only a hash is kept; the secret is shown once, by the one answer that makes it; a use is counted by one statement that cannot
 * count too far, and costs nothing where the same key asks again.
 * Forbids: telling a wrong secret from an unknown token.
 */
import { inTransaction, type Pool, type PoolClient } from "ransomeye-db";
import { type EnrolmentToken, formatToken, tokenBytes, tokenSecretFits, tokenSecretHash } from "ransomeye-ingestion/protocol";
import type { Random } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { EnrolRefusal } from "../enrolment/refusal.ts";
import { audit, refuse } from "./changes.ts";
import type { ShownToken } from "./requests.ts";

/** A token that may be used by this key now. */
export interface AdmittedToken {
  readonly name: string;
  /** True where this key has used it before. */
  readonly again: boolean;
}

/** The tokens of one registry. */
export class TokenStore {
  readonly #pool: Pool;
  readonly #random: Random;

  constructor(pool: Pool, random: Random) {
    this.#pool = pool;
    this.#random = random;
  }

  /** Makes a token; its text is told here and never again. */
  async create(o: {
    readonly name: string;
    readonly kind: ProducerKind;
    readonly uses: number;
    readonly expiresUs: number;
    readonly pin: Buffer;
  }): Promise<{ readonly id: string; readonly token: string }> {
    const token: EnrolmentToken = {
      id: this.#random.bytes(tokenBytes.id).toString("hex"),
      secret: this.#random.bytes(tokenBytes.secret),
      pin: o.pin,
    };
    await inTransaction(this.#pool, async (client) => {
      await client.query(
        `INSERT INTO registry.enrolment_tokens (token_id, secret_hash, kind, name, uses_max, expires_at)
         VALUES ($1, $2, $3, $4, $5, to_timestamp($6::bigint / 1000000.0))`,
        [Buffer.from(token.id, "hex"), tokenSecretHash(token.secret), o.kind, o.name, o.uses, o.expiresUs],
      );
      await audit(client, { action: "token_created", detail: `token ${token.id} for ${o.kind} ${o.name}, ${o.uses} uses` });
    });
    return { id: token.id, token: formatToken(token) };
  }

  async list(): Promise<ShownToken[]> {
    const { rows } = await this.#pool.query<ShownToken>(
      `SELECT encode(token_id, 'hex') AS id, name, kind, uses, uses_max, (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_us,
         revoked_at IS NOT NULL AS revoked
       FROM registry.enrolment_tokens ORDER BY created_at DESC LIMIT 1000`,
    );
    return rows;
  }

  /** @throws CliError CLI_REGISTRY_REFUSED where there is none */
  async revoke(id: string): Promise<void> {
    await inTransaction(this.#pool, async (client) => {
      const gone = await client.query(
        "UPDATE registry.enrolment_tokens SET revoked_at = clock_timestamp() WHERE token_id = $1 AND revoked_at IS NULL",
        [Buffer.from(id, "hex")],
      );
      if (gone.rowCount === 0) refuse(`no token in force has the id ${id}`);
      await audit(client, { action: "token_revoked", detail: `token ${id}` });
    });
  }
}

/** Judges a token and counts its use. @throws EnrolRefusal ENROL_TOKEN_…, ENROL_KIND */
export async function useToken(
  client: PoolClient,
  ask: {
    readonly tokenId: string;
    readonly tokenSecret: Buffer;
    readonly kind: ProducerKind;
    readonly keyId: string;
    readonly nowUs: number;
  },
): Promise<AdmittedToken> {
  const id = Buffer.from(ask.tokenId, "hex");
  const { rows } = await client.query<{
    secret_hash: Buffer;
    kind: string;
    name: string;
    uses_max: number;
    expires_us: number;
    revoked: boolean;
    again: boolean;
  }>(
    `SELECT t.secret_hash, t.kind, t.name, t.uses_max, (extract(epoch FROM t.expires_at) * 1000000)::bigint AS expires_us,
       t.revoked_at IS NOT NULL AS revoked,
       EXISTS (SELECT FROM registry.token_uses u WHERE u.token_id = t.token_id AND u.key_id = $2) AS again
     FROM registry.enrolment_tokens t WHERE t.token_id = $1 FOR UPDATE`,
    [id, Buffer.from(ask.keyId, "hex")],
  );
  const token = rows[0];
  const fits = tokenSecretFits(ask.tokenSecret, token?.secret_hash);
  if (token === undefined || !fits) throw new EnrolRefusal("ENROL_TOKEN_REFUSED");
  if (token.revoked) throw new EnrolRefusal("ENROL_TOKEN_REVOKED");
  if (token.expires_us <= ask.nowUs) throw new EnrolRefusal("ENROL_TOKEN_EXPIRED");
  if (token.kind !== ask.kind) throw new EnrolRefusal("ENROL_KIND", `the token is for a producer of kind ${token.kind}`);
  if (token.again) return { name: token.name, again: true };
  const counted = await client.query<{ uses: number }>(
    "UPDATE registry.enrolment_tokens SET uses = uses + 1 WHERE token_id = $1 AND uses < uses_max RETURNING uses",
    [id],
  );
  const use = counted.rows[0]?.uses;
  if (use === undefined) throw new EnrolRefusal("ENROL_TOKEN_USED");
  return { name: token.uses_max === 1 ? token.name : `${token.name}-${use}`, again: false };
}
