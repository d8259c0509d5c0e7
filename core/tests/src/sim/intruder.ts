/**
 * Why: nothing may enter without a certificate, a registered key and a valid signature, whatever else goes wrong at the same time (promise 4).
 * Enforces: a peer with a valid certificate of its own tries other names, other keys, altered payloads and replayed frames.
 * Forbids: nothing; it is the enemy.
 */
import {
  encodeHeader,
  frameHash,
  openEpochBytes,
  payloadHash,
  schemaVersions,
  type ServerMessage,
  zeroHash,
} from "ransomeye-ingestion/protocol";
import { plainHello } from "../gate/test_client.ts";
import type { GateNode } from "./gate_node.ts";
import { type SimKey, sign } from "./keys.ts";
import { Life, type Scheduler, chance, pick } from "./scheduler.ts";
import { Wire, type WireFaults } from "./wire.ts";

export interface IntruderOptions {
  readonly scheduler: Scheduler;
  readonly id: string;
  readonly key: SimKey;
  readonly victims: readonly string[];
  readonly victimKeyId: string;
  readonly faults: WireFaults;
  gates(): readonly GateNode[];
}

/** One session that tries one thing. */
export function intrude(options: IntruderOptions): void {
  const { scheduler, id, key, faults } = options;
  const gates = options.gates().filter((gate) => gate.life.alive);
  if (gates.length === 0) return;
  const life = new Life(scheduler);
  const wire: Wire = new Wire(scheduler, faults, { life, hear: (message) => hear(message), closed: () => life.kill() });
  const keyId = Buffer.from(key.keyId, "hex");
  const hear = (message: ServerMessage): void => {
    // In its own name it may open an epoch; so a forged frame comes where a genuine one would be next.
    if (message.kind === "welcome") {
      const expectedEpoch = message.head.epoch;
      wire.up({
        kind: "openEpoch",
        expectedEpoch,
        keyId,
        signature: sign(key.secret, openEpochBytes(id, expectedEpoch, message.sessionNonce)),
        sessionNonce: message.sessionNonce,
      });
    }
    if (message.kind === "epochOpened") wire.up({ kind: "frame", ...forged(options, message.epoch) });
    if (message.kind === "goodbye") wire.cut();
  };
  life.in(1, "an intruder connects", () => {
    pick(scheduler.random, gates).accept(wire, id);
    wire.up(plainHello({ agent: "intruder", keyId }));
  });
}

/** A frame with something false about it. */
function forged(
  { scheduler, key, victims, victimKeyId, id }: IntruderOptions,
  epoch: number,
): { header: Buffer; signature: Buffer; payload: Buffer } {
  const { random } = scheduler;
  const payload = Buffer.from('{"forged":true}\n');
  const asVictim = chance(random, 0.7);
  const header = encodeHeader({
    producer: asVictim ? pick(random, victims) : id,
    keyId: chance(random, 0.5) ? key.keyId : victimKeyId,
    kind: "events",
    codec: 0,
    schemaVersion: schemaVersions[0] ?? 1,
    mappingVersion: 0,
    epoch,
    firstSeq: 1,
    count: 1,
    offered: 1,
    prevEpoch: 0,
    prevSeq: 0,
    prevHash: zeroHash,
    payloadHash: payloadHash(payload),
    payloadBytes: payload.length,
  });
  // As itself, its own signature is no good: over other bytes.
  const signature = sign(key.secret, asVictim ? header : frameHash(header));
  return { header, signature, payload };
}
