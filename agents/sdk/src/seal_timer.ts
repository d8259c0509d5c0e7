/**
 * Why: a frame that its size does not seal is sealed by time, and how much time that is belongs to the gateway.
 * Enforces: lines wait for the linger that the gateway last told. A detection does not: it seals the open frame at once, and only behind another one it waits,
 *   for a tenth of the linger at most. So the first of a flood is never late, and a flood of them in a whole fleet stays in the gateway's hands: it makes ten
 *   times the frames of the linger, which at its longest is what one core verifies from 50,000 producers, and never one for each detection.
 * Forbids: a time of its own choice. A fixed one would be too long for a gateway at rest, or too short for a loaded one.
 */
import type { Clock, Timer } from "ransomeye-kernel";

/** what a gateway may ask for at most. */
const lingerMsMax = 60_000;
/** Of the linger: how far apart frames are that detections sealed. */
const urgentShare = 1 / 10;

/** When the open frame is sealed. */
export class SealTimer {
  readonly #clock: Clock;
  readonly #seal: () => void;
  #lingerMs: number;
  #timer: Timer | undefined;
  #dueMs = 0;
  #sealedUrgentMs: number = Number.NEGATIVE_INFINITY;

  /** `lingerMs` holds until a gateway has told its own; `seal` seals the open frame. */
  constructor(clock: Clock, lingerMs: number, seal: () => void) {
    this.#clock = clock;
    this.#lingerMs = lingerMs;
    this.#seal = seal;
  }

  /** The gateway's linger, for frames that are begun from now on. */
  linger(ms: number): void {
    this.#lingerMs = Math.min(ms, lingerMsMax);
  }

  /** Lines have joined the open frame. */
  joined(urgent: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    if (!urgent) {
      if (this.#timer === undefined) this.#sealAt(nowMs + this.#lingerMs, nowMs);
      return;
    }
    const freeMs = this.#sealedUrgentMs + this.#lingerMs * urgentShare;
    if (freeMs <= nowMs) this.#sealUrgent(nowMs);
    else if (this.#timer === undefined || freeMs < this.#dueMs) this.#sealAt(freeMs, nowMs, true);
  }

  /** The frame was sealed, for whatever reason, or will never be. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #sealAt(dueMs: number, nowMs: number, urgent = false): void {
    this.cancel();
    this.#dueMs = dueMs;
    this.#timer = this.#clock.setTimer(dueMs - nowMs, () => {
      this.#timer = undefined;
      if (urgent) this.#sealUrgent(this.#clock.monotonicMs());
      else this.#seal();
    });
  }

  #sealUrgent(nowMs: number): void {
    this.#sealedUrgentMs = nowMs;
    this.#seal();
  }
}
