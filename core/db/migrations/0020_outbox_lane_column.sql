-- 0020 outbox lane: the writer of a message says for which stream and priority it waits; the database does not read its JSON.
-- Why: the index of 0019 parsed each body, and jsonb takes neither an escaped NUL nor half a surrogate pair: an attacker's text in a honeypot refused the rows that
-- were written with it.
-- Enforces: a body is text that nothing in the database looks into. Lanes are as 0019 says.
-- Danger: nothing is written to the outbox while the index is made: milliseconds, unless messages wait by the million.

DROP INDEX bus.outbox_lane;

-- "stream priority". What waits from before has none, and is a lane of its own.
ALTER TABLE bus.outbox ADD COLUMN lane text NOT NULL DEFAULT '';

CREATE INDEX outbox_lane ON bus.outbox (lane, id);
