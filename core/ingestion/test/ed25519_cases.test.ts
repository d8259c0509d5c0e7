/**
 * Why: "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020) lists twelve kinds of signatures on which verifiers disagree. Here they are made from the
 * curve's published points, by arithmetic of this test's own, and each must be refused: by the key at enrolment, or by the signature.
 * Enforces: our equation is OpenSSL's: cofactorless, S below the group order, R compared by its bytes. With keys of prime order alone, that is one signature for
 * one message and nonce, and the same verdict from every strict verifier.
 */
import assert from "node:assert/strict";
import { createHash, createPublicKey, randomBytes } from "node:crypto";
import { test } from "node:test";
import { ed25519Verify, enrolledKeyFault, importPublicKey } from "../protocol/lib.ts";

const p = 2n ** 255n - 19n;
const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (v: bigint, m: bigint = p): bigint => ((v % m) + m) % m;
const power = (base: bigint, e: bigint): bigint => {
  let result = 1n;
  for (let b = mod(base), n = e; n > 0n; n >>= 1n, b = mod(b * b)) if ((n & 1n) === 1n) result = mod(result * b);
  return result;
};
const inverse = (v: bigint): bigint => power(v, p - 2n);
const d = mod(-121665n * inverse(121666n));

type Point = readonly [bigint, bigint];
const identity: Point = [0n, 1n];

function add([x1, y1]: Point, [x2, y2]: Point): Point {
  const k = mod(d * x1 * x2 * y1 * y2);
  return [mod((x1 * y2 + x2 * y1) * inverse(1n + k)), mod((y1 * y2 + x1 * x2) * inverse(1n - k))];
}

function times(scalar: bigint, point: Point): Point {
  let result = identity;
  for (let n = scalar, at = point; n > 0n; n >>= 1n, at = add(at, at)) if ((n & 1n) === 1n) result = add(result, at);
  return result;
}

function decode(hex: string): Point {
  const bytes = Buffer.from(hex, "hex").reverse();
  const odd = (bytes[0] ?? 0) >> 7 === 1;
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  const y = BigInt(`0x${bytes.toString("hex")}`);
  const square = mod((y * y - 1n) * inverse(d * y * y + 1n));
  let x = power(square, (p + 3n) / 8n);
  if (mod(x * x) !== square) x = mod(x * power(2n, (p - 1n) / 4n));
  assert.equal(mod(x * x), square, "not a point");
  return [(x % 2n === 1n) === odd ? x : mod(-x), y];
}

function bytes32(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
}

function encode([x, y]: Point): Buffer {
  return bytes32(y + ((x & 1n) << 255n));
}

const scalarOf = (bytes: Buffer): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
const challenge = (r: Buffer, a: Buffer, message: Buffer): bigint =>
  mod(scalarOf(createHash("sha512").update(r).update(a).update(message).digest()), order);

const base = decode("5866666666666666666666666666666666666666666666666666666666666666");
/** Of order 8, as published. */
const torsion = decode("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
/** The identity, spelt with y = p + 1. */
const identityAgain = bytes32(p + 1n);

interface Case {
  readonly what: string;
  readonly key: Buffer;
  readonly message: Buffer;
  readonly signature: Buffer;
}

/** A key a·B + t·T, a commitment r·B + u·T, and a message under which the torsion cancels out, or does not. */
function made(what: string, o: { a: bigint; t: bigint; r: bigint; u: bigint; cancels: boolean; add?: bigint }): Case {
  const key = encode(add(times(o.a, base), times(o.t, torsion)));
  const commitment = encode(add(times(o.r, base), times(o.u, torsion)));
  for (let n = 0; ; n += 1) {
    const message = Buffer.from(`${what} ${n}`);
    const k = challenge(commitment, key, message);
    if ((mod(o.u + k * o.t, 8n) === 0n) !== o.cancels) continue;
    const s = mod(o.r + k * o.a, order) + (o.add ?? 0n);
    return { what, key, message, signature: Buffer.concat([commitment, bytes32(s)]) };
  }
}

/** R or A is the identity in its second spelling; `reencoded`: the challenge is computed over the first. */
function respelt(what: string, where: "R" | "A", reencoded: boolean): Case {
  const a = where === "A" ? 0n : secret();
  const r = where === "R" ? 0n : secret();
  const key = where === "A" ? identityAgain : encode(times(a, base));
  const commitment = where === "R" ? identityAgain : encode(times(r, base));
  const message = Buffer.from(what);
  const hashed = (bytes: Buffer): Buffer => (reencoded && bytes.equals(identityAgain) ? encode(identity) : bytes);
  const s = mod(r + challenge(hashed(commitment), hashed(key), message) * a, order);
  return { what, key, message, signature: Buffer.concat([commitment, bytes32(s)]) };
}

const secret = (): bigint => mod(scalarOf(randomBytes(64)), order);

const cases: readonly Case[] = [
  made("A and R of small order, S = 0", { a: 0n, t: 1n, r: 0n, u: 3n, cancels: true }),
  made("A of small order, R mixed", { a: 0n, t: 1n, r: secret(), u: 3n, cancels: true }),
  made("A mixed, R of small order", { a: secret(), t: 1n, r: 0n, u: 3n, cancels: true }),
  made("A and R mixed, both equations hold", { a: secret(), t: 1n, r: secret(), u: 3n, cancels: true }),
  made("A and R mixed, the cofactored equation alone holds", { a: secret(), t: 1n, r: secret(), u: 3n, cancels: false }),
  made("A mixed, R of prime order, the cofactored equation alone holds", { a: secret(), t: 1n, r: secret(), u: 0n, cancels: false }),
  made("S above the order", { a: secret(), t: 0n, r: secret(), u: 0n, cancels: true, add: order }),
  made("S far above the order", { a: secret(), t: 0n, r: secret(), u: 0n, cancels: true, add: 14n * order }),
  respelt("R spelt another way", "R", false),
  respelt("R spelt another way, hashed in the first", "R", true),
  respelt("A spelt another way", "A", false),
  respelt("A spelt another way, hashed in the first", "A", true),
];

/** As `createPublicKey` takes them: Node refuses none of these keys. */
function unguarded(raw: Buffer): ReturnType<typeof createPublicKey> {
  return createPublicKey({ key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]), format: "der", type: "spki" });
}

/** What a frame meets: a key that enrolment admitted, and a signature that verifies under it. */
function admitted({ key, message, signature }: Case): boolean {
  if (enrolledKeyFault(key) !== undefined) return false;
  const imported = importPublicKey(key);
  return imported.kind === "decoded" && ed25519Verify(message, signature, imported.value);
}

test("TB-12 ING-7 the twelve kinds of signatures on which verifiers disagree are all refused, by the key or by the signature", () => {
  assert.equal(cases.length, 12);
  for (const one of cases) assert.equal(admitted(one), false, one.what);
  const honest = made("an honest one", { a: secret(), t: 0n, r: secret(), u: 0n, cancels: true });
  assert.equal(admitted(honest), true, "the arithmetic of this test makes signatures that hold");
});

test("TB-12 eight of the twelve fall at enrolment, the other four at the signature", () => {
  const byKey = cases.filter(({ key }) => enrolledKeyFault(key) !== undefined).map(({ what }) => what);
  assert.deepEqual(
    cases.filter(({ what }) => !byKey.includes(what)).map(({ what }) => what),
    ["S above the order", "S far above the order", "R spelt another way", "R spelt another way, hashed in the first"],
  );
});

test("TB-12 the equation is the cofactorless one: without the check of the key, torsion that cancels out would verify, and torsion that does not would not", () => {
  const verifies = (what: string): boolean => {
    const one = cases.find((candidate) => candidate.what === what);
    assert.ok(one !== undefined);
    return ed25519Verify(one.message, one.signature, unguarded(one.key));
  };
  assert.equal(verifies("A and R mixed, both equations hold"), true);
  assert.equal(verifies("A and R mixed, the cofactored equation alone holds"), false);
  assert.equal(verifies("A mixed, R of prime order, the cofactored equation alone holds"), false);
});
