-- 0014 outbox: what the engine has to tell the message streams is written in the transaction that makes it true.
-- Why: a message about an event must exist exactly when the event's row does (R-27); streams may lie on other servers, which no transaction reaches.
-- Enforces: the engine only adds, the keeper's relay only reads and removes what the streams hold.
-- Forbids: order by anything but id within what is visible; ids become visible out of order, so what was relayed is removed one by one and no mark is kept.
-- Danger: one new table. No lock on a table in use, safe to run while the system is up.

CREATE TABLE bus.outbox (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Made from its reason, so that it is stored once however often it is published.
  message_id uuid NOT NULL,
  -- The whole message as JSON (core/pipeline/src/messages/message.ts).
  body       text NOT NULL
) WITH (fillfactor = 90);
