/**
 * Why: OCSF's definitions are not part of the repository; what an attestation of ours must look like is held by every run all the same.
 * Enforces: the attributes that we write, in a table of our own in OCSF's form; and that the check which is run with OCSF's own definitions finds what does not fit them.
 * Forbids: OCSF's text.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttestationRecord } from "ransomeye-evidence";
import { fullWorld, producerIds } from "ransomeye-evidence/testing";
import { objectFaults } from "../src/corpus/attestation_schema_check.ts";
import { Schema } from "../src/corpus/ocsf_check.ts";

const required = { requirement: "required" };
const recommended = { requirement: "recommended" };
const listedAs = (...captions: readonly string[]): object => ({
  enum: Object.fromEntries(captions.map((caption, number) => [number, { caption }])),
});
const definitions: Readonly<Record<string, object>> = {
  "dictionary.json": {
    types: { attributes: { string_t: {}, integer_t: {}, timestamp_t: { type: "long_t" }, file_hash_t: { type: "string_t" } } },
    attributes: {
      algorithm: { type: "string_t" },
      algorithm_id: { type: "integer_t", sibling: "algorithm" },
      authority_uid: { type: "string_t" },
      chain_uid: { type: "string_t" },
      created_time: { type: "timestamp_t" },
      digest: { type: "fingerprint" },
      encoding: { type: "string_t" },
      encoding_id: { type: "integer_t", sibling: "encoding" },
      fingerprint: { type: "fingerprint" },
      serialization: { type: "string_t" },
      serialization_id: { type: "integer_t", sibling: "serialization" },
      signatures: { type: "digital_signature", is_array: true },
      uid: { type: "string_t" },
      value: { type: "string_t" },
    },
  },
  "objects/attestation.json": {
    name: "attestation",
    attributes: { uid: {}, authority_uid: recommended, chain_uid: recommended, fingerprint: recommended, signatures: recommended },
    constraints: { at_least_one: ["fingerprint", "signatures"] },
  },
  "objects/digital_signature.json": {
    name: "digital_signature",
    attributes: {
      algorithm: {},
      algorithm_id: { ...required, enum: { 0: { caption: "Unknown" }, 99: { caption: "Other" } } },
      created_time: {},
      digest: {},
      serialization: {},
      serialization_id: { ...recommended, enum: { 2: { caption: "JCS" }, 99: { caption: "Other" } } },
    },
  },
  "objects/fingerprint.json": {
    name: "fingerprint",
    attributes: {
      algorithm: {},
      algorithm_id: { ...required, ...listedAs("Unknown", "MD5", "SHA-1", "SHA-256") },
      encoding: {},
      encoding_id: { ...recommended, ...listedAs("Unknown", "Hex") },
      serialization: {},
      serialization_id: listedAs("Unknown", "Flat", "JCS"),
      value: { ...required, type: "file_hash_t" },
    },
  },
};
const schema = new Schema(new Map(Object.entries(definitions).map(([path, value]) => [path, Buffer.from(JSON.stringify(value))])));

const [producer = ""] = producerIds;
interface Attested {
  readonly fingerprint: Readonly<Record<string, unknown>>;
  readonly signatures: readonly Readonly<Record<string, unknown>>[];
}
const attested = ((): Attested => {
  const records = fullWorld().attestedFile({ producer, epoch: 2, seq: 3 });
  const record = records.find((one): one is AttestationRecord => one.type === "attestation");
  return (JSON.parse(record?.document ?? "") as { attestation_list: Attested[] }).attestation_list[0] as Attested;
})();
const faults = (value: unknown): string[] => objectFaults(schema, "attestation", value, "attestation");

test("DP-70 an attestation, signed or not, has the attributes of its schema, and only those", () => {
  assert.deepEqual(faults(attested), []);
  const { signatures: _none, ...unsigned } = attested;
  assert.deepEqual(faults(unsigned), []);
});

test("DP-70 whoever holds attestations against a schema finds what does not fit it", () => {
  const { fingerprint, signatures, ...rest } = attested;
  const [signature = {}] = signatures;
  const { value: _value, ...valueless } = fingerprint;
  for (const [value, says] of [
    [{ ...attested, note: "x" }, "attestation has note, which attestation has not"],
    [rest, "attestation has none of fingerprint, signatures"],
    [{ ...attested, fingerprint: valueless }, "attestation.fingerprint has no value"],
    [{ ...attested, fingerprint: { ...fingerprint, algorithm_id: 77 } }, "attestation.fingerprint.algorithm_id is 77, which is not listed"],
    [
      { ...attested, fingerprint: { ...fingerprint, algorithm: "SHA-1" } },
      "attestation.fingerprint.algorithm is SHA-1, and algorithm_id says SHA-256",
    ],
    [{ ...attested, fingerprint: [fingerprint] }, "attestation.fingerprint is a list"],
    [{ ...attested, signatures: signature }, "attestation.signatures is no list"],
    [{ ...attested, signatures: [{ ...signature, created_time: "now" }] }, "attestation.signatures[0].created_time is no integer"],
    [{ ...attested, signatures: [{ ...signature, digest: valueless }] }, "attestation.signatures[0].digest has no value"],
    [{ ...attested, chain_uid: 1 }, "attestation.chain_uid is no string"],
    [null, "attestation is no attestation"],
  ] as const)
    assert.deepEqual(faults(value), [says]);
});
