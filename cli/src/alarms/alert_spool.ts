/**
 * Why it exists: alarms are raised above all when database or servers are away, and wait then until they can be told.
 * Enforces: a bounded number of alerts waits, oldest first, each until the keeper has it in the outbox; what finds no room is counted, and one alert that
 * says so takes the first free place. What is written to the file can be read from it, or is told as unreadable.
 * Forbids: I/O, and removing what nobody has confirmed.
 */
import type { AlertPayload, Message } from "ransomeye-pipeline";

type Alert = Message<AlertPayload>;

/** Alarms that found no room. */
export interface MissedAlarms {
  readonly count: number;
  readonly firstUs: number;
  readonly lastUs: number;
}

/** What the file holds. */
export interface SpoolState {
  readonly version: 1;
  /** The supervisor that wrote it ran on; it had begun then. Null: it was stopped in order. */
  readonly runningSinceUs: number | null;
  readonly waiting: readonly Alert[];
  readonly missed: MissedAlarms | null;
}

export class AlertSpool {
  readonly #alertsMax: number;
  #waiting: Alert[] = [];
  #missed: MissedAlarms | null = null;

  constructor(alertsMax: number) {
    this.#alertsMax = alertsMax;
  }

  get waiting(): readonly Alert[] {
    return this.#waiting;
  }

  get missed(): MissedAlarms | null {
    return this.#missed;
  }

  /** There is room, and something was missed: the place is for the alert that says so. */
  get owesMissed(): boolean {
    return this.#missed !== null && this.#waiting.length < this.#alertsMax;
  }

  /** Puts what an earlier supervisor left before all else. */
  restore({ waiting, missed }: Pick<SpoolState, "waiting" | "missed">): void {
    const known = new Set(waiting.map(({ message_id }) => message_id));
    this.#waiting = [...waiting, ...this.#waiting.filter(({ message_id }) => !known.has(message_id))];
    if (missed !== null) this.miss(missed);
  }

  /** Whether there was room for it. */
  put(alert: Alert): boolean {
    if (this.#waiting.length >= this.#alertsMax) return false;
    this.#waiting.push(alert);
    return true;
  }

  /** Counts what found no room. */
  miss({ count, firstUs, lastUs }: MissedAlarms): void {
    const before = this.#missed ?? { count: 0, firstUs, lastUs };
    this.#missed = {
      count: before.count + count,
      firstUs: Math.min(before.firstUs, firstUs),
      lastUs: Math.max(before.lastUs, lastUs),
    };
  }

  /** The alert that tells what was missed has its place. */
  toldMissed(): void {
    this.#missed = null;
  }

  /** The oldest. */
  first(max: number): readonly Alert[] {
    return this.#waiting.slice(0, max);
  }

  /** These are in the outbox. Whether any of them was waiting. */
  remove(ids: ReadonlySet<unknown>): boolean {
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter(({ message_id }) => !ids.has(message_id));
    return this.#waiting.length < before;
  }
}

/** What a file's text says. @throws SyntaxError, TypeError where it is not what we write */
export function parseSpool(text: string): SpoolState {
  const value = JSON.parse(text) as Partial<SpoolState> | null;
  const whole = value?.version === 1 && Array.isArray(value.waiting) && (value.missed === null || typeof value.missed === "object");
  if (!whole) throw new TypeError("it is not in the form that this release writes");
  return value as SpoolState;
}
