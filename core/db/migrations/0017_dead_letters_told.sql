-- 0017 dead letters told: up to where the keeper has raised an alarm for dead letters of message streams.
-- Why: any consumer may bury a message, also one outside the system that no supervisor hears; the keeper reads the stream, and a new one goes on where the last stood (R-27).
-- Enforces: one row; a time and no offset, for offsets begin anew when servers have lost their streams.
-- Forbids: alarms about what lay there before this release: it begins now.
-- Danger: one new table. No lock on a table in use, safe to run while the system is up.

CREATE TABLE bus.dead_letters_told (
  only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- Microseconds since 1970, by the clock of whoever keeps the streams.
  published_us bigint NOT NULL
);
INSERT INTO bus.dead_letters_told (published_us) VALUES (bus.clock_us());
