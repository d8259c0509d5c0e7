/**
 * How many handshakes may begin, before anybody has proved anything (ING-7).
 *
 * Why: a handshake costs the gate a thousand times what a connection attempt costs its sender. Whoever has not proved who he is gets no more of
 *   that than his address's share, so that those who have proved it are served.
 * Enforces: handshakes per second for each source network, and handshakes that are open at once, for each network and in all. Refusal comes
 *   before the first byte of TLS.
 * Forbids: a table that grows with the number of addresses, and eviction: networks share a fixed number of slots, by a salted hash that nobody
 *   outside can steer, so no flood can push its own account out.
 */
import { createHmac } from "node:crypto";
import type { IngestCode } from "../errors/ingest_errors.ts";
import { type CellRate, nextDueMs } from "./cell_rate.ts";
import { plainAddress, type RangeRate, rangeOf, sourceNetwork } from "./source_networks.ts";

/** The bounds. */
export interface HandshakeBounds {
  /** From one source network. As many as its burst may be open at once. */
  readonly perSource: CellRate;
  /** Open at once, from all networks. Ranges that are not limited count nowhere. */
  readonly openMax: number;
  readonly ranges: readonly RangeRate[];
}

/** A handshake that may begin, to be given back when it has ended either way. */
export interface HandshakeTicket {
  /** Undefined: an unlimited range. */
  readonly slot: number | undefined;
}

/** The answer to a connection. */
export type HandshakeAnswer =
  | { readonly kind: "taken"; readonly ticket: HandshakeTicket }
  | { readonly kind: "refused"; readonly code: IngestCode };

const slotBits = 16;
const slotCount = 2 ** slotBits;
const unlimited: HandshakeTicket = Object.freeze({ slot: undefined });

/** Accounts of all source networks. Memory is fixed, whatever comes. */
export class Handshakes {
  readonly #bounds: HandshakeBounds;
  readonly #salt: Buffer;
  /** Rates by slot (cell_rate.ts). */
  readonly #dueMs: Float64Array = new Float64Array(slotCount);
  readonly #openAt: Uint32Array = new Uint32Array(slotCount);
  #open = 0;

  /** `salt` is fresh randomness. */
  constructor(bounds: HandshakeBounds, salt: Buffer) {
    this.#bounds = bounds;
    this.#salt = salt;
  }

  /** Handshakes that are open and count. */
  get open(): number {
    return this.#open;
  }

  /** Somebody at `address` wants to begin a handshake. */
  begin(address: string, nowMs: number): HandshakeAnswer {
    const { perSource, openMax, ranges } = this.#bounds;
    const plain = plainAddress(address);
    const rate = rateOf(perSource, rangeOf(ranges, plain));
    if (rate === undefined) return { kind: "taken", ticket: unlimited };
    const slot = this.#slotOf(sourceNetwork(plain));
    if (this.#open >= openMax || (this.#openAt[slot] ?? 0) >= rate.burstMax) return { kind: "refused", code: "INGEST_HANDSHAKES_MAX" };
    const dueMs = nextDueMs(this.#dueMs[slot] ?? 0, nowMs, rate);
    if (dueMs === undefined) return { kind: "refused", code: "INGEST_HANDSHAKE_RATE" };
    this.#dueMs[slot] = dueMs;
    this.#openAt[slot] = (this.#openAt[slot] ?? 0) + 1;
    this.#open += 1;
    return { kind: "taken", ticket: { slot } };
  }

  /** A handshake has succeeded or failed. Once per ticket. */
  end({ slot }: HandshakeTicket): void {
    if (slot === undefined) return;
    this.#openAt[slot] = (this.#openAt[slot] ?? 1) - 1;
    this.#open -= 1;
  }

  #slotOf(network: string): number {
    return createHmac("sha256", this.#salt).update(network).digest().readUInt32BE(0) >>> (32 - slotBits);
  }
}

/** The rate of a range keeps the proportion of burst to rate. */
function rateOf(perSource: CellRate, range: RangeRate | undefined): CellRate | undefined {
  if (range === undefined) return perSource;
  const { perSecondMax } = range;
  return perSecondMax === undefined
    ? undefined
    : { perSecondMax, burstMax: Math.ceil((perSource.burstMax * perSecondMax) / perSource.perSecondMax) };
}
