/**
 * Why: a key of mixed order passes every list of bad encodings, and under it some verifiers accept what
 *   others refuse. Only multiplying by the group order tells.
 * Enforces: RFC 8032 decompression and the check [L]P = identity for the keys that enrolment admits.
 * Forbids: use on the hot path or with secrets: plain BigInt arithmetic, neither fast nor constant in time.
 */

const p = 2n ** 255n - 19n;
/** Order of the prime subgroup. */
const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const d = mod(-121665n * power(121666n, p - 2n));
const sqrtMinusOne = power(2n, (p - 1n) / 4n);

/** Extended homogeneous coordinates: x = X/Z, y = Y/Z, T = XY/Z. */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
  readonly t: bigint;
}

/** Whether 32 bytes are the encoding of a point of the prime subgroup other than the identity. */
export function isPrimeOrder(raw: Buffer): boolean {
  const point = decompress(raw);
  return point !== undefined && !isIdentity(point) && isIdentity(multiply(point, order));
}

function decompress(raw: Buffer): Point | undefined {
  const bytes = Buffer.from(raw).reverse();
  const sign = (bytes[0] ?? 0) >> 7;
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  const y = BigInt(`0x${bytes.toString("hex")}`);
  if (y >= p) return undefined;
  const u = mod(y * y - 1n);
  const v = mod(d * y * y + 1n);
  let x = mod(u * power(v, 3n) * power(u * power(v, 7n), (p - 5n) / 8n));
  if (mod(v * x * x) === mod(-u)) x = mod(x * sqrtMinusOne);
  if (mod(v * x * x) !== u) return undefined;
  if (x === 0n && sign === 1) return undefined;
  if (Number(x & 1n) !== sign) x = mod(-x);
  return { x, y, z: 1n, t: mod(x * y) };
}

function add(a: Point, b: Point): Point {
  const e0 = mod((a.y - a.x) * (b.y - b.x));
  const e1 = mod((a.y + a.x) * (b.y + b.x));
  const c = mod(2n * d * a.t * b.t);
  const z = mod(2n * a.z * b.z);
  const e = e1 - e0;
  const f = z - c;
  const g = z + c;
  const h = e1 + e0;
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function multiply(point: Point, scalar: bigint): Point {
  let result: Point = { x: 0n, y: 1n, z: 1n, t: 0n };
  for (const bit of scalar.toString(2)) {
    result = add(result, result);
    if (bit === "1") result = add(result, point);
  }
  return result;
}

function isIdentity(point: Point): boolean {
  return point.x === 0n && point.y === point.z;
}

function mod(value: bigint): bigint {
  const remainder = value % p;
  return remainder < 0n ? remainder + p : remainder;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = mod(b * b)) if ((e & 1n) === 1n) result = mod(result * b);
  return result;
}
