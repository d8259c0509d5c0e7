/**
 * The bounds of a connection, from accept to end.
 *
 * Why: what stands on a hostile network needs a limit on everything that a peer can make it do; in one place an operator can read them.
 * Enforces: each has a name with its unit. Three are an operator's to set; the others follow from the protocol and are stated in
 *   `core/docs/transport_limits.md`.
 * Forbids: a limit of the HTTP/2 library left at its default where ours is lower.
 */
import { type RangeRate, parseRangeRates } from "../src/source_networks.ts";
import type { CellRate } from "../src/cell_rate.ts";
import type { AllowanceBounds } from "../src/transport_allowance.ts";

/** The fields of section `gateway` of the configuration that bound handshakes. */
export interface HandshakeConfig {
  readonly handshakesPerSecondMax: number;
  readonly handshakeBurstMax: number;
  /** `RANGE=RATE` pairs, see source_networks.ts. */
  readonly handshakeOverrides: string;
}

/** Every bound of a connection. Frozen. */
export interface TransportSettings {
  readonly connectionsMax: number;
  readonly handshakesPerSource: CellRate;
  readonly handshakeRanges: readonly RangeRate[];
  /** Handshakes open at once. One that waits for its peer holds about 40 KB. */
  readonly handshakesOpenMax: number;
  readonly handshakeMsMax: number;
  /** How long a connection may be without a conversation. */
  readonly idleMsMax: number;
  /** How long a connection may outlive its conversation. */
  readonly farewellMsMax: number;
  /** Requests on one connection: a conversation, and a few that are refused. */
  readonly requestsMax: number;
  readonly allowance: AllowanceBounds;
  /** Messages that are no frame. */
  readonly words: CellRate;
  /** From the first byte of a message to its last: the largest one at 8 KB/s takes half of it. */
  readonly messageMsMax: number;
  /** How long a peer may read nothing of what waits for it. */
  readonly unreadMsMax: number;
}

const kib = 1024;

/** The bounds that a configuration yields; throws INGEST_CONFIG_INVALID where an override cannot be read. */
export function transportSettings(sessionsMax: number, config: HandshakeConfig): TransportSettings {
  return Object.freeze({
    connectionsMax: sessionsMax + Math.ceil(sessionsMax / 10),
    handshakesPerSource: { perSecondMax: config.handshakesPerSecondMax, burstMax: config.handshakeBurstMax },
    handshakeRanges: parseRangeRates(config.handshakeOverrides),
    handshakesOpenMax: 1024,
    handshakeMsMax: 10_000,
    idleMsMax: 10_000,
    farewellMsMax: 2000,
    requestsMax: 4,
    allowance: Object.freeze({ bytesPerSecondMax: 16 * kib, burstBytesMax: 128 * kib, perMessageByte: 0.25 }),
    words: Object.freeze({ perSecondMax: 500, burstMax: 2000 }),
    messageMsMax: 60_000,
    unreadMsMax: 60_000,
  });
}
