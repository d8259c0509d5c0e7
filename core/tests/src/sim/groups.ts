/**
 * Why: the engine's row transaction moves a group's offset itself (R-3), so the model of the database must hold that row where the sink's model can reach it.
 * Enforces: a token that grows at every takeover, release and rewind; expiry by the server's clock; fair shares; a member's name is one
 * process's at a time, so what it does not hold of its own is taken at once.
 * Forbids: being a copy of the adapters' code: it is written from the port's promises alone.
 */
import type { AcquireOptions, GroupLag, Groups, Lease, Position } from "ransomeye-pipeline";

/** One row of bus.consumer_offset. */
export interface OffsetRow {
  position: Position | null;
  fence: number;
  owner: string | null;
  leaseUntilMs: number;
}

/** The groups' rows; the simulation has one group. */
export class SimGroups implements Groups {
  readonly rows: readonly OffsetRow[];
  readonly #members = new Map<string, number>();
  readonly #nowMs: () => number;

  constructor(partitions: number, nowMs: () => number) {
    this.rows = Array.from({ length: partitions }, () => ({ position: null, fence: 0, owner: null, leaseUntilMs: 0 }));
    this.#nowMs = nowMs;
  }

  acquire(group: string, member: string, options: AcquireOptions): Promise<Lease[]> {
    const nowMs = this.#nowMs();
    this.#members.set(member, nowMs + options.leaseMs);
    const leases: Lease[] = [];
    const inHand = options.held.map((lease) => this.#rowOf(lease)).filter((row) => row !== undefined && row.leaseUntilMs > nowMs);
    for (const [part, row] of this.rows.entries()) {
      if (inHand.length + leases.length >= Math.min(this.#share(), options.partsMax)) break;
      if (inHand.includes(row)) continue;
      if (row.owner !== null && row.owner !== member && row.leaseUntilMs > nowMs) continue;
      row.owner = member;
      row.leaseUntilMs = nowMs + options.leaseMs;
      row.fence += 1;
      leases.push({ group, member, part, token: row.fence, position: row.position });
    }
    return Promise.resolve(leases);
  }

  renew(leases: readonly Lease[], leaseMs: number): Promise<Lease[]> {
    const nowMs = this.#nowMs();
    const kept: Lease[] = [];
    for (const lease of leases) {
      const row = this.#rowOf(lease);
      if (row === undefined) continue;
      this.#members.set(lease.member, nowMs + leaseMs);
      if (kept.length >= this.#share()) {
        row.owner = null;
        row.fence += 1;
        continue;
      }
      row.leaseUntilMs = nowMs + leaseMs;
      kept.push({ ...lease, position: row.position });
    }
    return Promise.resolve(kept);
  }

  release(leases: readonly Lease[]): Promise<void> {
    for (const lease of leases) {
      const row = this.#rowOf(lease);
      if (row === undefined) continue;
      row.owner = null;
      row.fence += 1;
      this.#members.delete(lease.member);
    }
    return Promise.resolve();
  }

  commit(lease: Lease, position: Position): Promise<"committed" | "fenced"> {
    const row = this.#rowOf(lease);
    if (row === undefined) return Promise.resolve("fenced");
    row.position = position;
    return Promise.resolve("committed");
  }

  lag(): Promise<GroupLag[]> {
    return Promise.resolve(this.rows.map((row, part) => ({ part, off: row.position?.off ?? 0, tail: 0, entries: 0 })));
  }

  rewind(part: number, position: Position | null): void {
    const row = this.rows[part];
    if (row === undefined) return;
    row.position = position;
    row.owner = null;
    row.fence += 1;
  }

  #rowOf(lease: Lease): OffsetRow | undefined {
    const row = this.rows[lease.part];
    return row !== undefined && row.owner === lease.member && row.fence === lease.token ? row : undefined;
  }

  #share(): number {
    const nowMs = this.#nowMs();
    for (const [member, untilMs] of this.#members) if (untilMs <= nowMs) this.#members.delete(member);
    return Math.ceil(this.rows.length / Math.max(1, this.#members.size));
  }
}
