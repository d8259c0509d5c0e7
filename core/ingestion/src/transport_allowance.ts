/**
 * Bytes on the wire that carry no message.
 *
 * Why: PRIORITY, WINDOW_UPDATE, PING, SETTINGS, RST_STREAM, GOAWAY, unknown frames, padding, DATA frames of a byte, TLS key updates and records: each is
 *   legal, most are answered by the HTTP/2 library without our knowing, and without end they are a flood. What they have in common is that
 *   they are bytes from the peer which are no part of any message.
 * Enforces: such bytes of one connection have a rate and a burst, and a share for the framing of the messages themselves.
 * Forbids: a list of frame types: what the next attack is made of is on no list.
 */

/** The bounds of one connection. */
export interface AllowanceBounds {
  readonly bytesPerSecondMax: number;
  readonly burstBytesMax: number;
  /** Bytes of framing that each byte of a message may bring. */
  readonly perMessageByte: number;
}

/** What one connection may still send beside messages. */
export class TransportAllowance {
  readonly #bounds: AllowanceBounds;
  #leftBytes: number;
  #atMs: number;
  #wireBytes = 0;
  #messageBytes = 0;

  constructor(bounds: AllowanceBounds, nowMs: number) {
    this.#bounds = bounds;
    this.#leftBytes = bounds.burstBytesMax;
    this.#atMs = nowMs;
  }

  /** Whether the connection is within its allowance, by its totals until now. */
  covers(wireBytes: number, messageBytes: number, nowMs: number): boolean {
    const { bytesPerSecondMax, burstBytesMax, perMessageByte } = this.#bounds;
    const earned = ((nowMs - this.#atMs) / 1000) * bytesPerSecondMax + (messageBytes - this.#messageBytes) * (1 + perMessageByte);
    this.#leftBytes = Math.min(burstBytesMax, this.#leftBytes + earned - (wireBytes - this.#wireBytes));
    this.#atMs = nowMs;
    this.#wireBytes = wireBytes;
    this.#messageBytes = messageBytes;
    return this.#leftBytes >= 0;
  }
}
