-- 0003 data: typed rows that index the frames, dead letters, declared gaps, and the heads of the sink.
-- Why: analysts filter on columns; the document itself stays in its frame, and a row says where (R-18).
-- Enforces: one table per source from the first migration, the same columns in all (R-29); partitions by received day, never by a time that
--   an agent claims (R-16); no unique index on the hot path: exactly-once comes from heads and offsets in one transaction (R-2, R-3).
-- Forbids: jsonb (it costs three times the row), updates of any row but a sink head.
-- Danger: new tables only. No existing row is touched, no lock on a table in use, safe to run while the system is up.

-- LOGGED: a row is covered by a receipt. Columns are ordered by width so that no byte is lost to alignment where it matters.
CREATE TABLE data.events_dpi (
  -- The frame's, so that a redelivered frame lands in the same day.
  received_at        timestamptz NOT NULL,
  event_time         timestamptz NOT NULL,
  producer_id        uuid NOT NULL,
  epoch              bigint NOT NULL,
  seq                bigint NOT NULL,
  -- Where the document is: the frame's place in the bus, the line in it (from 0), and the bytes of that line.
  frame_part         int NOT NULL,
  frame_off          bigint NOT NULL,
  line               int NOT NULL,
  byte_offset        int NOT NULL,
  byte_length        int NOT NULL,
  class_uid          int NOT NULL,
  activity_id        smallint NOT NULL,
  severity_id        smallint NOT NULL,
  -- 1 clock skewed, 2 text cut, 4 text replaced, 8 value dropped, 16 not canonical as sent.
  flags              int NOT NULL,
  schema_version     smallint NOT NULL,
  mapping_version    smallint NOT NULL,
  normaliser_version smallint NOT NULL,
  -- Attackers write these: each is cut to column_text_bytes_max before it comes here, the whole text is in the document.
  host               text,
  user_name          text,
  process_name       text,
  process_pid        bigint,
  file_path          text,
  file_sha256        bytea,
  src_ip             inet,
  src_port           int,
  dst_ip             inet,
  dst_port           int,
  domain             text,
  message            text
) PARTITION BY RANGE (received_at);

CREATE TABLE data.events_agent    (LIKE data.events_dpi INCLUDING ALL) PARTITION BY RANGE (received_at);
CREATE TABLE data.events_honeypot (LIKE data.events_dpi INCLUDING ALL) PARTITION BY RANGE (received_at);

-- BRIN: rows come in the order of received_at, and a range of pages costs a few bytes; a B-tree would cost as much as the row.
CREATE INDEX events_dpi_times      ON data.events_dpi      USING brin (received_at, event_time) WITH (autosummarize = on);
CREATE INDEX events_agent_times    ON data.events_agent    USING brin (received_at, event_time) WITH (autosummarize = on);
CREATE INDEX events_honeypot_times ON data.events_honeypot USING brin (received_at, event_time) WITH (autosummarize = on);

-- Events, or whole frames (line is null), that could not become rows. Counts `count` sequence numbers (R-8); kept like events (R-11).
CREATE TABLE data.event_dead_letters (
  received_at timestamptz NOT NULL,
  producer_id uuid NOT NULL,
  epoch       bigint NOT NULL,
  first_seq   bigint NOT NULL,
  count       int NOT NULL CHECK (count > 0),
  frame_part  int NOT NULL,
  frame_off   bigint NOT NULL,
  line        int,
  byte_offset int,
  byte_length int,
  code        text NOT NULL,
  detail      text NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX event_dead_letters_times ON data.event_dead_letters USING brin (received_at) WITH (autosummarize = on);

-- Sequence numbers that their producer has declared, signed, to be lost for ever (X-2).
CREATE TABLE data.gaps (
  received_at timestamptz NOT NULL,
  producer_id uuid NOT NULL,
  epoch       bigint NOT NULL,
  first_seq   bigint NOT NULL,
  count       int NOT NULL CHECK (count > 0),
  frame_part  int NOT NULL,
  frame_off   bigint NOT NULL,
  reason      text NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX gaps_times ON data.gaps USING brin (received_at) WITH (autosummarize = on);

-- Up to where each producer's frames have become rows: "append if next" is judged against this in the row transaction (R-2). One row per
-- producer, moved once per commit; half the page is left free, so that each move finds room beside it (HOT).
-- producer_kind: 1 dpi, 2 linux, 3 windows, 4 honeypot, as in bus.frames.
CREATE TABLE data.sink_head (
  producer_id   uuid PRIMARY KEY,
  producer_kind smallint NOT NULL CHECK (producer_kind BETWEEN 1 AND 4),
  epoch         bigint NOT NULL,
  seq           bigint NOT NULL,
  hash          bytea NOT NULL,
  updated_at    timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Epochs that the sink has left behind, and where they ended in it (R-7).
CREATE TABLE data.sink_epochs (
  producer_id uuid NOT NULL,
  epoch       bigint NOT NULL,
  final_seq   bigint NOT NULL,
  final_hash  bytea NOT NULL,
  PRIMARY KEY (producer_id, epoch)
);
