/**
 * Why: what a ledger costs depends on how much is stored, of how many producers; such a database is made in a minute.
 * Enforces: rows lie as the engine leaves them: in the order of received time, several partitions of the log interleaved, heads and places where they end.
 * Forbids: timing anything.
 */
import type { Pool, Queryable } from "ransomeye-db";

/** Events of a frame of the stock, and of what comes later. */
const stockFrame = 20;
const freshFrame = 10;
const partitions = 16;

const columns =
  "(received_at, event_time, producer_id, epoch, seq, frame_part, frame_off, line, byte_offset, byte_length, class_uid, activity_id, severity_id, flags, schema_version, mapping_version, normaliser_version, host, user_name, process_name, message)";
const rest = "400, 1007, 1, 1, 0, 1, 1, 1, 'host', 'user', 'process', repeat('x', 60)";
const frameRest = "1, 0, 1, 1, '\\x01', 0, 0, 0, '\\x', '\\x', '\\x01', '\\x', '\\x', '\\x', 'g', '\\x'";
const id = (n: string): string => `('00000000-0000-4000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`;

/** Fills an empty database: yesterday's rows and today's first half, of all producers in turn. Gives the rows made. */
export async function makeStock(pool: Pool, producers: number, rows: number): Promise<number> {
  const rounds = Math.max(1, Math.round(rows / stockFrame / producers));
  const frames = rounds * producers;
  // Frame n is of producer n mod all, in the partition n mod 16; its time goes evenly from yesterday's midnight to today's noon.
  const time = (n: string): string => `date_trunc('day', now()) - interval '1 day' + ${n} * (interval '36 hours' / ${frames})`;
  await pool.query("SELECT ops.ensure_partitions((now() AT TIME ZONE 'UTC')::date - 1, 3)");
  await pool.query(
    `INSERT INTO bus.frames SELECT n % ${partitions}, n / ${partitions} + 1, ${time("n")}, ${id(`n % ${producers}`)}, 2, 1, n / ${producers} * ${stockFrame} + 1, ${stockFrame}, ${frameRest}
     FROM generate_series(0, ${frames - 1}) n`,
  );
  await pool.query(
    `INSERT INTO data.events_agent ${columns}
     SELECT ${time(`(i / ${stockFrame})`)}, now(), ${id(`i / ${stockFrame} % ${producers}`)}, 1, i / ${stockFrame} / ${producers} * ${stockFrame} + i % ${stockFrame} + 1, i / ${stockFrame} % ${partitions}, i / ${stockFrame} / ${partitions} + 1,
       i % ${stockFrame}, i % ${stockFrame} * 400, ${rest}
     FROM generate_series(0, ${frames * stockFrame - 1}) i`,
  );
  const seq = rounds * stockFrame;
  await pool.query(
    `INSERT INTO bus.producer_head SELECT ${id("n")}, 1, ${seq}, '\\x', n % ${partitions}, 0, 0, '\\x', '\\x', ${seq}, 0 FROM generate_series(0, ${producers - 1}) n;
     INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash)
       SELECT producer_id, 1, 0, part, '\\x', 0, 0, '\\x' FROM bus.producer_head;
     INSERT INTO data.sink_head SELECT producer_id, 2, 1, ${seq}, '\\x', now() FROM bus.producer_head;
     INSERT INTO bus.consumer_offset (grp, part, off, generation, fence) SELECT 'engine', part, 0, id, 1 FROM bus.partition_head, bus.generation`,
  );
  await movePlaces(pool);
  // What autovacuum has done by then.
  for (const table of ["data.events_agent", "bus.frames", "bus.producer_head", "bus.epoch_log", "data.sink_head"])
    await pool.query(`VACUUM ANALYZE ${table}`);
  return frames * stockFrame;
}

/** What comes in between two questions: frames of ten events of every other producer, later than all before. Gives the rows made. On one connection: it has a temporary table. */
export async function comeIn(client: Queryable, rows: number): Promise<number> {
  const frames = Math.ceil(rows / freshFrame);
  await client.query(
    `CREATE TEMPORARY TABLE fresh ON COMMIT PRESERVE ROWS AS
     SELECT h.part, p.off + row_number() OVER (PARTITION BY h.part ORDER BY h.n) AS off, h.producer_id, h.seq, l.last + h.n * interval '1 millisecond' AS received_at
     FROM (SELECT *, row_number() OVER (ORDER BY producer_id) AS n FROM (SELECT * FROM bus.producer_head WHERE get_byte(uuid_send(producer_id), 15) / 16 % 2 = 0) e) h
     JOIN bus.partition_head p USING (part) CROSS JOIN LATERAL (SELECT max(to_timestamp(received_us / 1000000.0)) AS last FROM bus.partition_head) l (last)
     WHERE h.n <= ${frames}`,
  );
  const made = await client.query(
    `INSERT INTO data.events_agent ${columns}
     SELECT f.received_at, now(), f.producer_id, 1, f.seq + l, f.part, f.off, l, l * 400, ${rest} FROM generate_series(1, ${freshFrame}) l, fresh f ORDER BY f.received_at`,
  );
  await client.query(
    `INSERT INTO bus.frames SELECT f.part, f.off, f.received_at, f.producer_id, 2, 1, f.seq + 1, ${freshFrame}, ${frameRest} FROM fresh f;
     UPDATE bus.producer_head h SET seq = h.seq + ${freshFrame} FROM fresh f WHERE f.producer_id = h.producer_id;
     UPDATE data.sink_head h SET seq = h.seq + ${freshFrame} FROM fresh f WHERE f.producer_id = h.producer_id;
     DROP TABLE fresh`,
  );
  await movePlaces(client);
  return made.rowCount ?? 0;
}

/** The log ends, and the engine stands, at the last frame of each partition. */
async function movePlaces(client: Queryable): Promise<void> {
  await client.query(
    `UPDATE bus.partition_head p SET off = e.off, received_us = (extract(epoch FROM e.received_at) * 1000000)::bigint
       FROM bus.partition_head q CROSS JOIN LATERAL (SELECT f.off, f.received_at FROM bus.frames f WHERE f.part = q.part ORDER BY f.off DESC LIMIT 1) e WHERE q.part = p.part;
     UPDATE bus.consumer_offset o SET off = p.off, entry_received_us = p.received_us FROM bus.partition_head p WHERE p.part = o.part`,
  );
}
