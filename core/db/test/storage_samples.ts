/**
 * Why it exists: bytes for each row depend on what is in it; these are rows as a fleet of Linux hosts makes them.
 * Enforces: one statement a table, which makes `n` rows; and for each table that is updated on a hot road, that update.
 * Forbids: anybody's data.
 */

/** Ids without order, as producers have them. */
const id = (n: string): string => `md5((${n})::text)::uuid`;
const hash = (n: string): string => `sha256((${n})::text::bytea)`;
const at = (n: string): string => `(current_date::timestamp AT TIME ZONE 'UTC') + ${n} * interval '1 millisecond'`;

const events = (
  table: string,
): string => `INSERT INTO ${table} SELECT ${at("i")}, ${at("i")} - interval '2 seconds', ${id("i % 200")}, 1, i, i % 16, i / 16, i % 500, i % 500 * 400, 400, 4001, 6, 1, 0, 1, 1, 1,
  'ws-' || i % 2000, 'ada.lovelace', 'curl', 4000 + i % 1000, NULL, NULL, ('10.0.' || i % 200 || '.' || i % 250)::inet, 40000, '192.0.2.80', 443, 'host' || i % 500 || '.example', 'curl https://host.example/x' FROM generate_series(1, $n) i`;

/** How rows are made. `$n` stands for their number. Tables that are not here have few rows. */
export const samples: Readonly<Record<string, string>> = {
  "bus.frames": `INSERT INTO bus.frames SELECT i % 16, i / 16 + 1, ${at("i")}, ${id("i % 5000")}, 2, 1, i / 5000 * 50 + 1, 50, 1, 0, 1, 1, substring(${hash("i")} FOR 8), i, 1, i, ${hash("i")}, ${hash("i")}, ${hash("i")},
    ${hash("i")} || ${hash("i + 1")} || ${hash("i + 2")} || ${hash("i + 3")} || ${hash("i + 4")} || ${hash("i + 5")} || ${hash("i + 6")} || ${hash("i + 7")}, ${hash("i")} || ${hash("i")}, substring(${hash("i")} || ${hash("i + 1")} || ${hash("i + 2")} || ${hash("i + 3")} FOR 110), 'gateway-1', convert_to(repeat('x', 4000), 'UTF8'), ${id("1")} FROM generate_series(1, $n) i`,
  "bus.producer_head": `INSERT INTO bus.producer_head SELECT ${id("i")}, 1, i, ${hash("i")}, i % 16, 0, 0, ${hash("i")}, substring(${hash("i")} FOR 8), i, 1 FROM generate_series(1, $n) i`,
  "bus.epoch_log": `INSERT INTO bus.epoch_log SELECT ${id("i")}, 1, 1, i % 16, substring(${hash("i")} FOR 8), 0, 0, ${hash("i")}, 1, 1, 1 FROM generate_series(1, $n) i`,
  "bus.message": `INSERT INTO bus.message SELECT 'stream:attacks', 1, i, i, ${id("i")}, repeat(md5(i::text), 12) FROM generate_series(1, $n) i`,
  "bus.message_archive": `INSERT INTO bus.message_archive SELECT ${id("1")}, 'stream:attacks', 1, i, i, ${id("i")}::text, repeat(md5(i::text), 12) FROM generate_series(1, $n) i`,
  "data.events_dpi": events("data.events_dpi"),
  "data.events_agent": events("data.events_agent"),
  "data.events_honeypot": events("data.events_honeypot"),
  "data.event_dead_letters": `INSERT INTO data.event_dead_letters SELECT ${at("i")}, ${id("i % 200")}, 1, i, 1, i % 16, i, i % 500, 400, 400, 'EVENT_FIELD_MISSING', 'device: the field is missing' FROM generate_series(1, $n) i`,
  "data.gaps": `INSERT INTO data.gaps SELECT ${at("i")}, ${id("i % 200")}, 1, i, 1, i % 16, i, 'spool_full' FROM generate_series(1, $n) i`,
  "data.sink_head": `INSERT INTO data.sink_head SELECT ${id("i")}, 2, 1, i, ${hash("i")}, now() FROM generate_series(1, $n) i`,
  "data.sink_epochs": `INSERT INTO data.sink_epochs SELECT ${id("i")}, 1, i, ${hash("i")} FROM generate_series(1, $n) i`,
  "registry.producers": `INSERT INTO registry.producers SELECT ${id("i")}, 'linux', 'ws-' || i FROM generate_series(1, $n) i`,
  "registry.producer_keys": `INSERT INTO registry.producers SELECT ${id("i")}, 'linux', 'ws-' || i FROM generate_series(1, $n) i ON CONFLICT DO NOTHING;
    INSERT INTO registry.producer_keys SELECT substring(${hash("i")} FOR 8), ${id("i")}, ${hash("-i")} FROM generate_series(1, $n) i`,
  "evidence.sealed_range": `INSERT INTO evidence.statement VALUES (0, 'key', NULL, 0, '', '');
    INSERT INTO evidence.sealed_range SELECT i % 16, i / 16 * 100 + 100, i / 16 * 100, 0, ${id("1")}, now() FROM generate_series(16, $n + 15) i`,
  "evidence.leaves": `INSERT INTO evidence.leaves SELECT ${at("0")}, i / 4, i % 4, convert_to(repeat('x', 32768), 'UTF8') FROM generate_series(1, least($n, 2000)) i`,
  "evidence.expired_chain": `INSERT INTO evidence.statement VALUES (1, 'expiry', current_date - 9, 0, '', '');
    INSERT INTO evidence.expired_chain SELECT 1, i, ${id("i")}, 1, 1, i, ${hash("i")}, ${hash("-i")} FROM generate_series(1, $n) i`,
  "observable.summary": `INSERT INTO observable.summary SELECT ${at("i")}, i / 16, i % 16, ${hash("i")} || ${hash("i + 1")} || ${hash("i + 2")} || ${hash("i + 3")} || ${hash("i + 4")} || ${hash("i + 5")} || ${hash("i + 6")} || ${hash("i + 7")} || ${hash("i + 8")} || ${hash("i + 9")} || ${hash("i + 10")} || ${hash("i + 11")}
    FROM generate_series(1, $n) i`,
  "observable.segment": `INSERT INTO observable.segment SELECT ${at("i")}, i, 5000, 2000000, convert_to(repeat('x', 10000), 'UTF8') FROM generate_series(1, least($n, 2000)) i`,
  "observable.posting": `INSERT INTO observable.posting SELECT ${at("0")}, i / 1000, i % 1000 * 4000000::bigint, i % 1000, convert_to(repeat(md5(i::text), 59), 'UTF8') FROM generate_series(1, $n) i`,
  "ops.expired": `INSERT INTO ops.expired SELECT ${id("i")}, 1, i, 0, 0, i FROM generate_series(1, $n) i`,
  "ops.ledger_sum": `INSERT INTO ops.ledger_sum SELECT ${id("i")}, 1, i, 0, 0, i, 0 FROM generate_series(1, $n) i`,
};

/** What is done again and again to tables whose updates are HOT; `$round` counts. */
export const hotUpdates: Readonly<Record<string, string>> = {
  "bus.partition_head": "UPDATE bus.partition_head SET off = off + 1, received_us = $round WHERE part < 16",
  "bus.producer_head":
    "UPDATE bus.producer_head SET seq = seq + 50, offered = offered + 50 WHERE get_byte(uuid_send(producer_id), 0) % 8 = $round % 8",
  "bus.consumer_offset": `INSERT INTO bus.consumer_offset (grp, part, off, generation) SELECT 'hot', p.part, 0, g.id FROM bus.partition_head p, bus.generation g ON CONFLICT (grp, part) DO UPDATE SET off = bus.consumer_offset.off + 1`,
  "bus.gate_lease": `INSERT INTO bus.gate_lease SELECT ('00000000-0000-4000-8000-00000000000' || i)::uuid, 'gateway-1', 0, 0, now() FROM generate_series(1, 4) i ON CONFLICT (incarnation) DO UPDATE SET bytes = $round`,
  "bus.gate_counters": `INSERT INTO bus.gate_counters SELECT 'gateway-1', '00000000-0000-4000-8000-000000000001', 'accepted_' || i, 0 FROM generate_series(1, 60) i ON CONFLICT (gateway, incarnation, name) DO UPDATE SET value = $round`,
  "bus.message_end":
    "INSERT INTO bus.message_end (stream, priority) SELECT 'stream:attacks', p FROM generate_series(1, 4) p ON CONFLICT (stream, priority) DO UPDATE SET tail = $round",
  "bus.message_group": `INSERT INTO bus.message_group (stream, grp, places, seen_us) SELECT 'stream:attacks', 'hot' || i, '{0,0,0,0}', 0 FROM generate_series(1, 5) i ON CONFLICT (stream, grp) DO UPDATE SET seen_us = $round`,
  "data.sink_head":
    "UPDATE data.sink_head SET seq = seq + 50, updated_at = clock_timestamp() WHERE get_byte(uuid_send(producer_id), 0) % 8 = $round % 8",
  "ops.ledger_sum":
    "UPDATE ops.ledger_sum SET stored = stored + 50, seq_sum = seq_sum + 50 WHERE get_byte(uuid_send(producer_id), 0) % 8 = $round % 8",
  "ops.ledger_mark": `INSERT INTO ops.ledger_mark SELECT i, 0, now(), 1 FROM generate_series(0, 15) i ON CONFLICT (part) DO UPDATE SET off = $round`,
  "observable.mark": `INSERT INTO observable.mark SELECT i, 0, now(), 1 FROM generate_series(0, 15) i ON CONFLICT (part) DO UPDATE SET off = $round`,
};
