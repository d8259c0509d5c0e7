-- 0022 log views: how the log is read by those who do not write it.
-- Why: a module reads another's tables through views only (DB-2): what lies behind them may change, and a right to read is a right to some columns.
-- Enforces: engine and keeper need no right on a table of the log but the one that the engine moves in its row transaction (R-3).
-- Forbids: anything but columns and joins by key in these views: the planner puts them into the query that asks, and prunes days as before.
-- Danger: new views only. No lock on a table in use, safe to run while the system is up.

-- One row: which log this is, and how it stands.
CREATE VIEW views.log AS
SELECT g.id AS generation, s.partitions, s.paused_reason, s.log_elsewhere
FROM bus.generation g CROSS JOIN bus.state s;

-- Where each partition of the log ends, and where it begins.
CREATE VIEW views.log_heads AS
SELECT p.part, p.off, p.received_us, p.low_off, p.low_received_us, p.low_hash, g.id AS generation
FROM bus.partition_head p CROSS JOIN bus.generation g;

-- The entries themselves.
CREATE VIEW views.log_entries AS
SELECT f.part, f.off, f.received_at, f.producer_id, f.producer_kind, f.epoch, f.first_seq, f.count, f.kind, f.codec, f.schema_version, f.mapping_version, f.key_id,
       f.offered, f.prev_epoch, f.prev_seq, f.prev_hash, f.payload_hash, f.hash, f.header, f.signature, f.verdicts, f.gateway, f.body, f.incarnation
FROM bus.frames f;

-- What has been applied, for whoever compares this database with a release.
CREATE VIEW views.migrations AS
SELECT m.number, m.name, m.sha256, m.applied_at FROM ops.migration m;
