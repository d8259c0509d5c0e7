/**
 * Why it exists: what legal holds keep, what they came too late for, and how many bytes that is.
 * Enforces: the database decides which hold keeps which day; nothing is worked out a second time here.
 * Forbids: writing.
 */
import { type DaySize, instantSql, type Queryable } from "ransomeye-db";

/** A hold, with its end if it has one. Times are microseconds since 1970. */
export interface LegalHold {
  readonly id: number;
  /** Null: all producers. */
  readonly producer: string | null;
  /** Received not before; null: from the beginning. */
  readonly fromUs: number | null;
  /** Received before; null: open-ended. */
  readonly untilUs: number | null;
  readonly reason: string;
  readonly actor: string;
  readonly placedUs: number;
  readonly releasedUs: number | null;
  readonly releasedBy: string | null;
  readonly releaseReason: string | null;
}

/** All holds that were ever placed, in this order. As reader. */
export async function legalHolds(pool: Queryable): Promise<LegalHold[]> {
  const us = (column: string): string => `(extract(epoch FROM ${column}) * 1000000)::bigint`;
  const { rows } = await pool.query<LegalHold>(
    `SELECT id, producer_id AS producer, ${us("from_at")} AS "fromUs", ${us("until_at")} AS "untilUs", reason, actor, ${us("placed_at")} AS "placedUs",
       ${us("released_at")} AS "releasedUs", released_by AS "releasedBy", release_reason AS "releaseReason"
     FROM views.legal_holds ORDER BY id`,
  );
  return rows;
}

/** Days of a range that retention has taken, in which the producer had sent something: a hold came too late for them. */
export async function goneDays(
  pool: Queryable,
  { producer, fromUs, untilUs }: Pick<LegalHold, "producer" | "fromUs" | "untilUs">,
): Promise<string[]> {
  const { rows } = await pool.query<{ day: string }>(
    `SELECT to_char(s.day, 'YYYY-MM-DD') AS day FROM views.statements s
     WHERE s.kind = 'expiry'
       AND ($2::bigint IS NULL OR (s.day + 1)::timestamp AT TIME ZONE 'UTC' > ${instantSql("$2")}) AND ($3::bigint IS NULL OR s.day::timestamp AT TIME ZONE 'UTC' < ${instantSql("$3")})
       AND ($1::uuid IS NULL OR EXISTS (SELECT FROM views.expired_chains c WHERE c.statement = s.number AND c.producer_id = $1::uuid))
       AND (s.day IN (SELECT r.day FROM views.day_removal r) OR s.day NOT IN (SELECT d.day FROM ops.day_sizes() d))
     ORDER BY s.day`,
    [producer, fromUs, untilUs],
  );
  return rows.map(({ day }) => day);
}

/** What holds keep: days that are over or today's. */
export interface HeldDays {
  readonly days: number;
  readonly bytes: number;
}

/** Of one hold, or of all. */
export function heldDays(sizes: readonly Pick<DaySize, "day" | "bytes" | "holds">[], today: string, hold?: number): HeldDays {
  const held = sizes.filter(({ day, holds }) => day <= today && (hold === undefined ? holds.length > 0 : holds.includes(hold)));
  return { days: held.length, bytes: held.reduce((sum, { bytes }) => sum + bytes, 0) };
}
