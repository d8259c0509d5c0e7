/**
 * What the gateway runs by, and how its numbers must relate.
 *
 * Why: credit as a reservation only works where floors, frames, rates and the buffer fit each other; an operator learns at start, not under
 *   load, that they do not.
 * Enforces: every relation is checked and all that fail are reported at once (INGEST_CONFIG_INVALID).
 * Forbids: defaults for what an operator set, and numbers without a name in the heart.
 */
import { limits as kernelLimits, type Limits } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { IngestError } from "../errors/ingest_errors.ts";
import { producerKinds } from "../protocol/lib.ts";
import type { RateLimit } from "../src/rate_limit.ts";

/** The fields of a kind of producer's own section. */
export interface KindConfig {
  readonly weight: number;
  readonly rateEventsPerSecondMax: number;
  readonly rateBytesPerSecondMax: number;
}

/** The fields of section `gateway` of the configuration that the gateway reads. */
export interface GatewayConfig {
  readonly trustDomain: string;
  readonly bufferBytesMax: number;
  readonly sessionsMax: number;
  readonly lingerMs: number;
  readonly appendConnections: number;
  readonly registryFreshMsMax: number;
  readonly registryStaleMsMax: number;
  readonly rateEventsPerSecondMax: number;
  readonly rateBytesPerSecondMax: number;
  readonly totalRateEventsPerSecondMax: number;
  readonly totalRateBytesPerSecondMax: number;
  readonly appendMsMax: number;
  readonly busBacklogFramesMax: number;
  readonly engineLagMsMax: number;
  readonly quarantineMsMin: number;
  readonly quarantineMsMax: number;
  readonly kinds: Readonly<Record<ProducerKind, KindConfig>>;
}

/** Everything that the heart needs to know. Frozen. */
export interface GatewaySettings {
  readonly gatewayId: string;
  readonly trustDomain: string;
  readonly bufferBytesMax: number;
  readonly sessionsMax: number;
  readonly sessionFloorBytes: number;
  readonly sessionFloorEvents: number;
  /** Credit and held bytes of one session at most, and its unused events. */
  readonly sessionCreditBytesMax: number;
  readonly sessionCreditEventsMax: number;
  readonly lingerMsMin: number;
  /** Frames per second that the gate wants to verify; beyond it producers gather longer. */
  readonly framesPerSecondTarget: number;
  /** What one producer may send. */
  readonly rate: RateLimit;
  /** What all producers of the gate together may send. */
  readonly totalRate: RateLimit;
  /** By kind of producer: its share of a scarce buffer, and what all of the kind together may send. */
  readonly kinds: Readonly<Record<ProducerKind, { readonly weight: number; readonly rate: RateLimit }>>;
  /** Where each signal of pressure pauses the gate; see pressure.ts. */
  readonly appendMsMax: number;
  readonly busBacklogFramesMax: number;
  readonly engineLagMsMax: number;
  /** Credit in use at most right after a pause; it doubles each second from there. */
  readonly rampBytesMin: number;
  /** Strikes at which a producer is quarantined; one is forgiven each second. */
  readonly strikesMax: number;
  readonly quarantineMsMin: number;
  readonly quarantineMsMax: number;
  readonly registryFreshMsMax: number;
  readonly registryStaleMsMax: number;
  readonly frameBytesMax: number;
  readonly frameEventsMax: number;
  readonly lineBytesMax: number;
  /** Cost of the largest frame: payload, header, signature. */
  readonly frameCostBytesMax: number;
  readonly invalidPerReceiptMax: number;
  readonly helloMsMax: number;
  readonly pingAfterMs: number;
  readonly pongMsMax: number;
  readonly creditUnusedMsMax: number;
  readonly storedPollMs: number;
  /** Appends in flight at once; one per partition at most. */
  readonly appendsMax: number;
  readonly appendFramesMax: number;
  readonly appendBytesMax: number;
  readonly appendRetryMsMin: number;
  readonly appendRetryMsMax: number;
  /** Producers asked for in one reading of heads. */
  readonly headsPerReadMax: number;
  /** Producers are told to come back spread over this time. */
  readonly comeBackSpreadMs: number;
}

const signatureBytes = 64;

/** The settings that a configuration yields; throws INGEST_CONFIG_INVALID with every relation that does not hold. */
export function gatewaySettings(gatewayId: string, config: GatewayConfig, limits: Limits = kernelLimits): GatewaySettings {
  const frameCostBytesMax = limits.frameBytesMax + limits.frameHeaderBytesMax + signatureBytes;
  // A burst covers two of the largest frames: a bucket that could never hold one would never let it pass.
  const rateOf = (eventsPerSecondMax: number, bytesPerSecondMax: number): RateLimit =>
    Object.freeze({
      bytesPerSecondMax,
      eventsPerSecondMax,
      burstBytesMax: Math.max(bytesPerSecondMax, 2 * frameCostBytesMax),
      burstEventsMax: Math.max(eventsPerSecondMax, 2 * limits.frameEventsMax),
    });
  const sessionCreditBytesMax = Math.max(2 * frameCostBytesMax, Math.floor(config.bufferBytesMax / 8));
  const settings: GatewaySettings = Object.freeze({
    gatewayId,
    trustDomain: config.trustDomain,
    bufferBytesMax: config.bufferBytesMax,
    sessionsMax: config.sessionsMax,
    sessionFloorBytes: limits.sessionFloorBytes,
    sessionFloorEvents: 64,
    sessionCreditBytesMax,
    sessionCreditEventsMax: Math.ceil(sessionCreditBytesMax / limits.frameBytesMax) * limits.frameEventsMax,
    lingerMsMin: config.lingerMs,
    // A small frame costs gateway, bus and engine one to two milliseconds together, whatever it holds (bench, shape C). At a thousand a second two cores were
    // full, and receipts waited longer than the events that a longer linger gathers (bench, fairness).
    framesPerSecondTarget: 500,
    rate: rateOf(config.rateEventsPerSecondMax, config.rateBytesPerSecondMax),
    totalRate: rateOf(config.totalRateEventsPerSecondMax, config.totalRateBytesPerSecondMax),
    kinds: Object.freeze(
      Object.fromEntries(
        producerKinds.map((kind) => {
          const { weight, rateEventsPerSecondMax, rateBytesPerSecondMax } = config.kinds[kind];
          return [kind, Object.freeze({ weight, rate: rateOf(rateEventsPerSecondMax, rateBytesPerSecondMax) })];
        }),
      ) as Record<ProducerKind, { weight: number; rate: RateLimit }>,
    ),
    appendMsMax: config.appendMsMax,
    busBacklogFramesMax: config.busBacklogFramesMax,
    engineLagMsMax: config.engineLagMsMax,
    rampBytesMin: Math.max(4 * frameCostBytesMax, Math.floor(config.bufferBytesMax / 32)),
    strikesMax: 100,
    quarantineMsMin: config.quarantineMsMin,
    quarantineMsMax: config.quarantineMsMax,
    registryFreshMsMax: config.registryFreshMsMax,
    registryStaleMsMax: config.registryStaleMsMax,
    frameBytesMax: limits.frameBytesMax,
    frameEventsMax: limits.frameEventsMax,
    lineBytesMax: limits.lineBytesMax,
    frameCostBytesMax,
    invalidPerReceiptMax: limits.invalidPerReceiptMax,
    helloMsMax: 10_000,
    pingAfterMs: 60_000,
    pongMsMax: 20_000,
    creditUnusedMsMax: 120_000,
    storedPollMs: 250,
    appendsMax: config.appendConnections,
    appendFramesMax: 256,
    appendBytesMax: 4 * 1024 * 1024,
    appendRetryMsMin: 50,
    appendRetryMsMax: 2000,
    headsPerReadMax: 1024,
    comeBackSpreadMs: 5000,
  });
  const faults = settingsFaults(settings);
  if (faults.length > 0) throw new IngestError("INGEST_CONFIG_INVALID", faults.join("; "), { fields: { faults } });
  return settings;
}

/** Every relation that does not hold, as sentences that name configuration fields. */
export function settingsFaults(s: GatewaySettings): readonly string[] {
  const faults: string[] = [];
  const must = (holds: boolean, sentence: string): void => {
    if (!holds) faults.push(sentence);
  };
  must(s.gatewayId.length > 0 && s.gatewayId.length <= 64, "the gateway id has 1 to 64 characters");
  must(
    s.sessionsMax * s.sessionFloorBytes + 2 * s.frameCostBytesMax <= s.bufferBytesMax,
    `gateway.buffer_bytes_max (${s.bufferBytesMax}) must hold a floor of ${s.sessionFloorBytes} bytes for each of gateway.sessions_max (${s.sessionsMax}) and two of the largest frames`,
  );
  must(s.sessionCreditBytesMax >= 2 * s.frameCostBytesMax, "a session's credit covers two of the largest frames");
  must(s.sessionFloorBytes <= s.frameCostBytesMax, "the floor is at most one frame");
  must(
    s.rate.burstBytesMax >= 2 * s.frameCostBytesMax && s.rate.burstEventsMax >= 2 * s.frameEventsMax,
    "a burst covers two of the largest frames",
  );
  for (const [kind, { weight }] of Object.entries(s.kinds)) must(weight >= 1, `${kind}.weight is at least 1`);
  must(s.rampBytesMin >= 2 * s.frameCostBytesMax, "recovery begins with room for two of the largest frames");
  must(s.quarantineMsMin <= s.quarantineMsMax, "gateway.quarantine_ms_min must not be above gateway.quarantine_ms_max");
  must(s.registryFreshMsMax < s.registryStaleMsMax, "gateway.registry_fresh_ms_max must be below gateway.registry_stale_ms_max");
  must(s.appendBytesMax >= s.frameCostBytesMax, "one append holds at least one of the largest frames");
  must(s.appendRetryMsMin <= s.appendRetryMsMax, "append retries have a lowest and a highest wait");
  must(s.pingAfterMs + s.pongMsMax < s.creditUnusedMsMax, "a dead peer is noticed before its credit counts as unused");
  return faults;
}
