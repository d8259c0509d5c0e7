-- 0019 outbox lanes: what waits for one stream and priority does not wait for another.
-- Why: a stream that is full, or whose log somebody has written to, kept back all messages behind it: alerts too, which would have told of it (BUS-11).
-- Enforces: the relay takes the oldest of each lane, whatever lies before it in others; order is kept within a lane, which is all that streams promise (R-11).
-- Danger: nothing is written to the outbox while the index is made: milliseconds, unless messages wait by the million.

CREATE INDEX outbox_lane ON bus.outbox (((body::jsonb ->> 'stream') || ' ' || (body::jsonb ->> 'priority')), id);
