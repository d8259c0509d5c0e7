/**
 * Why: a failure found by chance must replay from its seed, so randomness is always handed in.
 * Enforces: keys, nonces and ids come from the system's generator; simulations, tests and the demo from a seeded one.
 * Forbids: `Math.random`, `crypto.randomBytes` and `crypto.randomUUID` anywhere else.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { invariant } from "./errors.ts";

/** A source of uniformly distributed randomness. */
export interface Random {
  /** `n` random bytes. */
  bytes(n: number): Buffer;
  /** An integer from 0 to 2^32 - 1. */
  uint32(): number;
  /** A number from 0 (inclusive) to 1 (exclusive) with 53 random bits. */
  float(): number;
  /** A version 4 UUID, lower case. */
  uuid(): string;
}

const twoTo26 = 67_108_864;
const twoTo53 = 9_007_199_254_740_992;

/** The operating system's generator, fit for keys and nonces. */
export const systemRandom: Random = Object.freeze({
  bytes: (n: number): Buffer => randomBytes(n),
  uint32: (): number => randomBytes(4).readUInt32LE(0),
  float: (): number => {
    const raw = randomBytes(8);
    return joinFloat(raw.readUInt32LE(0), raw.readUInt32LE(4));
  },
  uuid: (): string => randomUUID(),
});

/**
 * The same seed gives the same sequence on every machine and Node version. The generator is xoshiro128** 1.1 (Blackman and Vigna, public
 * domain): four 32-bit words, period 2^128 - 1, fast with JavaScript's 32-bit integer operations. Its state is the first half of SHA-256 of
 * the seed's text, so seeds `7` and `"7"` agree and neighbouring seeds are unrelated. Not for secrets.
 */
export function seededRandom(seed: number | string): Random {
  const digest = createHash("sha256").update(`ransomeye.seed.v1:${seed}`).digest();
  let a = digest.readUInt32LE(0);
  let b = digest.readUInt32LE(4);
  let c = digest.readUInt32LE(8);
  let d = digest.readUInt32LE(12);

  function uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  }

  function bytes(n: number): Buffer {
    const out = Buffer.alloc(n);
    let at = 0;
    for (; at + 4 <= n; at += 4) out.writeUInt32LE(uint32(), at);
    if (at < n) {
      let word = uint32();
      for (; at < n; at += 1, word >>>= 8) out[at] = word & 0xff;
    }
    return out;
  }

  return Object.freeze({ bytes, uint32, float: () => joinFloat(uint32(), uint32()), uuid: () => uuidFrom(bytes(16)) });
}

/**
 * How long to wait before retry number `attempt` (0 for the first): uniform between 0 and min(`capMs`, `baseMs` * 2^attempt). Full jitter spreads
 * a fleet that lost the same gateway; equal or no jitter would bring it back in waves.
 */
export function fullJitterMs(random: Random, attempt: number, baseMs: number, capMs: number): number {
  invariant(attempt >= 0 && baseMs > 0 && capMs >= baseMs, `jitter of attempt ${attempt}, base ${baseMs} ms, cap ${capMs} ms`);
  return random.float() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 52));
}

function joinFloat(high: number, low: number): number {
  return ((high >>> 5) * twoTo26 + (low >>> 6)) / twoTo53;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Sets the version (4) and variant (RFC 9562) bits of 16 random bytes. */
function uuidFrom(raw: Buffer): string {
  raw[6] = ((raw[6] ?? 0) & 0x0f) | 0x40;
  raw[8] = ((raw[8] ?? 0) & 0x3f) | 0x80;
  const hex = raw.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
