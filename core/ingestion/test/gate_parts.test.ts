/**
 * Why: small parts whose errors would be dear.
 * Enforces: identity from facts, ordering, the dispatcher's retries, settings that must fit each other, the code table.
 * Forbids: sockets and clocks.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { hasCode, limits, seededRandom } from "ransomeye-kernel";
import type { AppendOutcome, ProducerHead } from "ransomeye-pipeline";
import { gatewaySettings, settingsFaults } from "../config/validation.ts";
import { INGEST_CODES } from "../errors/ingest_errors.ts";
import { type CertificateFacts, identify } from "../security/identity.ts";
import { enforceTrust, isTrusted, type Trusted } from "../security/trust_enforcement.ts";
import { Dispatcher } from "../src/dispatcher.ts";
import { realChecks } from "../src/main.ts";
import { advance, expectFrom, placeOf } from "../src/ordering.ts";
import { preAdmit } from "../src/pre_admission.ts";
import { handshakeCode } from "../src/tls.ts";
import { decodeHeader, zeroHash } from "../protocol/lib.ts";
import { ModelProducer, modelConfig } from "./gate_model.ts";

const bytesMax = 1 << 24;
const uuid = "0b4e1c9a-7d2f-4f60-8a11-3f2d5c6b7a80";
const facts = (names: string | undefined, usages = ["1.3.6.1.5.5.7.3.2"]): CertificateFacts => ({
  subjectAltName: names,
  usages,
  fingerprint: "ab",
  notAfterUs: Number.MAX_SAFE_INTEGER,
  isAuthority: false,
  keyIsWeak: false,
});
const code = (names: string | undefined, usages?: string[]): string => {
  const identified = identify(facts(names, usages), "d");
  return identified.kind === "refused" ? identified.code : identified.identity.producer;
};

test("P-4: identity is exactly one URI of ours; nothing that looks like one passes", () => {
  const good = `URI:spiffe://d/producer/linux/${uuid}`;
  assert.equal(code(good), uuid);
  assert.equal(code(undefined), "INGEST_IDENTITY_MISSING");
  assert.equal(code("DNS:spiffe.d"), "INGEST_IDENTITY_MISSING");
  assert.equal(code(`${good}, ${good}`), "INGEST_IDENTITY_AMBIGUOUS");
  assert.equal(code(`DNS:x, ${good}`), "INGEST_IDENTITY_AMBIGUOUS");
  assert.equal(code(`URI:"spiffe://d/producer/linux/${uuid}"`), "INGEST_IDENTITY_MALFORMED");
  assert.equal(code(`URI:spiffe://e/producer/linux/${uuid}`), "INGEST_TRUST_DOMAIN");
  assert.equal(code(`URI:spiffe://d/producer/linux/${uuid.toUpperCase()}`), "INGEST_IDENTITY_MALFORMED");
  assert.equal(code(`URI:spiffe://d/producer/mac/${uuid}`), "INGEST_IDENTITY_MALFORMED");
  assert.equal(code(`URI:spiffe://d/producer/linux/${uuid}/x`), "INGEST_IDENTITY_MALFORMED");
  assert.equal(code(good, []), "INGEST_CERT_USAGE");
  assert.equal(code(good, ["1.3.6.1.5.5.7.3.1"]), "INGEST_CERT_USAGE");
});

test("refused handshakes have codes", () => {
  assert.equal(handshakeCode("ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", undefined), "INGEST_CERT_MISSING");
  assert.equal(handshakeCode("ECONNRESET", "CERT_HAS_EXPIRED"), "INGEST_CERT_EXPIRED");
  assert.equal(handshakeCode("ECONNRESET", "SELF_SIGNED_CERT_IN_CHAIN"), "INGEST_CERT_UNTRUSTED");
  assert.equal(handshakeCode("ECONNRESET", undefined), "INGEST_TLS_REFUSED");
});

test("style 7: every code has a meaning, a next step and an answer that producers know (IF-2)", () => {
  for (const [name, spec] of Object.entries(INGEST_CODES)) {
    assert.match(name, /^INGEST_[A-Z_]+$/);
    assert.ok(spec.meaning.length > 10 && spec.next.length > 5, name);
    assert.ok(["resend", "wait", "reconnect", "stop"].includes(spec.answer), name);
  }
});

test("style 2: settings that do not fit each other are all reported at once", () => {
  assert.deepEqual(settingsFaults(gatewaySettings("g", modelConfig)), []);
  assert.throws(
    () => gatewaySettings("", { ...modelConfig, sessionsMax: 20_000, registryFreshMsMax: 70_000 }),
    (error: unknown) => hasCode(error, "INGEST_CONFIG_INVALID") && (error.fields["faults"] as string[]).length === 3,
  );
});

const head = (epoch: number, seq: number, hash: Buffer = zeroHash): ProducerHead => ({
  epoch,
  seq,
  hash,
  part: 0,
  prevEpoch: 0,
  prevSeq: 0,
  prevHash: zeroHash,
  storedEpoch: 0,
  storedSeq: 0,
});

/** A chain of trusted frames of one producer. */
function trustedChain(seed: number, frames: number): Trusted[] {
  const producer = new ModelProducer(seededRandom(seed));
  producer.epoch = 1;
  return Array.from({ length: frames }, () => {
    const admitted = preAdmit(producer.frame(2), limits);
    assert.equal(admitted.kind, "claim");
    assert.ok(admitted.kind === "claim");
    const verdict = enforceTrust(admitted.claim, { identity: producer.identity, entry: producer.entry, nowUs: 0 }, realChecks);
    assert.ok(verdict.kind === "trusted");
    return verdict.value;
  });
}

test("R-37 next, ahead, behind; another past is the bus's to judge", () => {
  const [first, second, third] = trustedChain(1, 3).map(({ header }) => header);
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const start = expectFrom(head(1, 0), 0);
  assert.equal(placeOf(start, first), "next");
  assert.equal(placeOf(start, second), "ahead");
  const later = advance(start, first);
  assert.equal(placeOf(later, first), "behind");
  assert.equal(placeOf(later, second), "next");
  assert.equal(placeOf(later, third), "ahead");
  assert.equal(placeOf(expectFrom(head(1, 2, Buffer.alloc(32, 9)), 0), second), "behind");
  assert.equal(placeOf(expectFrom(head(2, 0), 0), second), "behind");
  assert.equal(placeOf(expectFrom(head(0, 0), 0), first), "ahead");
});

test("style 4: only enforceTrust mints; a look-alike is a defect at the dispatcher (IF-1)", () => {
  const [frame] = trustedChain(2, 1);
  assert.ok(frame !== undefined && isTrusted(frame) && Object.isFrozen(frame));
  const dispatcher = new Dispatcher({ appendsMax: 1, appendFramesMax: 10, appendBytesMax: 1 << 20 });
  const lookAlike: Trusted = Object.assign({}, frame);
  assert.throws(() => dispatcher.enqueue(0, { session: 1, frame: lookAlike, lineage: 0 }), /minted/);
});

test("step 7: what the bus did not judge goes back to the front in its order, with what fell behind it; the rest is answered", () => {
  const dispatcher = new Dispatcher({ appendsMax: 2, appendFramesMax: 10, appendBytesMax: 1 << 20 });
  const mine = trustedChain(3, 3);
  const [theirs] = trustedChain(4, 1);
  assert.ok(theirs !== undefined);
  for (const frame of [...mine, theirs]) dispatcher.enqueue(0, { session: 1, frame, lineage: 0 });
  const [batch] = dispatcher.take(0, bytesMax, false);
  assert.equal(batch?.entries.length, 4);
  assert.ok(batch !== undefined);
  const paused: AppendOutcome = { kind: "paused", reason: "full", retryAfterMs: 500 };
  const gap: AppendOutcome = { kind: "gap", head: head(1, 0) };
  const result = dispatcher.settle(batch.id, [paused, gap, gap, { kind: "duplicate", head: head(1, 2), acceptedBy: null }], 0, 50);
  assert.deepEqual(
    result.answered.map(({ outcome }) => outcome.kind),
    ["duplicate"],
  );
  assert.deepEqual(result.blocked, { reason: "full", frames: 3 });
  assert.equal(dispatcher.take(499, bytesMax, false).length, 0, "not before the bus said");
  const [again] = dispatcher.take(500, bytesMax, false);
  assert.deepEqual(
    again?.entries.map(({ frame }) => frame.header.firstSeq),
    [1, 3, 5],
  );
  assert.ok(again !== undefined);
  assert.equal(dispatcher.fail(again.id, 500, () => 100).failures, 1);
  assert.deepEqual(
    dispatcher.take(600, bytesMax, false)[0]?.entries.map(({ frame, repeated }) => [frame.header.firstSeq, repeated]),
    [
      [1, true],
      [3, true],
      [5, true],
    ],
  );
});

test("BP-25 step 7: while producers wait for room small batches go one at a time, the next gathers meanwhile, and a large one waits for nothing", () => {
  const dispatcher = new Dispatcher({ appendsMax: 4, appendFramesMax: 16, appendBytesMax: 1 << 20 });
  const enqueue = (part: number, seed: number, frames: number): void => {
    for (const frame of trustedChain(seed, frames)) dispatcher.enqueue(part, { session: seed, frame, lineage: 0 });
  };
  const sizes = (gathers: boolean): number[] => dispatcher.take(0, bytesMax, gathers).map(({ entries }) => entries.length);
  for (const part of [0, 1, 2]) enqueue(part, 30 + part, 1);
  const [first, more] = dispatcher.take(0, bytesMax, true);
  assert.ok(first !== undefined && more === undefined);
  enqueue(1, 40, 2);
  assert.deepEqual(sizes(true), [], "three of the sixteen that one append carries");
  enqueue(1, 41, 1);
  assert.deepEqual(sizes(true), [4], "a quarter of them");
  enqueue(3, 42, 1);
  dispatcher.settle(first.id, [{ kind: "duplicate", head: head(1, 2), acceptedBy: null }], 0, 50);
  assert.deepEqual(sizes(true), [], "another is still in flight");
  assert.deepEqual(sizes(false), [1, 1], "nobody waits for room any more");
});

test("BP-25 step 7: a few large frames are a large batch", () => {
  const [frame] = trustedChain(50, 1);
  assert.ok(frame !== undefined);
  const dispatcher = new Dispatcher({ appendsMax: 2, appendFramesMax: 1000, appendBytesMax: 4 * frame.cost.bytes });
  for (const part of [0, 1]) dispatcher.enqueue(part, { session: part, frame, lineage: 0 });
  assert.equal(dispatcher.take(0, bytesMax, true).length, 2);
});

test("step 7: appends are bounded in number, frames and bytes, and partitions take turns", () => {
  const dispatcher = new Dispatcher({ appendsMax: 1, appendFramesMax: 2, appendBytesMax: 1 << 20 });
  for (const part of [0, 1]) for (const frame of trustedChain(5 + part, 3)) dispatcher.enqueue(part, { session: part, frame, lineage: 0 });
  const order: number[] = [];
  for (let i = 0; i < 4; i += 1) {
    const [batch, more] = dispatcher.take(0, bytesMax, false);
    assert.ok(batch !== undefined && more === undefined && batch.entries.length <= 2);
    order.push(batch.part);
    dispatcher.settle(
      batch.id,
      batch.entries.map(() => ({ kind: "duplicate", head: head(1, 9), acceptedBy: null })),
      0,
      50,
    );
  }
  assert.deepEqual(order, [0, 1, 0, 1]);
  assert.equal(dispatcher.frames, 0);
});

test("R-8 the header's limits are checked before anything else; a gap costs one event", () => {
  const producer = new ModelProducer(seededRandom(9));
  producer.epoch = 1;
  const frame = producer.frame(3);
  assert.equal(decodeHeader(frame.header).kind, "decoded");
  const tooMany = preAdmit(frame, { frameBytesMax: 1 << 18, frameEventsMax: 2 });
  assert.ok(tooMany.kind === "refused" && tooMany.code === "INGEST_FRAME_TOO_LARGE");
  const tooLong = preAdmit(frame, { frameBytesMax: 10, frameEventsMax: 10 });
  assert.ok(tooLong.kind === "refused" && tooLong.code === "INGEST_FRAME_TOO_LARGE");
  const cut = preAdmit({ ...frame, payload: frame.payload.subarray(1) }, limits);
  assert.ok(cut.kind === "refused" && cut.code === "INGEST_PAYLOAD_MISMATCH");
});
