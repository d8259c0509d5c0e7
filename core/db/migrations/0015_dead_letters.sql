-- 0015 dead letters: what an operator has done with the dead letters of message streams.
-- Why: a dead letter is a question to a person; the answer (sent again, given up) has an author, a reason and a time, and stays when the stream has moved on.
-- Enforces: append-only; the state of a dead letter is its last entry.
-- Forbids: changing or removing an entry: no role may, and a trigger refuses.
-- Danger: one new table and three functions. No lock on a table in use, safe to run while the system is up.

CREATE TABLE bus.dead_letter_action (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Of the dead letter, not of the message in it.
  message_id uuid NOT NULL,
  action     text NOT NULL CHECK (action IN ('redriven', 'discarded')),
  actor      text NOT NULL,
  reason     text NOT NULL,
  at_us      bigint NOT NULL
);
CREATE INDEX dead_letter_action_of ON bus.dead_letter_action (message_id, id);

CREATE FUNCTION bus.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the trail of dead letters is append-only' USING ERRCODE = '42501';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bus.dead_letter_action EXECUTE FUNCTION bus.refuse_change();

-- Notes what was done with dead letters.
CREATE FUNCTION bus.dead_letter_note(p_ids uuid[], p_action text, p_actor text, p_reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF num_nulls(p_ids, p_action, p_actor, p_reason) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  INSERT INTO bus.dead_letter_action (message_id, action, actor, reason, at_us) SELECT i, p_action, p_actor, p_reason, bus.clock_us() FROM unnest(p_ids) AS i;
END $$;

-- All that was done with these dead letters, oldest first.
CREATE FUNCTION bus.dead_letter_trail(p_ids uuid[]) RETURNS TABLE (message_id uuid, action text, actor text, reason text, at_us bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT a.message_id, a.action, a.actor, a.reason, a.at_us FROM bus.dead_letter_action a WHERE a.message_id = ANY (p_ids) ORDER BY a.id;
END $$;
