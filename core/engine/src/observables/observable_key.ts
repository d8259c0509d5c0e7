/**
 * Why it exists: the index holds 32 bits of each value, so that a day's values of a large fleet are a few bytes an event.
 * Enforces: a keyed hash (HalfSipHash-2-4, as its authors published it): whoever writes events cannot make values fall together without the installation's key.
 * Forbids: taking a key for a proof; two values may share one, and whoever asks compares the values themselves.
 */
import type { Observable } from "ransomeye-ingestion/protocol";

/** Gives an observable's key, an unsigned 32-bit number. */
export type KeyOf = (observable: Observable) => number;

/** Four words of state; hashing is synchronous. */
let v0 = 0;
let v1 = 0;
let v2 = 0;
let v3 = 0;

function round(): void {
  v0 = (v0 + v1) | 0;
  v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
  v0 = (v0 << 16) | (v0 >>> 16);
  v2 = (v2 + v3) | 0;
  v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
  v0 = (v0 + v3) | 0;
  v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
  v2 = (v2 + v1) | 0;
  v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
  v2 = (v2 << 16) | (v2 >>> 16);
}

function take(word: number): void {
  v3 ^= word;
  round();
  round();
  v0 ^= word;
}

function begin(k0: number, k1: number): void {
  v0 = k0;
  v1 = k1;
  v2 = k0 ^ 0x6c796765;
  v3 = k1 ^ 0x74656462;
}

function end(): number {
  v2 ^= 0xff;
  for (let i = 0; i < 4; i++) round();
  return (v1 ^ v3) >>> 0;
}

/** HalfSipHash-2-4 of bytes, 32 bits. `salt`: 8 bytes. */
export function halfSipHash(bytes: Uint8Array, salt: Buffer): number {
  begin(salt.readInt32LE(0), salt.readInt32LE(4));
  const whole = bytes.length & ~3;
  const byte = (at: number): number => bytes[at] ?? 0;
  for (let at = 0; at < whole; at += 4) take(byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24));
  let last = bytes.length << 24;
  for (let at = whole; at < bytes.length; at++) last |= byte(at) << (8 * (at - whole));
  take(last);
  return end();
}

/** The keys of an installation: the hash of the space, one 16-bit unit, and the text in UTF-16, without making bytes of it. */
export function keysUnder(salt: Buffer): KeyOf {
  const k0 = salt.readInt32LE(0);
  const k1 = salt.readInt32LE(4);
  return ({ space, text }) => {
    begin(k0, k1);
    const units = text.length + 1;
    take(space | (text.charCodeAt(0) << 16));
    let at = 1;
    for (; at + 1 < text.length; at += 2) take(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
    const last = (units * 2) << 24;
    take(at < text.length ? last | text.charCodeAt(at) : last);
    return end();
  };
}
