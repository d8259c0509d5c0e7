/**
 * Why it exists: consumer groups on bus.consumer_offset, the very rows that the engine moves in its row transaction (R-3).
 * Enforces: expiry by the server's clock; tokens, shares and locks are the functions' of 0002_bus.sql, one call each.
 * Forbids: deciding here: a lease in memory proves nothing, only a commit does.
 */
import type { Pool } from "ransomeye-db";
import type { Telemetry } from "ransomeye-kernel";
import type { AcquireOptions, GroupLag, Groups, Lease, Position } from "../bus.ts";
import { BusError } from "../errors.ts";
import { silentHolderEnded } from "../events.ts";
import { byMember } from "../group_share.ts";
import { queryOnce } from "./connections.ts";

interface LeaseRow {
  readonly part: number;
  readonly token: number;
  readonly off: number;
  readonly generation: string;
  readonly entry_hash: Buffer;
  readonly entry_received_us: number;
}

const acquireSql = "SELECT * FROM bus.group_acquire($1, $2, $3::int[], $4::bigint[], $5, $6) ORDER BY part";
const renewSql = "SELECT * FROM bus.group_renew($1, $2, $3::int[], $4::bigint[], $5) ORDER BY part";
/**
 * Ends sessions of our own role that hold places past their lease while the server waits for their client: a process that was stopped in the middle of a COPY, or
 * whose host is cut off. No timeout of the server strikes there. Whoever is at work, however slowly, is not waited for by the server.
 */
const endSilentSql = `
  SELECT a.pid, pg_terminate_backend(a.pid) AS ended FROM bus.group_holders($1, $2) h (pid) JOIN pg_stat_activity a USING (pid)
  WHERE a.usename = current_user AND a.wait_event_type = 'Client'`;
const releaseSql = "SELECT bus.group_release($1, $2, $3::int[], $4::bigint[])";
const commitSql = "SELECT bus.group_commit($1, $2, $3, $4, $5, $6, $7) AS verdict";
const lagSql = `
  SELECT p.part, greatest(coalesce(o.off, 0), p.low_off) AS off, p.off AS tail
  FROM views.log_heads p LEFT JOIN views.consumer_lag o ON o.part = p.part AND o.grp = $1 ORDER BY p.part`;

export class PostgresGroups implements Groups {
  readonly #pool: Pool;
  readonly #telemetry: Telemetry;

  constructor(pool: Pool, telemetry: Telemetry) {
    this.#pool = pool;
    this.#telemetry = telemetry;
  }

  async acquire(group: string, member: string, options: AcquireOptions): Promise<Lease[]> {
    const { leaseMs, partsMax, held } = options;
    await this.#endSilent(group, leaseMs);
    const values = [group, member, held.map(({ part }) => part), held.map(({ token }) => token), leaseMs, partsMax];
    const rows = await this.#change<LeaseRow>("bus_group_acquire", acquireSql, values);
    return rows.map((row) => leaseOf(row, group, member));
  }

  async renew(leases: readonly Lease[], leaseMs: number): Promise<Lease[]> {
    const kept: Lease[] = [];
    for (const [group, member, own] of byMember(leases)) {
      await this.#endSilent(group, leaseMs);
      const values = [group, member, own.map(({ part }) => part), own.map(({ token }) => token), leaseMs];
      const rows = await this.#change<LeaseRow>("bus_group_renew", renewSql, values);
      kept.push(...rows.map((row) => leaseOf(row, group, member)));
    }
    return kept;
  }

  async release(leases: readonly Lease[]): Promise<void> {
    for (const [group, member, own] of byMember(leases)) {
      await this.#change("bus_group_release", releaseSql, [group, member, own.map(({ part }) => part), own.map(({ token }) => token)]);
    }
  }

  async commit(lease: Lease, position: Position): Promise<"committed" | "fenced"> {
    const values = [lease.group, lease.part, lease.token, position.off, position.generation, position.hash, position.receivedUs];
    const [row] =
      position.part === lease.part ? await this.#change<{ readonly verdict: string }>("bus_group_commit", commitSql, values) : [];
    if (row?.verdict === "committed" || row?.verdict === "fenced") return row.verdict;
    throw new BusError("BUS_BAD_ARGUMENT", "a commit never moves backward", { fields: { part: lease.part, off: position.off } });
  }

  async lag(group: string): Promise<GroupLag[]> {
    type Row = { readonly part: number; readonly off: number; readonly tail: number };
    const rows = await queryOnce<Row>(this.#pool, this.#telemetry, "read", { name: "bus_lag", text: lagSql, values: [group] });
    return rows.map(({ part, off, tail }) => ({ part, off, tail, entries: tail - off }));
  }

  /** As long again as the lease was, so that whoever still works has its chance. */
  async #endSilent(group: string, leaseMs: number): Promise<void> {
    const ended = await this.#change<{ readonly pid: number }>("bus_group_end_silent", endSilentSql, [group, leaseMs]);
    for (const { pid } of ended) this.#telemetry.emit(silentHolderEnded, { group, backend_pid: pid });
  }

  #change<Row extends object>(name: string, text: string, values: unknown[]): Promise<Row[]> {
    return queryOnce<Row>(this.#pool, this.#telemetry, "change", { name, text, values });
  }
}

function leaseOf(row: LeaseRow, group: string, member: string): Lease {
  const { part, token, off, generation, entry_hash: hash, entry_received_us: receivedUs } = row;
  return { group, member, part, token, position: off === 0 ? null : { generation, part, off, receivedUs, hash } };
}
