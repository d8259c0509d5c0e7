/**
 * Why it exists: the supervisor hears the alarms of all processes and brings them to the keeper, which may write what the gateway may not.
 * Enforces: of each process one alert for an alarm's subject within five minutes, with how often; what is to be told waits in a file, through the death of
 * anything, until the keeper has said that it is in the outbox; a supervisor that was killed is itself an alarm at the next start.
 * Forbids: publishing, knowing what an alarm means, and ending the system because an alarm cannot be told.
 */
import { readFile } from "node:fs/promises";
import { type Clock, type RaisedAlarm, raisedAlarm, type Telemetry, type Timer, writeFileAtomic } from "ransomeye-kernel";
import type { AlertPayload, Message } from "ransomeye-pipeline";
import { alertForeign, alertsMissed, alertsUnkept, alertsWaiting, alertWaits, systemReturned } from "../events.ts";
import { AlarmLimiter, type CountedAlarm } from "./alarm_limiter.ts";
import { alertMessage } from "./alert_message.ts";
import { AlertSpool, type MissedAlarms, parseSpool, type SpoolState } from "./alert_spool.ts";
import { toldAlarm } from "./told_alarm.ts";

/** The same alarm of the same process is told once within this time. */
export const alarmAgainMs = 300_000;
/** Alerts that wait for the keeper. */
export const alertsMax = 512;
const subjectsMax = 32;
const eventsMax = 32;
const roundMs = 1000;
/** Alerts that the keeper is handed at once, and after how long it is handed them again when it has not said that it has them. */
const batchMax = 64;
const handAgainMs = 5000;

export interface AlarmDeskOptions {
  readonly clock: Clock;
  /** Where alerts wait that the keeper does not have. */
  readonly file: string;
  readonly host: string;
  /** Hands them to the keeper; false where it cannot be handed anything now. */
  readonly hand: (alerts: readonly Message<AlertPayload>[]) => boolean;
}

/** The supervisor's own name among the processes. */
const supervisor = "supervisor";

export class AlarmDesk {
  readonly #o: AlarmDeskOptions;
  readonly #lifeUs: number;
  readonly #spool = new AlertSpool(alertsMax);
  readonly #limiters = new Map<string, AlarmLimiter>();
  #seq = 0;
  #handedMs: number | undefined;
  #telemetry: Telemetry | undefined;
  #timer: Timer | undefined;
  #closed = false;
  #saving: Promise<void> = Promise.resolve();
  #saveAgain = false;
  #unkept = false;

  constructor(o: AlarmDeskOptions) {
    this.#o = o;
    this.#lifeUs = o.clock.nowUs();
  }

  /** An alarm of this process. */
  raised(alarm: RaisedAlarm): void {
    // Raised by the desk itself, which counts it and tells it as soon as there is room.
    if (alarm.event === alertsMissed.name) return;
    const nowUs = this.#o.clock.nowUs();
    this.#heard(supervisor, { ...alarm, count: 1, firstUs: nowUs, lastUs: nowUs });
  }

  /** What another process told as an alarm. */
  told(process: string, value: unknown): void {
    const alarm = toldAlarm(value);
    if (alarm === undefined) this.#telemetry?.emit(alertForeign, { process });
    else this.#heard(process, alarm);
  }

  /** The keeper has these in the outbox. */
  kept(ids: unknown): void {
    if (!Array.isArray(ids) || !this.#spool.remove(new Set<unknown>(ids))) return;
    this.#handedMs = undefined;
    this.#settleMissed();
    this.#changed();
    this.#offer();
  }

  /** Takes over what an earlier supervisor left, and begins to hand on. Alarms that were raised before wait behind. */
  async begin(telemetry: Telemetry): Promise<void> {
    this.#telemetry = telemetry;
    const left = await this.#left();
    if (left !== undefined) {
      this.#spool.restore(left);
      this.#settleMissed();
      if (left.runningSinceUs !== null) telemetry.emit(systemReturned, { since: new Date(left.runningSinceUs / 1000).toISOString() });
    }
    this.#round();
    this.#changed();
    await this.#saving;
  }

  /** All processes have ended: what they repeated is counted no further, and waits for the next start with the rest. */
  async close(): Promise<void> {
    if (this.#telemetry === undefined) return;
    this.#timer?.cancel();
    for (const [process, limiter] of this.#limiters) for (const alarm of limiter.close()) this.#put(process, alarm);
    this.#closed = true;
    this.#changed();
    await this.#saving;
  }

  #heard(process: string, alarm: CountedAlarm): void {
    let limiter = this.#limiters.get(process);
    if (limiter === undefined) {
      limiter = new AlarmLimiter({ againMs: alarmAgainMs, subjectsMax, eventsMax });
      this.#limiters.set(process, limiter);
    }
    const told = limiter.raise(alarm, this.#o.clock.monotonicMs());
    if (told === undefined) return;
    this.#put(process, told);
    this.#changed();
    this.#offer();
  }

  #put(process: string, alarm: CountedAlarm): void {
    const { event, count } = alarm;
    // Behind what was missed: it is told first.
    this.#settleMissed();
    if (this.#spool.put(this.#alert(process, alarm))) this.#telemetry?.emit(alertWaits, { alarm: event, process, count });
    else {
      this.#spool.miss(alarm);
      this.#telemetry?.emit(alertsMissed, { alarm: event, process, count });
    }
  }

  #alert(process: string, alarm: CountedAlarm): Message<AlertPayload> {
    this.#seq += 1;
    return alertMessage({ host: this.#o.host, process, lifeUs: this.#lifeUs, seq: this.#seq }, alarm);
  }

  #settleMissed(): void {
    const { missed, owesMissed } = this.#spool;
    if (missed === null || !owesMissed || alertsMissed.alarm === undefined) return;
    this.#spool.put(this.#alert(supervisor, missedAlarm(missed, alertsMissed.alarm)));
    this.#spool.toldMissed();
  }

  #round(): void {
    for (const [process, limiter] of this.#limiters) {
      const due = limiter.due(this.#o.clock.monotonicMs());
      for (const alarm of due) this.#put(process, alarm);
      if (due.length > 0) this.#changed();
      if (limiter.isEmpty) this.#limiters.delete(process);
    }
    this.#offer();
    this.#timer = this.#o.clock.setTimer(roundMs, () => this.#round());
  }

  /** Hands the oldest to the keeper: one batch at a time, and again when it was not confirmed, for the keeper may have died with it. */
  #offer(): void {
    const nowMs = this.#o.clock.monotonicMs();
    this.#telemetry?.set(alertsWaiting, this.#spool.waiting.length);
    if (this.#telemetry === undefined || this.#spool.waiting.length === 0) return;
    if (this.#handedMs !== undefined && nowMs - this.#handedMs < handAgainMs) return;
    if (this.#o.hand(this.#spool.first(batchMax))) this.#handedMs = nowMs;
  }

  async #left(): Promise<SpoolState | undefined> {
    try {
      return parseSpool(await readFile(this.#o.file, "utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#telemetry?.emit(alertsUnkept, { reason: reasonOf(error) });
      return undefined;
    }
  }

  /** Writes the file; while one write runs, the next waits and takes the newest state. */
  #changed(): void {
    if (this.#saveAgain || this.#telemetry === undefined) return;
    this.#saveAgain = true;
    this.#saving = this.#saving.then(async () => {
      this.#saveAgain = false;
      const { waiting, missed } = this.#spool;
      const state: SpoolState = { version: 1, runningSinceUs: this.#closed ? null : this.#lifeUs, waiting, missed };
      await writeFileAtomic(this.#o.file, `${JSON.stringify(state)}\n`, 0o600).then(
        () => {
          this.#unkept = false;
        },
        (error: unknown) => {
          // A full disk would be told with each alarm.
          if (!this.#unkept) this.#telemetry?.emit(alertsUnkept, { reason: reasonOf(error) });
          this.#unkept = true;
        },
      );
    });
  }
}

function missedAlarm(missed: MissedAlarms, definition: NonNullable<typeof alertsMissed.alarm>): CountedAlarm {
  return { ...raisedAlarm(alertsMissed.name, definition, { count: missed.count }), ...missed };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
