/**
 * Why it exists: whoever can bring an alarm about can bring it about a million times, and an operator who is told each of them hears none.
 * Enforces: the first alarm about something is told at once; what comes again within the interval is counted, and told once as it ends. Of one event, so many
 * subjects are told apart, further ones are one subject together: a flood of one alarm hides no other. Nothing is forgotten: the counts add up.
 * Forbids: I/O, timers and clocks of its own.
 */
import { invariant, type RaisedAlarm } from "ransomeye-kernel";

/** An alarm that was raised so many times between two moments; the fields are the last one's. */
export interface CountedAlarm extends RaisedAlarm {
  readonly count: number;
  /** Microseconds since 1970. */
  readonly firstUs: number;
  readonly lastUs: number;
}

export interface AlarmLimits {
  /** Within this time the same alarm is told once. */
  readonly againMs: number;
  /** Subjects of one event that are told apart. */
  readonly subjectsMax: number;
  /** Events that are told apart; code has fewer, a process that lies may name more. */
  readonly eventsMax: number;
}

/** Stands for all subjects, or all events, beyond their bound. */
export const others = "_other";

interface Window {
  readonly sinceMs: number;
  /** What came again since. */
  gathered: CountedAlarm | undefined;
}

/** Remembers what was told lately. */
export class AlarmLimiter {
  readonly #limits: AlarmLimits;
  /** By event, and within it by subject. */
  readonly #windows = new Map<string, Map<string, Window>>();

  constructor(limits: AlarmLimits) {
    invariant(limits.againMs > 0 && limits.subjectsMax > 0 && limits.eventsMax > 0, "an alarm's limits are positive");
    this.#limits = limits;
  }

  /** Whether there is nothing that `due` could ever give. */
  get isEmpty(): boolean {
    return this.#windows.size === 0;
  }

  /** An alarm was raised; gives what is to be told now. */
  raise(alarm: CountedAlarm, nowMs: number): CountedAlarm | undefined {
    const placed = this.#placed(alarm);
    const subjects = this.#windows.get(placed.event) ?? new Map<string, Window>();
    this.#windows.set(placed.event, subjects);
    const subject = subjectOf(placed);
    const window = subjects.get(subject);
    if (window !== undefined && nowMs - window.sinceMs < this.#limits.againMs) {
      window.gathered = merged(window.gathered, placed);
      return undefined;
    }
    subjects.set(subject, { sinceMs: nowMs, gathered: undefined });
    return merged(window?.gathered, placed);
  }

  /** What came again within intervals that have ended. */
  due(nowMs: number): CountedAlarm[] {
    const told: CountedAlarm[] = [];
    for (const [event, subjects] of this.#windows) {
      for (const [subject, { sinceMs, gathered }] of subjects) {
        if (nowMs - sinceMs < this.#limits.againMs) continue;
        subjects.delete(subject);
        if (gathered === undefined) continue;
        told.push(gathered);
        subjects.set(subject, { sinceMs: nowMs, gathered: undefined });
      }
      if (subjects.size === 0) this.#windows.delete(event);
    }
    return told;
  }

  /** Ends all intervals; gives what came again within them. */
  close(): CountedAlarm[] {
    const told = [...this.#windows.values()].flatMap((subjects) => [...subjects.values()].flatMap(({ gathered }) => gathered ?? []));
    this.#windows.clear();
    return told;
  }

  /** The alarm as it is counted: beyond the bounds, together with others. */
  #placed(alarm: CountedAlarm): CountedAlarm {
    const subjects = this.#windows.get(alarm.event);
    if (subjects === undefined && this.#windows.size >= this.#limits.eventsMax)
      return { ...alarm, event: others, title: "Further alarms: the logs have them", severity: "high", about: {} };
    if (subjects === undefined || subjects.has(subjectOf(alarm)) || subjects.size < this.#limits.subjectsMax) return alarm;
    return { ...alarm, about: Object.fromEntries(Object.keys(alarm.about).map((name) => [name, others])) };
  }
}

/** What two alarms of an event have in common when they are the same one again. */
function subjectOf({ about }: RaisedAlarm): string {
  return JSON.stringify(Object.entries(about));
}

function merged(before: CountedAlarm | undefined, alarm: CountedAlarm): CountedAlarm {
  if (before === undefined) return alarm;
  const count = Math.min(before.count + alarm.count, Number.MAX_SAFE_INTEGER);
  return { ...alarm, count, firstUs: Math.min(before.firstUs, alarm.firstUs), lastUs: Math.max(before.lastUs, alarm.lastUs) };
}
