/**
 * Why: the signed header is what evidence rests on. Enforces: one encoding, strict decoding, no usable weak key.
 */
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeHeader,
  encodeHeader,
  enrolledKeyFault,
  type FrameFields,
  frameHash,
  headerBytes,
  importPublicKey,
  keyIdOf,
  payloadHash,
  ProtocolError,
  publicKeyFault,
  rawPublicKey,
  signHeader,
  verifyHeader,
  zeroHash,
} from "../protocol/lib.ts";

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const safe = (min: number, max = 2 ** 52): fc.Arbitrary<number> => fc.integer({ min, max });

/** Any header that an honest producer could sign. */
const fields: fc.Arbitrary<FrameFields> = fc
  .record({
    producer: fc.uuid(),
    keyId: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString("hex")),
    kind: fc.constantFrom("events" as const, "gap" as const),
    schemaVersion: safe(0, 0xffff),
    mappingVersion: safe(0, 0xffff),
    epoch: safe(1),
    firstSeq: fc.oneof(fc.constant(1), safe(1)),
    count: safe(1, 0xffffffff),
    ahead: safe(0, 1000),
    epochsBack: safe(1, 5),
    prevSeq: safe(0),
    prevHash: hash,
    payloadHash: hash,
    payloadBytes: safe(0, 0xffffffff),
  })
  .map(({ ahead, epochsBack, ...f }) => {
    const prevEpoch = f.firstSeq > 1 ? f.epoch : Math.max(0, f.epoch - epochsBack);
    const first = prevEpoch === 0;
    return {
      ...f,
      codec: 0,
      offered: f.firstSeq + f.count - 1 + ahead,
      prevEpoch,
      prevSeq: first ? 0 : f.firstSeq > 1 ? f.firstSeq - 1 : f.prevSeq,
      prevHash: first ? zeroHash : f.prevHash,
    };
  });

const sample: FrameFields = {
  producer: "0190a0b0-c0d0-7000-8000-000000000001",
  keyId: "0011223344556677",
  kind: "events",
  codec: 0,
  schemaVersion: 1,
  mappingVersion: 0,
  epoch: 2,
  firstSeq: 11,
  count: 5,
  offered: 20,
  prevEpoch: 2,
  prevSeq: 10,
  prevHash: Buffer.alloc(32, 7),
  payloadHash: payloadHash(Buffer.from("x\n")),
  payloadBytes: 2,
};

test("a header has one encoding: what decodes encodes to the same bytes, and the other way round", () => {
  fc.assert(
    fc.property(fields, (f) => {
      const bytes = encodeHeader(f);
      assert.equal(bytes.length, headerBytes);
      const decoded = decodeHeader(bytes);
      assert.ok(decoded.kind === "decoded");
      const { hash: chainHash, ...rest } = decoded.value;
      assert.deepEqual({ ...rest }, { ...f });
      assert.deepEqual(chainHash, frameHash(bytes));
      assert.deepEqual(encodeHeader(rest), bytes);
    }),
  );
});

test("P-7: any flipped bit of a header changes its hash and breaks its signature", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const bytes = encodeHeader(sample);
  const signature = signHeader(bytes, privateKey);
  assert.ok(verifyHeader(bytes, signature, publicKey));
  fc.assert(
    fc.property(safe(0, bytes.length - 1), safe(0, 7), (index, bit) => {
      const altered = Buffer.from(bytes);
      altered[index] = (altered[index] ?? 0) ^ (1 << bit);
      assert.notDeepEqual(frameHash(altered), frameHash(bytes));
      assert.equal(verifyHeader(altered, signature, publicKey), false);
      const decoded = decodeHeader(altered);
      if (decoded.kind === "decoded") assert.deepEqual(encodeHeader(decoded.value), altered, "what is accepted has one encoding");
    }),
  );
  for (let length = 0; length < 64; length += 1) assert.equal(verifyHeader(bytes, signature.subarray(0, length), publicKey), false);
});

test("a header that is cut, longer, of another domain or version is refused with its own code", () => {
  const bytes = encodeHeader(sample);
  for (let length = 0; length < bytes.length; length += 1) {
    const decoded = decodeHeader(bytes.subarray(0, length));
    assert.ok(decoded.kind === "refused" && decoded.code === "PROTOCOL_TRUNCATED", `cut at ${length}`);
  }
  const code = (altered: Buffer): string => {
    const decoded = decodeHeader(altered);
    return decoded.kind === "refused" ? decoded.code : "decoded";
  };
  assert.equal(code(Buffer.concat([bytes, Buffer.of(0)])), "PROTOCOL_TRAILING_BYTES");
  const text = bytes.toString("latin1");
  assert.equal(code(Buffer.from(text.replace("frame.v1", "frame.v2"), "latin1")), "PROTOCOL_VERSION_UNKNOWN");
  assert.equal(code(Buffer.from(text.replace("frame.v1", "frama.v1"), "latin1")), "PROTOCOL_DOMAIN");
  const longer = Buffer.from(bytes);
  longer.writeUInt16BE(17, 20);
  assert.equal(code(longer), "PROTOCOL_FIELD_LENGTH");
});

test("integers beyond 2^53-1, unknown kinds and codecs, and links that contradict themselves are refused", () => {
  const refusedAs = (offsetFromEnd: number, write: (bytes: Buffer, at: number) => void): string => {
    const bytes = encodeHeader(sample);
    write(bytes, bytes.length - offsetFromEnd);
    const decoded = decodeHeader(bytes);
    return decoded.kind === "refused" ? decoded.code : "decoded";
  };
  // Counted from the end: payload_bytes 4, payload_sha256 2+34, prev_hash 34, prev_seq 10, prev_epoch 10, offered 10, count 6, first_seq 10, epoch 10 …
  const at = {
    prevSeq: 4 + 2 + 34 + 34 + 8,
    offered: 4 + 2 + 34 + 34 + 10 + 10 + 8,
    codec: 4 + 2 + 34 + 34 + 10 + 10 + 10 + 6 + 10 + 10 + 4 + 4 + 1,
  };
  assert.equal(
    refusedAs(at.offered, (b, i) => b.writeUInt32BE(0x200000, i)),
    "PROTOCOL_INTEGER",
  );
  assert.equal(
    refusedAs(at.codec, (b, i) => b.writeUInt8(1, i)),
    "PROTOCOL_CODEC_UNKNOWN",
  );
  assert.equal(
    refusedAs(at.codec + 3, (b, i) => b.writeUInt8(3, i)),
    "PROTOCOL_KIND_UNKNOWN",
  );
  assert.equal(
    refusedAs(at.prevSeq, (b, i) => b.writeUInt32BE(9, i + 4)),
    "PROTOCOL_LINK",
  );
  assert.equal(
    refusedAs(at.offered, (b, i) => b.writeUInt32BE(14, i + 4)),
    "PROTOCOL_LINK",
  );
  for (const broken of [
    { prevSeq: 9 },
    { prevEpoch: 1 },
    { offered: 14 },
    { firstSeq: 1 },
    { count: 0 },
    { epoch: 0 },
    { codec: 1 },
    { epoch: 2 ** 53 },
    { producer: sample.producer.toUpperCase() },
    { prevHash: Buffer.alloc(31) },
    { keyId: "00" },
  ]) {
    assert.throws(() => encodeHeader({ ...sample, ...broken }), ProtocolError, JSON.stringify(broken));
  }
});

test("R-6 the very first frame links to nothing", () => {
  const first = { ...sample, epoch: 1, firstSeq: 1, prevEpoch: 0, prevSeq: 0, prevHash: zeroHash };
  assert.equal(decodeHeader(encodeHeader(first)).kind, "decoded");
  assert.throws(() => encodeHeader({ ...first, prevHash: Buffer.alloc(32, 1) }), ProtocolError);
});

const torsion = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
const topBit = (hex: string): string => {
  const bytes = Buffer.from(hex, "hex");
  bytes[31] = (bytes[31] ?? 0) ^ 0x80;
  return bytes.toString("hex");
};

test("Ed25519 keys of small order are refused although Node loads them", () => {
  const points = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    torsion,
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ];
  for (const hex of points.flatMap((point) => [point, topBit(point)])) {
    const raw = Buffer.from(hex, "hex");
    assert.ok(publicKeyFault(raw), hex);
    assert.equal(importPublicKey(raw).kind, "refused", hex);
    assert.ok(enrolledKeyFault(raw), hex);
  }
  // Why it matters: Node loads such a key, and with the OpenSSL of Node 20, R = identity and S = 0 then "signs" every message (newer ones refuse to verify).
  const identity = Buffer.from(points[0] ?? "", "hex");
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), identity]);
  assert.equal(createPublicKey({ key: spki, format: "der", type: "spki" }).asymmetricKeyType, "ed25519");
});

test("Ed25519 keys in a second encoding, of mixed order or off the curve are refused", () => {
  for (const low of ["ed", "ee", "ef", "f0", "ff"]) {
    for (const high of ["7f", "ff"]) assert.ok(publicKeyFault(Buffer.from(low + "ff".repeat(30) + high, "hex")), low + high);
  }
  // A generated key plus the point of order 8, computed apart with affine BigInt arithmetic: passes the cheap check, not enrolment.
  const honest = rawPublicKey(generateKeyPairSync("ed25519").publicKey);
  assert.equal(enrolledKeyFault(honest), undefined);
  const mixed = affineSum(honest, Buffer.from(torsion, "hex"));
  assert.equal(publicKeyFault(mixed), undefined);
  assert.equal(enrolledKeyFault(mixed)?.code, "PROTOCOL_KEY");
  // Roughly half of all y have no x.
  const off = Array.from({ length: 16 }, (_, y) => Buffer.concat([Buffer.of(y + 2), Buffer.alloc(31)])).filter((raw) =>
    enrolledKeyFault(raw),
  );
  assert.ok(off.length > 0);
});

test("raw keys and KeyObjects convert both ways, and the key id is the hash's first 8 bytes", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = rawPublicKey(publicKey);
  assert.deepEqual(rawPublicKey(privateKey), raw);
  const imported = importPublicKey(raw);
  assert.ok(imported.kind === "decoded" && imported.value.equals(publicKey));
  assert.equal(keyIdOf(raw), payloadHash(raw).toString("hex").slice(0, 16));
});

/** Sum of two points in affine coordinates, written apart from the code under test. */
function affineSum(a: Buffer, b: Buffer): Buffer {
  const p = 2n ** 255n - 19n;
  const mod = (v: bigint): bigint => ((v % p) + p) % p;
  const pow = (base: bigint, e: bigint): bigint => (e === 0n ? 1n : mod(pow(mod(base * base), e / 2n) * (e % 2n === 1n ? base : 1n)));
  const inverse = (v: bigint): bigint => pow(mod(v), p - 2n);
  const d = mod(-121665n * inverse(121666n));
  const point = (raw: Buffer): [bigint, bigint] => {
    const bytes = Buffer.from(raw).reverse();
    const odd = (bytes[0] ?? 0) >> 7 === 1;
    bytes[0] = (bytes[0] ?? 0) & 0x7f;
    const y = BigInt(`0x${bytes.toString("hex")}`);
    const square = mod((y * y - 1n) * inverse(d * y * y + 1n));
    let x = pow(square, (p + 3n) / 8n);
    if (mod(x * x) !== square) x = mod(x * pow(2n, (p - 1n) / 4n));
    assert.equal(mod(x * x), square);
    return [(x % 2n === 1n) === odd ? x : mod(-x), y];
  };
  const [x1, y1] = point(a);
  const [x2, y2] = point(b);
  const k = mod(d * x1 * x2 * y1 * y2);
  const x = mod((x1 * y2 + x2 * y1) * inverse(1n + k));
  const y = mod((y1 * y2 + x1 * x2) * inverse(1n - k));
  const bytes = Buffer.from(y.toString(16).padStart(64, "0"), "hex").reverse();
  if (x % 2n === 1n) bytes[31] = (bytes[31] ?? 0) | 0x80;
  return bytes;
}
