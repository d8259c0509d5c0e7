/**
 * Why it exists: a process tells its alarms to its supervisor: gateways may write no table and publish no message, and the channel is there anyway.
 * Enforces: the first alarm about something goes at once, also when the process is about to end; what comes again within a second goes as one count, so that
 * a flood of alarms is no flood of the channel.
 * Forbids: deciding what an operator hears; the supervisor does, for all processes.
 */
import type { Clock, RaisedAlarm, Timer } from "ransomeye-kernel";
import { AlarmLimiter, type CountedAlarm } from "./alarm_limiter.ts";

const gatherMs = 1000;

export interface AlarmTellerOptions {
  readonly clock: Clock;
  readonly tell: (alarm: CountedAlarm) => void;
}

export class AlarmTeller {
  readonly #o: AlarmTellerOptions;
  readonly #limiter = new AlarmLimiter({ againMs: gatherMs, subjectsMax: 64, eventsMax: 64 });
  #timer: Timer | undefined;

  constructor(o: AlarmTellerOptions) {
    this.#o = o;
  }

  raised(alarm: RaisedAlarm): void {
    const { clock } = this.#o;
    const nowUs = clock.nowUs();
    const told = this.#limiter.raise({ ...alarm, count: 1, firstUs: nowUs, lastUs: nowUs }, clock.monotonicMs());
    if (told !== undefined) this.#o.tell(told);
    this.#timer ??= clock.setTimer(gatherMs, () => this.#gathered());
  }

  /** The process ends: what was gathered goes now. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const alarm of this.#limiter.close()) this.#o.tell(alarm);
  }

  #gathered(): void {
    for (const alarm of this.#limiter.due(this.#o.clock.monotonicMs())) this.#o.tell(alarm);
    this.#timer = this.#limiter.isEmpty ? undefined : this.#o.clock.setTimer(gatherMs, () => this.#gathered());
  }
}
