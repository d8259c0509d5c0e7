/**
 * Why: a fleet that loses one gateway must not come back in one wave, nor hammer one that is ill.
 * Enforces: attempts grow until a session has proved good; never a reconnect without jitter; the time that a gateway asks for is kept (Goodbye).
 * Forbids: randomness: the shell adds the jitter of the attempt.
 */

/** A session that lived this long was a good one. */
const goodSessionMs = 10_000;

/** Counts attempts to connect. */
export class BackOff {
  #attempt = 0;
  #connectedMs: number | undefined;
  #comeBackMs = 0;

  /** The next attempt: its number (0 for the very first, at once) and the time to wait before its jitter. */
  next(): { readonly attempt: number; readonly afterMs: number } {
    const next = { attempt: this.#attempt, afterMs: this.#comeBackMs };
    this.#attempt += 1;
    this.#comeBackMs = 0;
    return next;
  }

  connected(nowMs: number): void {
    this.#connectedMs = nowMs;
  }

  /** The session did what it is for. */
  progressed(): void {
    this.#attempt = 0;
  }

  /** The gateway says when to come back. */
  comeBack(afterMs: number): void {
    this.#comeBackMs = afterMs;
  }

  disconnected(nowMs: number): void {
    if (this.#connectedMs !== undefined && nowMs - this.#connectedMs >= goodSessionMs) this.#attempt = 0;
    this.#connectedMs = undefined;
    this.#attempt = Math.max(1, this.#attempt);
  }
}
