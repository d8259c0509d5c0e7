/**
 * Why: serialization failures, deadlocks and full disks come when they like; here PostgreSQL raises them itself, when asked.
 * Enforces: a refusal counts outside of any transaction, so that it ends after its number of times although each rolls back; rows that no table takes are refused always.
 * Forbids: more than one refusal at a time.
 */
import type { Pool } from "ransomeye-db";
import type { RefusalPlace } from "./faults.ts";

/** Rows of this host are refused by the table, whoever asks (22P05). */
export const poisonHost = "poison";

const eventTables = ["data.events_dpi", "data.events_agent"];

const installSql = `
  CREATE SCHEMA chaos;
  CREATE SEQUENCE chaos.asked;
  CREATE TABLE chaos.refusal (place text NOT NULL, state text NOT NULL, until bigint NOT NULL);
  CREATE FUNCTION chaos.refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DECLARE
    v_state text;
    v_until bigint;
  BEGIN
    SELECT r.state, r.until INTO v_state, v_until FROM chaos.refusal r WHERE r.place = TG_ARGV[0];
    IF FOUND AND nextval('chaos.asked') <= v_until THEN
      RAISE EXCEPTION 'injected' USING ERRCODE = v_state;
    END IF;
    RETURN NULL;
  END $$;
  CREATE FUNCTION chaos.refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION 'a character that has no equivalent' USING ERRCODE = '22P05';
  END $$;
  CREATE CONSTRAINT TRIGGER chaos_commit AFTER INSERT OR UPDATE ON data.sink_head DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.refuse('commit');
  ${eventTables
    .map(
      (table) => `
  CREATE TRIGGER chaos_rows BEFORE INSERT ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION chaos.refuse('rows');
  CREATE TRIGGER chaos_row BEFORE INSERT ON ${table} FOR EACH ROW WHEN (NEW.host = '${poisonHost}') EXECUTE FUNCTION chaos.refuse_row();`,
    )
    .join("")}`;

/** Errors on demand, in one database. */
export class Refusals {
  readonly #admin: Pool;

  private constructor(admin: Pool) {
    this.#admin = admin;
  }

  static async install(admin: Pool): Promise<Refusals> {
    await admin.query(installSql);
    return new Refusals(admin);
  }

  /** The next `times` are refused. */
  async arm(place: RefusalPlace, state: string, times: number): Promise<void> {
    await this.#admin.query(
      `WITH gone AS (DELETE FROM chaos.refusal), now AS (SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END AS n FROM chaos.asked)
       INSERT INTO chaos.refusal SELECT $1, $2, n + $3 FROM now`,
      [place, state, times],
    );
  }

  /** Whether all have been met. */
  async met(): Promise<boolean> {
    const { rows } = await this.#admin.query<{ met: boolean }>(
      "SELECT a.last_value >= r.until AND a.is_called AS met FROM chaos.refusal r, chaos.asked a",
    );
    return rows[0]?.met === true;
  }

  async disarm(): Promise<void> {
    await this.#admin.query("DELETE FROM chaos.refusal");
  }
}
