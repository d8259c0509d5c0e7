/**
 * Why it exists: a watchdog that is fed by a timer alone says that a timer runs. Here a sign of life means that the whole system does its work.
 * Enforces: it is sent from the supervisor's own loop, and only while everything without which no row flows is ready and answers, or has been within the time that a
 * restart with recovery may take. Whoever hangs, the supervisor among them, is met by systemd's restart.
 * Forbids: ending anything by itself: a role that ends is started again by the supervisor, and that is no reason to end the others.
 */
import type { Clock, Timer } from "ransomeye-kernel";
import type { Notifier } from "./notify.ts";

/** Something without which no row flows. */
export interface Part {
  readonly name: string;
  readonly isWell: boolean;
}

/** As long as the embedded server's crash recovery may take: to be ended in the middle of it would only make it begin again. */
export const unwellMsMax = 600_000;

/** Since when parts are not well. */
export class Wellness {
  readonly #clock: Clock;
  readonly #wellMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Looks at the parts now; gives the first that has not been well for too long, in words, or undefined. */
  complaint(parts: readonly Part[]): string | undefined {
    const nowMs = this.#clock.monotonicMs();
    for (const { name, isWell } of parts) if (isWell || !this.#wellMs.has(name)) this.#wellMs.set(name, nowMs);
    const overdue = parts.find(({ name }) => nowMs - (this.#wellMs.get(name) ?? nowMs) > unwellMsMax);
    return overdue === undefined ? undefined : `${overdue.name} has not been ready for ${Math.round(unwellMsMax / 60_000)} minutes`;
  }
}

export interface HostWatchOptions {
  readonly clock: Clock;
  readonly notifier: Notifier;
  readonly watchdogMs: number | undefined;
  /** Asked at each turn; asking also asks the processes for their next answer. */
  readonly parts: () => readonly Part[];
  readonly say: (line: string) => void;
}

/** Tells systemd how the system is. */
export class HostWatch {
  readonly #o: HostWatchOptions;
  readonly #wellness: Wellness;
  #timer: Timer | undefined;
  #complained = false;
  #signing = false;
  #over = false;

  constructor(o: HostWatchOptions) {
    this.#o = o;
    this.#wellness = new Wellness(o.clock);
  }

  /** Rows can flow: from now on systemd waits for signs of life. */
  async ready(status: string): Promise<void> {
    await this.#o.notifier.tell("READY=1", `STATUS=${status}`);
    this.#turn();
  }

  /** The stop has begun. Signs of life go on until `close`: a drain takes its time. */
  async stopping(): Promise<void> {
    await this.#o.notifier.tell("STOPPING=1", "STATUS=stopping");
  }

  close(): void {
    this.#over = true;
    this.#timer?.cancel();
  }

  #turn(): void {
    const { watchdogMs, clock } = this.#o;
    if (watchdogMs === undefined || this.#over) return;
    // A sign that has not left yet is followed by none: a manager that is slow to hear must not be told of times long past.
    if (!this.#signing) {
      this.#signing = true;
      void this.#sign().finally(() => (this.#signing = false));
    }
    this.#timer = clock.setTimer(Math.floor(watchdogMs / 3), () => this.#turn());
  }

  async #sign(): Promise<void> {
    const { notifier, parts, say } = this.#o;
    const complaint = this.#wellness.complaint(parts());
    if (complaint === undefined) {
      this.#complained = false;
      return notifier.tell("WATCHDOG=1");
    }
    if (this.#complained) return;
    this.#complained = true;
    say(`${complaint}: systemd gets no sign of life until it is`);
    await notifier.tell(`STATUS=${complaint}`);
  }
}
