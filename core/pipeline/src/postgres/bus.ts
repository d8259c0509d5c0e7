/**
 * Why it exists: the ways to open a bus on PostgreSQL, one per role. A gate opens the appender alone (appender.ts); an engine opens the
 * log with its groups; registry and keeper open the controls; tests and single-process tools open all of it.
 * Enforces: each part works over the pool of a role that may do no more than it needs.
 * Forbids: closing pools: they belong to whoever opened them.
 */
import type { Pool } from "ransomeye-db";
import type { Clock, Telemetry } from "ransomeye-kernel";
import type { Bus, BusControl, FrameReader, Groups } from "../bus.ts";
import { BusError } from "../errors.ts";
import { openPostgresAppender } from "./appender.ts";
import { queryOnce } from "./connections.ts";
import { readFacts } from "./facts.ts";
import { PostgresGroups } from "./groups.ts";
import { PostgresReader, readerFactsSql } from "./reader.ts";

export interface PostgresConsumerOptions {
  /** A pool of the engine's role. */
  readonly pool: Pool;
  readonly telemetry: Telemetry;
}

export interface PostgresBusOptions {
  /** The gate's pool appends, the engine's reads and leases; one pool of a role that may do both serves as well. */
  readonly gatePool: Pool;
  readonly enginePool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** What a consumer does: read the log, share its partitions. */
export type Consumer = FrameReader & Groups;

/** @throws BusError BUS_NOT_DURABLE, BUS_NOT_PREPARED, BUS_FORBIDDEN, BUS_UNAVAILABLE */
export async function openPostgresConsumer(options: PostgresConsumerOptions): Promise<Consumer> {
  const facts = await readFacts(options.pool, readerFactsSql, options.telemetry);
  const reader = new PostgresReader(facts, options);
  const groups = new PostgresGroups(options.pool, options.telemetry);
  return {
    ...facts,
    tails: () => reader.tails(),
    read: (part, after, bounds) => reader.read(part, after, bounds),
    checkPosition: (position) => reader.checkPosition(position),
    seek: (part, receivedUs) => reader.seek(part, receivedUs),
    acquire: (group, member, wanted) => groups.acquire(group, member, wanted),
    renew: (leases, leaseMs) => groups.renew(leases, leaseMs),
    release: (leases) => groups.release(leases),
    commit: (lease, position) => groups.commit(lease, position),
    lag: (group) => groups.lag(group),
    close: () => reader.close(),
  };
}

/** Everything, for one process that is gate and engine at once. */
export async function openPostgresBus(options: PostgresBusOptions): Promise<Bus> {
  const { gatePool, enginePool, clock, telemetry } = options;
  const appender = await openPostgresAppender({ pool: gatePool, clock, telemetry });
  const consumer = await openPostgresConsumer({ pool: enginePool, telemetry });
  return {
    ...consumer,
    append: (part, frames, how) => appender.append(part, frames, how),
    openEpoch: (request) => appender.openEpoch(request),
    headsOf: (producers) => appender.headsOf(producers),
    pressure: (question) => appender.pressure(question),
    report: (report) => appender.report(report),
    close: () => appender.close(),
  };
}

/** The registry's and the keeper's part, over a pool of the role that may do it. */
export function openPostgresControl(options: PostgresConsumerOptions): BusControl {
  const call = async <T>(name: string, text: string, values: unknown[]): Promise<T> => {
    const [row] = await queryOnce<{ readonly answer: T }>(options.pool, options.telemetry, "change", { name, text, values });
    return row?.answer as T;
  };
  return {
    setRegistry: ({ versionMin, revoked }) =>
      call<boolean>("bus_set_registry", "SELECT bus.set_registry($1, $2::uuid[]) AS answer", [versionMin, revoked]),
    pause: (reason) => call<void>("bus_pause", "SELECT bus.pause($1) AS answer", [reason]),
    trim: (part, off) => call<number>("bus_trim", "SELECT bus.trim($1, $2) AS answer", [part, off]),
    rewind: async (group, part, position) => {
      if (position !== null && position.part !== part)
        throw new BusError("BUS_BAD_ARGUMENT", "the position is of another partition", { fields: { part } });
      const values = [group, part, position?.off ?? 0, position?.generation ?? null, position?.hash ?? null, position?.receivedUs ?? null];
      await call<void>("bus_rewind", "SELECT bus.group_rewind($1, $2, $3, $4, $5, $6) AS answer", values);
    },
  };
}
