/**
 * Why: a full spool must slow its callers down, in order, and lose nothing (promise 5).
 * Enforces: calls enter first come first served; a call that waits holds back those behind it.
 * Forbids: entering beyond the bounds, except by the slack of the frames that are being written.
 */
import type { SdkError } from "./codes.ts";

interface Waiter {
  readonly bytes: number;
  readonly enter: () => void;
  readonly fail: (error: SdkError) => void;
}

/** The queue in front of a spool. */
export class Admission {
  readonly #hasRoom: (bytes: number) => boolean;
  readonly #waiters: Waiter[] = [];

  constructor(hasRoom: (bytes: number) => boolean) {
    this.#hasRoom = hasRoom;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** Bytes that the first in the queue wants; 0 with nobody there. */
  get wantedBytes(): number {
    return this.#waiters[0]?.bytes ?? 0;
  }

  /** Runs `take` as soon as there is room; at once where nobody waits. */
  async enter<T>(bytes: number, take: () => T): Promise<T> {
    if (this.#waiters.length === 0 && this.#hasRoom(bytes)) return take();
    return new Promise<T>((resolve, reject) => {
      this.#waiters.push({ bytes, enter: () => resolve(take()), fail: reject });
    });
  }

  /** There may be room again. */
  retry(): void {
    while (this.#waiters[0] !== undefined && this.#hasRoom(this.#waiters[0].bytes)) this.#waiters.shift()?.enter();
  }

  /** Nobody will enter any more. */
  fail(error: SdkError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.fail(error);
  }
}
