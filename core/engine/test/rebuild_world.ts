/** Why: a day whose rows an older release has made, beside a system that goes on: what each proof about rebuilding begins with. */
import assert from "node:assert/strict";
import { type Pool, utcDay } from "ransomeye-db";
import { tamper } from "ransomeye-db/testing";
import { systemClock } from "ransomeye-kernel";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { type RebuildOptions, type RebuildOutcome, rebuildDay } from "../src/rebuild.ts";
import type { Fixture } from "./postgres_fixture.ts";

/** Tables that rows of batches lie in. */
export const derivedTables = ["event_dead_letters", "events_agent", "events_dpi", "events_honeypot", "gaps"] as const;

export const yesterday = (): string => utcDay(systemClock.nowUs(), -1);

/** Everything that is stored was received a day earlier. */
export async function setBack({ database }: Fixture): Promise<string> {
  await database.pool.query("SELECT ops.ensure_partitions($1::date, 1)", [utcDay(systemClock.nowUs(), -2)]);
  for (const table of ["bus.frames", ...derivedTables.map((name) => `data.${name}`)])
    await tamper(database.pool, table, `UPDATE ${table} SET received_at = received_at - interval '1 day'`);
  await database.pool.query(
    `UPDATE bus.partition_head SET received_us = received_us - 86400000000 WHERE off > 0;
     UPDATE bus.consumer_offset SET entry_received_us = entry_received_us - 86400000000 WHERE off > 0`,
  );
  return yesterday();
}

export interface RebuildWorld {
  readonly fixture: Fixture;
  readonly day: string;
  readonly chains: readonly [linux: Chain, probe: Chain, honeypot: Chain];
  readonly rebuilder: Pool;
  readonly reader: Pool;
  /** What the engine of this release has made of the day. */
  readonly fresh: string;
  readonly rebuild: (how?: Partial<RebuildOptions>) => Promise<RebuildOutcome>;
}

/** A day with rows of three kinds of producers, refused lines, a batch that is none, a declared gap and two epochs; its engine has ended. */
export async function rebuildWorld(fixture: Fixture): Promise<RebuildWorld> {
  const { database } = fixture;
  const chains = [new Chain(producerId(1), "linux"), new Chain(producerId(2), "dpi"), new Chain(producerId(3), "honeypot")] as const;
  const { lifetime } = fixture.engine();
  for (const chain of chains) {
    await fixture.openEpoch(chain);
    await fixture.append(chain, [
      chain.frame({ lines: [1, 2, 3, 4].map((n) => eventLine(`host-${n}`)) }),
      chain.frame({ lines: [eventLine("a"), "not json", eventLine("b")] }),
      chain.frame({ gap: { count: 5, reason: "spool_full" } }),
      chain.frame({ payload: Buffer.from("no lines at all"), count: 3 }),
    ]);
  }
  await fixture.openEpoch(chains[0]);
  await fixture.append(chains[0], [chains[0].frame({ lines: [eventLine("after")] })]);
  await fixture.stored();
  await lifetime.drain();
  const day = await setBack(fixture);
  const rebuilder = database.rolePool("ransomeye_rebuilder");
  return {
    fixture,
    day,
    chains,
    rebuilder,
    reader: database.rolePool("ransomeye_reader"),
    fresh: await contentOf(fixture, day),
    rebuild: (how = {}) =>
      rebuildDay({ pool: rebuilder, clock: systemClock, telemetry: fixture.telemetry, day, waitMsMax: 20_000, ...how }),
  };
}

/** The day as an older release has made it: hosts in capitals, one row where a dead letter belongs, a dead letter where a row does. */
export async function asOlderRelease({ fixture: { database } }: RebuildWorld): Promise<void> {
  const { pool } = database;
  await tamper(pool, "data.events_agent", "UPDATE data.events_agent SET host = upper(host), normaliser_version = 7 WHERE epoch = 1");
  await tamper(pool, "data.events_dpi", "UPDATE data.events_dpi SET normaliser_version = 7");
  await pool.query(
    `INSERT INTO data.event_dead_letters (received_at, producer_id, epoch, first_seq, count, frame_part, frame_off, line, byte_offset, byte_length, code, detail)
     SELECT received_at, producer_id, epoch, seq, 1, frame_part, frame_off, line, byte_offset, byte_length, 'ENGINE_ROW_REFUSED', 'SQLSTATE 22000' FROM data.events_agent WHERE seq = 2 AND epoch = 1;
     INSERT INTO data.events_agent (received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version)
     SELECT received_at, received_at, producer_id, epoch, first_seq, frame_part, frame_off, line, byte_offset, byte_length, 0, 1, 1, 0, 1, 1, 7 FROM data.event_dead_letters WHERE line = 1 AND producer_id = '${producerId(1)}' AND first_seq = 6`,
  );
  await tamper(pool, "data.events_agent", "DELETE FROM data.events_agent WHERE seq = 2 AND epoch = 1");
  await tamper(
    pool,
    "data.event_dead_letters",
    `DELETE FROM data.event_dead_letters WHERE line = 1 AND producer_id = '${producerId(1)}' AND first_seq = 6`,
  );
}

/** Every row, dead letter and gap of a day, as text. */
export async function contentOf({ database }: Fixture, day: string): Promise<string> {
  // One statement, and so one moment.
  const { rows } = await database.pool.query<{ line: string }>(
    `${derivedTables
      .map(
        (table) =>
          `SELECT '${table} ' || t::text AS line FROM data.${table} t WHERE received_at >= $1::date AND received_at < $1::date + 1`,
      )
      .join(" UNION ALL ")} ORDER BY 1`,
    [day],
  );
  return rows.map(({ line }) => line).join("\n");
}

/** The books balance, counted in three ways. */
export async function assertBalanced(reader: Pool): Promise<void> {
  const [recount, live, differ] = [
    await reader.query("SELECT producer_id FROM views.ledger_producer WHERE imbalance <> 0 OR misplaced <> 0"),
    await reader.query("SELECT producer_id FROM views.ledger_live_producer WHERE imbalance <> 0 OR misplaced <> 0"),
    await reader.query("SELECT * FROM views.ledger_audit WHERE sums_differ OR imbalance <> 0 OR misplaced <> 0"),
  ];
  assert.deepEqual([recount.rows, live.rows, differ.rows], [[], [], []]);
}

/** Names of tables that stand beside days. */
export async function aside({ database }: Fixture): Promise<string[]> {
  const { rows } = await database.pool.query<{ name: string }>(
    `SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relname ~ '_(rebuilt|replaced)_' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}
