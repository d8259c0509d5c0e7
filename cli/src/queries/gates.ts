/**
 * Why it exists: backpressure and quarantine are decided inside a gateway; an operator must see them without reading its log.
 * Enforces: what each gateway process last said of itself, by its own report; a process that has ended is not shown, and one that has said nothing yet is.
 * Forbids: taking an old report for the present: its age is shown with it.
 */
import type { Pool } from "ransomeye-db";

/** A gateway process by its last report. */
export interface GateStatus {
  readonly gateway: string;
  readonly state: "open" | "throttled" | "paused";
  /** Why it is not open. */
  readonly reason: string;
  readonly sessions: number;
  readonly heard_us: number;
}

/** A gateway process of this system: what it said last, or that it is on its way, or says nothing. */
export type ShownGate =
  | GateStatus
  | (Pick<GateStatus, "gateway" | "reason" | "sessions"> & { readonly state: "starting" | "silent"; readonly heard_us: null });

/** A producer that a gateway refuses for a while. */
export interface QuarantineStatus {
  readonly producer: string;
  readonly gateway: string;
  /** Its last offence. */
  readonly code: string;
  readonly since_us: number;
  readonly until_us: number;
}

/** A process that has said nothing for this long has ended, cleanly or not. */
const silentUsMax = 10_000_000;

/** The gateways that have reported lately, each by its newest process. */
export async function readGates(pool: Pool, nowUs: number): Promise<readonly GateStatus[]> {
  const { rows } = await pool.query<GateStatus>(
    `SELECT gateway, state, reason, sessions, updated_us AS heard_us FROM
       (SELECT DISTINCT ON (gateway) * FROM views.gates ORDER BY gateway, started_us DESC) newest
     WHERE NOT ended AND updated_us > $1 ORDER BY gateway`,
    [nowUs - silentUsMax],
  );
  return rows;
}

/** One line for each gateway process that the supervisor keeps, in its order. */
export function shownGates(
  processes: readonly { readonly name: string; readonly readyUs: number | null }[],
  reports: readonly GateStatus[],
  nowUs: number,
): readonly ShownGate[] {
  return processes.map(({ name: gateway, readyUs }) => {
    const report = readyUs === null ? undefined : reports.find((one) => one.gateway === gateway);
    const isSilent = readyUs !== null && nowUs - readyUs > silentUsMax;
    return report ?? { gateway, state: isSilent ? "silent" : "starting", reason: "", sessions: 0, heard_us: null };
  });
}

/** Producers in quarantine now, with the gateway that refuses them. */
export async function readQuarantine(pool: Pool, nowUs: number): Promise<readonly QuarantineStatus[]> {
  const { rows } = await pool.query<QuarantineStatus>(
    `SELECT q.producer_id AS producer, q.gateway, q.code, q.since_us, q.until_us FROM views.quarantine q JOIN views.gates g USING (gateway, incarnation)
     WHERE NOT g.ended AND g.updated_us > $1 AND q.until_us > $2 ORDER BY q.since_us`,
    [nowUs - silentUsMax, nowUs],
  );
  return rows;
}
