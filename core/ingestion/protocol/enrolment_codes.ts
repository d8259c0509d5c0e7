/**
 * Why: an agent that is refused runs on a machine that nobody looks at; the answer must tell it, and whoever reads its log, what to do.
 * Enforces: one closed table for enrolment, renewal and key rotation over the network, each code with the HTTP status that carries it. A wrong
 *   secret and an unknown token have one code, so that nobody can ask which tokens exist.
 * Forbids: reasons that are not in the table.
 */
import type { CodeSpec, CodeTable, Disposition } from "ransomeye-kernel";

export type EnrolCode =
  | "ENROL_MALFORMED"
  | "ENROL_TOO_LARGE"
  | "ENROL_PATH_UNKNOWN"
  | "ENROL_RATE"
  | "ENROL_TOKEN_REFUSED"
  | "ENROL_TOKEN_EXPIRED"
  | "ENROL_TOKEN_REVOKED"
  | "ENROL_TOKEN_USED"
  | "ENROL_KIND"
  | "ENROL_NAME_TAKEN"
  | "ENROL_KEY_REFUSED"
  | "ENROL_PROOF"
  | "ENROL_BARRED"
  | "ENROL_CERT_MISSING"
  | "ENROL_CERT_UNKNOWN"
  | "ENROL_GRACE_OVER"
  | "ENROL_UNAVAILABLE";

/** A code's row: the kernel's columns and the HTTP status. */
export interface EnrolCodeSpec extends CodeSpec {
  readonly http: number;
}

const row = (http: number, stage: string, disposition: Disposition, meaning: string, next: string): EnrolCodeSpec =>
  Object.freeze({ http, stage, disposition, meaning, next });

/** The table; the reference page is generated from it. `retry`: the agent asks again, later. */
export const ENROL_CODES: CodeTable<EnrolCode> & Readonly<Record<EnrolCode, EnrolCodeSpec>> = Object.freeze({
  ENROL_MALFORMED: row(400, "request", "reject", "the request is not what this path takes", "update the agent"),
  ENROL_TOO_LARGE: row(413, "request", "reject", "the request is larger than any that is well-formed", "update the agent"),
  ENROL_PATH_UNKNOWN: row(404, "request", "reject", "no such path", "check that the address is the enrolment address"),
  ENROL_RATE: row(429, "request", "retry", "this source address asks too often", "wait as long as the answer says"),
  ENROL_TOKEN_REFUSED: row(
    401,
    "token",
    "reject",
    "no token has this id and secret",
    "make a token with `ransomeye producer token create`",
  ),
  ENROL_TOKEN_EXPIRED: row(401, "token", "reject", "the token's time is over", "make a new token"),
  ENROL_TOKEN_REVOKED: row(401, "token", "reject", "the token was revoked", "ask who revoked it, then make a new token"),
  ENROL_TOKEN_USED: row(
    409,
    "token",
    "reject",
    "the token has been used, by another key",
    "make a token for each machine; if this machine should have been the first, find out who used it: the audit trail names the producer",
  ),
  ENROL_KIND: row(409, "token", "reject", "token or key belong to another kind of producer", "use a token of this kind"),
  ENROL_NAME_TAKEN: row(
    409,
    "token",
    "reject",
    "another producer has the token's name",
    "revoke its holder, or make a token with another name",
  ),
  ENROL_KEY_REFUSED: row(
    400,
    "proof",
    "reject",
    "the batch key is not a canonical point of prime order, or belongs to somebody else",
    "make a fresh key",
  ),
  ENROL_PROOF: row(
    400,
    "proof",
    "reject",
    "a key did not sign for this connection",
    "connect to the registry directly: a proof cannot be passed on",
  ),
  ENROL_BARRED: row(
    403,
    "standing",
    "reject",
    "the producer is suspended or revoked",
    "an operator decides: `ransomeye producer resume`, or enrol anew",
  ),
  ENROL_CERT_MISSING: row(401, "standing", "reject", "no client certificate was shown", "show the certificate that is to be renewed"),
  ENROL_CERT_UNKNOWN: row(
    403,
    "standing",
    "reject",
    "the certificate was revoked, or is not one that was issued to this producer",
    "enrol anew with a token",
  ),
  ENROL_GRACE_OVER: row(403, "standing", "reject", "the certificate ended longer ago than may be made good", "enrol anew with a token"),
  ENROL_UNAVAILABLE: row(503, "registry", "retry", "the registry cannot carry this out at the moment", "none: the agent asks again"),
});
