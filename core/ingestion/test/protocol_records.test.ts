/**
 * Why: verdicts, receipts and enrolment proofs are bytes that others rely on. Enforces: strict round trips and proofs that cover everything.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  chooseVersion,
  decodeVerdicts,
  type EnrolmentRequest,
  encodeVerdicts,
  enrolmentBytes,
  enrolmentFromJson,
  enrolmentToJson,
  type FrameVerdicts,
  gatewaySpiffeId,
  mustDecode,
  parseSpiffeId,
  producerSpiffeId,
  rawPublicKey,
  type ReceiptFields,
  signReceipt,
  verifyEnrolment,
  verifyReceipt,
} from "../protocol/lib.ts";

const verdicts: fc.Arbitrary<FrameVerdicts> = fc.oneof(
  fc.record({ kind: fc.constant("frame" as const), code: fc.integer({ min: 0, max: 0xffff }) }),
  fc
    .array(fc.record({ length: fc.integer({ min: 1, max: 1000 }), code: fc.option(fc.integer({ min: 0, max: 0xffff })) }), {
      maxLength: 50,
    })
    .map((lines) => {
      let at = 0;
      const starts = lines.map(({ length }) => (at += length) - length);
      return {
        kind: "lines" as const,
        lineStarts: Uint32Array.from(starts),
        invalid: lines.flatMap(({ code }, line) => (code === null ? [] : [{ line, code }])),
      };
    }),
);

test("R-17 verdicts travel: what is encoded decodes to the same, any cut or extra byte is refused", () => {
  fc.assert(
    fc.property(verdicts, fc.nat(), (value, where) => {
      const bytes = encodeVerdicts(value);
      assert.deepEqual(mustDecode(decodeVerdicts(bytes)), { ...value });
      assert.equal(decodeVerdicts(bytes.subarray(0, where % bytes.length)).kind, "refused");
      assert.equal(decodeVerdicts(Buffer.concat([bytes, Buffer.of(0)])).kind, "refused");
    }),
  );
  const refuses = (value: FrameVerdicts): void => assert.equal(decodeVerdicts(encodeVerdicts(value)).kind, "refused");
  refuses({ kind: "lines", lineStarts: Uint32Array.of(0, 9, 9), invalid: [] });
  refuses({ kind: "lines", lineStarts: Uint32Array.of(1), invalid: [] });
  refuses({ kind: "lines", lineStarts: Uint32Array.of(0), invalid: [{ line: 1, code: 1 }] });
  refuses({
    kind: "lines",
    lineStarts: Uint32Array.of(0, 2),
    invalid: [
      { line: 1, code: 1 },
      { line: 0, code: 1 },
    ],
  });
});

const producer = "0190a0b0-c0d0-7000-8000-000000000001";
const receipt: ReceiptFields = {
  epoch: 1,
  durableSeq: 20,
  chainHash: Buffer.alloc(32, 3),
  storedEpoch: 1,
  storedSeq: 10,
  receivedUs: 1_700_000_000_000_000,
  invalid: [{ seq: 12, code: 3, reason: "class_uid: unknown" }],
  invalidMore: 0,
};

test("P-1: a receipt's signature covers every field and the producer", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const signature = signReceipt(producer, receipt, privateKey);
  assert.ok(verifyReceipt(producer, { ...receipt, signature }, publicKey));
  const changes: Partial<ReceiptFields>[] = [
    { epoch: 2 },
    { durableSeq: 21 },
    { chainHash: Buffer.alloc(32, 4) },
    { storedEpoch: 0 },
    { storedSeq: 11 },
    { receivedUs: 1 },
    { invalid: [] },
    { invalidMore: 1 },
    { invalid: [{ seq: 12, code: 4, reason: "class_uid: unknown" }] },
    { invalid: [{ seq: 12, code: 3, reason: "other" }] },
  ];
  for (const change of changes)
    assert.equal(verifyReceipt(producer, { ...receipt, ...change, signature }, publicKey), false, JSON.stringify(change));
  assert.equal(verifyReceipt(producer.replace("01", "02"), { ...receipt, signature }, publicKey), false);
});

function request(): { readonly fields: EnrolmentRequest; readonly prove: (fields: EnrolmentRequest) => EnrolmentRequest } {
  const tls = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const batch = generateKeyPairSync("ed25519");
  const prove = (fields: EnrolmentRequest): EnrolmentRequest => {
    const signed = enrolmentBytes(fields);
    return { ...fields, tlsProof: sign("sha256", signed, tls.privateKey), batchProof: sign(null, signed, batch.privateKey) };
  };
  const none = Buffer.alloc(0);
  const fields = {
    kind: "linux" as const,
    name: "host-1",
    tlsPublicKey: tls.publicKey.export({ format: "der", type: "spki" }),
    batchPublicKey: rawPublicKey(batch.publicKey),
    nonce: Buffer.alloc(32, 9),
    tlsProof: none,
    batchProof: none,
  };
  return { fields: prove(fields), prove };
}

test("ING-7 enrolment needs proof of possession of both keys, over every field", () => {
  const { fields, prove } = request();
  assert.equal(verifyEnrolment(fields).kind, "decoded");
  assert.equal(verifyEnrolment(mustDecode(enrolmentFromJson(JSON.parse(JSON.stringify(enrolmentToJson(fields)))))).kind, "decoded");
  const other = request().fields;
  for (const change of [
    { kind: "windows" as const },
    { name: "host-2" },
    { nonce: Buffer.alloc(32, 8) },
    { batchPublicKey: other.batchPublicKey },
    { tlsPublicKey: other.tlsPublicKey },
    { tlsProof: other.tlsProof },
    { batchProof: other.batchProof },
  ]) {
    assert.equal(verifyEnrolment({ ...fields, ...change }).kind, "refused", Object.keys(change).join());
  }
  const small = prove({ ...fields, batchPublicKey: Buffer.concat([Buffer.of(1), Buffer.alloc(31)]) });
  const outcome = verifyEnrolment(small);
  assert.ok(outcome.kind === "refused" && outcome.code === "PROTOCOL_KEY");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" });
  assert.equal(verifyEnrolment(prove({ ...fields, tlsPublicKey: rsa })).kind, "refused");
  assert.equal(verifyEnrolment(prove({ ...fields, nonce: Buffer.alloc(4) })).kind, "refused");
});

test("SPIFFE ids have one form", () => {
  assert.deepEqual(parseSpiffeId(producerSpiffeId("ransomeye.local", "dpi", producer)), {
    role: "producer",
    trustDomain: "ransomeye.local",
    kind: "dpi",
    producer,
  });
  assert.deepEqual(parseSpiffeId(gatewaySpiffeId("ransomeye.local", "gw-1")), {
    role: "gateway",
    trustDomain: "ransomeye.local",
    gateway: "gw-1",
  });
  for (const wrong of [
    `spiffe://ransomeye.local/producer/dpi/${producer.toUpperCase()}`,
    `spiffe://ransomeye.local/producer/mac/${producer}`,
    `spiffe://ransomeye.local/producer/dpi/${producer}/`,
    `spiffe://ransomeye.local/producer/dpi/${producer}\n`,
    `spiffe://Ransomeye.local/gateway/a`,
    `spiffe:///gateway/a`,
    "spiffe://ransomeye.local/gateway/",
    `https://ransomeye.local/gateway/a`,
    `spiffe://ransomeye.local/producer/dpi/x/${producer}`,
  ]) {
    assert.equal(parseSpiffeId(wrong), undefined, wrong);
  }
});

test("the highest version that both know is spoken, or none", () => {
  assert.equal(chooseVersion([1, 3, 2, 9], [3, 2]), 3);
  assert.equal(chooseVersion([4], [3, 2]), undefined);
  assert.equal(chooseVersion([], [1]), undefined);
});
