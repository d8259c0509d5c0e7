/**
 * Why it exists: a malformed argument is a defect of the caller; it must be told apart from a verdict on a frame, and before any byte moves.
 * Enforces: lengths of hashes and ids, safe integers, bounds of one call; the same for every adapter.
 * Forbids: judging. Whether a well-formed frame is next is `append_machine.ts`'s to say.
 */
import type { AppendOptions, FrameAppend, FrameKind, ProducerKind } from "./bus.ts";
import { BusError } from "./errors.ts";

/** Bounds of one append call; a gate's own limits lie well below. */
export const appendFramesMax: number = 4096;
export const frameBytesMax: number = 4 * 1024 * 1024;

/** Codes under which kinds are stored (0002_bus.sql); they never change. */
export const producerKindCodes: Readonly<Record<ProducerKind, number>> = Object.freeze({ dpi: 1, linux: 2, windows: 3, honeypot: 4 });
export const frameKindCodes: Readonly<Record<FrameKind, number>> = Object.freeze({ events: 1, gap: 2 });

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const keyIdPattern = /^[0-9a-f]{16}$/;

/** Bytes that a frame brings to the bus. */
export function frameBytes(frame: FrameAppend): number {
  return frame.header.length + frame.signature.length + frame.verdicts.length + frame.payload.length;
}

/** @throws BusError BUS_BAD_ARGUMENT */
export function checkPartition(part: number, partitions: number): void {
  if (!integerIn(part, 0, partitions - 1)) throw bad("no such partition", { part, partitions });
}

/** @throws BusError BUS_BAD_ARGUMENT */
export function checkProducer(producer: string): void {
  if (!uuidPattern.test(producer)) throw bad("a producer is a lower-case canonical uuid", {});
}

/** @throws BusError BUS_BAD_ARGUMENT for a gate without a well-formed incarnation, or the first frame that is not well formed */
export function checkAppend(frames: readonly FrameAppend[], { incarnation }: AppendOptions): void {
  if (!uuidPattern.test(incarnation)) throw bad("an incarnation is a lower-case canonical uuid", {});
  if (frames.length > appendFramesMax) throw bad("too many frames in one call", { frames: frames.length });
  for (const frame of frames) {
    const { link } = frame;
    const numbers =
      integerIn(link.epoch, 1, Number.MAX_SAFE_INTEGER) &&
      integerIn(link.firstSeq, 1, Number.MAX_SAFE_INTEGER) &&
      integerIn(link.count, 1, 0x7fffffff) &&
      Number.isSafeInteger(link.firstSeq + link.count) &&
      integerIn(link.offered, 0, Number.MAX_SAFE_INTEGER) &&
      integerIn(link.prevEpoch, 0, Number.MAX_SAFE_INTEGER) &&
      integerIn(link.prevSeq, 0, Number.MAX_SAFE_INTEGER) &&
      integerIn(link.codec, 0, 0x7fff) &&
      integerIn(link.schemaVersion, 0, 0xffff) &&
      integerIn(link.mappingVersion, 0, 0xffff);
    const hashes = link.hash.length === 32 && link.prevHash.length === 32 && link.payloadHash.length === 32;
    const names = uuidPattern.test(link.producer) && keyIdPattern.test(link.keyId);
    const kinds = link.kind in frameKindCodes && frame.producerKind in producerKindCodes;
    if (!numbers || !hashes || !names || !kinds || frameBytes(frame) > frameBytesMax) {
      throw bad("a frame is not well formed", { producer: link.producer, epoch: link.epoch, first_seq: link.firstSeq });
    }
  }
}

function integerIn(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function bad(message: string, fields: Readonly<Record<string, unknown>>): BusError {
  return new BusError("BUS_BAD_ARGUMENT", message, { fields });
}
