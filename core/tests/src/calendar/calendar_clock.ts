/**
 * Why: what happens at midnight, on 29 February or when a clock is set back must not wait for that day.
 * Enforces: one time for both sides: processes take it from a Clock, and the bus of this one database from a table. The administrator of a throwaway server puts another
 *   body into bus.clock_us there, which its owner could do anywhere, nobody else can, and `ransomeye db audit` names. Nothing that is shipped asks for a time elsewhere.
 * Forbids: slowing or speeding up waits: leases, time limits and pauses are real.
 */
import type { Pool } from "ransomeye-db";
import { type Clock, systemClock } from "ransomeye-kernel";

/** Time that stands still until it is set. */
export class CalendarClock implements Clock {
  readonly #admin: Pool;
  #us = 0;

  private constructor(admin: Pool) {
    this.#admin = admin;
  }

  /** Takes the bus's clock of this database over, as its administrator. */
  static async open(admin: Pool): Promise<CalendarClock> {
    await admin.query(`
      CREATE SCHEMA calendar;
      CREATE TABLE calendar.clock (us bigint NOT NULL);
      INSERT INTO calendar.clock VALUES (0);
      GRANT USAGE ON SCHEMA calendar TO PUBLIC;
      GRANT SELECT ON calendar.clock TO PUBLIC;
      CREATE OR REPLACE FUNCTION bus.clock_us() RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
        AS 'SELECT us FROM calendar.clock'`);
    return new CalendarClock(admin);
  }

  async set(us: number): Promise<void> {
    await this.#admin.query("UPDATE calendar.clock SET us = $1", [us]);
    this.#us = us;
  }

  nowUs(): number {
    return this.#us;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  setTimer(ms: number, fire: () => void): ReturnType<Clock["setTimer"]> {
    return systemClock.setTimer(ms, fire);
  }
}
