/**
 * Why: two languages must agree on the wire, and strangers write to it. Enforces: `ingest.proto` and our codec are one contract;
 * bounded, strict, total decoding; framing without quadratic work.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { loadSync } from "@grpc/proto-loader";
import {
  type ClientMessage,
  clientMessage,
  GrpcDeframer,
  grpcParts,
  type MessageCodec,
  serverMessage,
  type ServerMessage,
} from "../protocol/lib.ts";

const protoFile = fileURLToPath(new URL("../../proto/ransomeye/ingest/v1/ingest.proto", import.meta.url));
const definition = loadSync(protoFile, { longs: Number, enums: Number, defaults: true, keepCase: false, oneofs: true, bytes: Buffer })[
  "ransomeye.ingest.v1.Ingest"
];
assert.ok(definition !== undefined && "Stream" in definition);
const stream = definition["Stream"];
assert.ok(stream);

const u64 = fc.oneof(
  fc.constantFrom(0, 1, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
);
const u32 = fc.oneof(fc.constantFrom(0, 1, 0xffffffff), fc.integer({ min: 0, max: 0xffffffff }));
const raw = (max: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength: max }).map((bytes) => Buffer.from(bytes));
const words = fc.string({ maxLength: 40, unit: "grapheme" });
const headOf = fc.record({ epoch: u64, seq: u64, hash: raw(32), prevEpoch: u64, prevSeq: u64, prevHash: raw(32) });
const goodbye = fc.record({ code: words, message: words, comeBackAfterMs: u32 });

const clientMessages: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("hello" as const),
    protocolVersions: fc.array(u32, { maxLength: 5 }),
    schemaVersions: fc.array(u32, { maxLength: 5 }),
    epoch: u64,
    nextSeq: u64,
    pendingBytes: u64,
    pendingEvents: u64,
    oldestPendingUs: u64,
    agent: words,
    clockUs: u64,
    keyId: raw(8),
  }),
  fc.record({ kind: fc.constant("frame" as const), header: raw(200), signature: raw(64), payload: raw(3000) }),
  fc.record({ kind: fc.constant("demand" as const), bytes: u64, events: u64, oldestUs: u64, frameBytes: u64 }),
  fc.record({ kind: fc.constant("openEpoch" as const), expectedEpoch: u64, keyId: raw(8), signature: raw(64), sessionNonce: raw(32) }),
  goodbye.map((g) => ({ kind: "goodbye" as const, ...g })),
);

const serverMessages: fc.Arbitrary<ServerMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("welcome" as const),
    protocolVersion: u32,
    schemaVersion: u32,
    head: headOf,
    storedEpoch: u64,
    storedSeq: u64,
    limits: fc.record({ frameBytesMax: u32, frameEventsMax: u32, lineBytesMax: u32 }),
    lingerMs: u32,
    creditBytesTotal: u64,
    creditEventsTotal: u64,
    sessionNonce: raw(32),
    receiptPublicKey: raw(32),
    clockUs: u64,
    gateway: words,
  }),
  fc.record({
    kind: fc.constant("receipt" as const),
    epoch: u64,
    durableSeq: u64,
    chainHash: raw(32),
    storedEpoch: u64,
    storedSeq: u64,
    receivedUs: u64,
    invalid: fc.array(fc.record({ seq: u64, code: u32, reason: words }), { maxLength: 5 }),
    invalidMore: u32,
    signature: raw(64),
  }),
  fc.record({ kind: fc.constant("credit" as const), bytesTotal: u64, eventsTotal: u64, lingerMs: u32 }),
  fc.record({
    kind: fc.constant("throttle" as const),
    state: fc.constantFrom("open" as const, "throttled" as const, "paused" as const),
    reason: words,
    retryAfterMs: u32,
  }),
  fc.record({
    kind: fc.constant("reject" as const),
    epoch: u64,
    firstSeq: u64,
    lastSeq: u64,
    code: words,
    message: words,
    next: words,
    expected: fc.option(headOf, { nil: undefined }),
  }),
  goodbye.map((g) => ({ kind: "goodbye" as const, ...g })),
  fc.record({ kind: fc.constant("epochOpened" as const), epoch: u64, prevEpoch: u64, prevSeq: u64, prevHash: raw(32) }),
  fc.record({ kind: fc.constant("stored" as const), epoch: u64, seq: u64 }),
);

const stateNames = ["open", "throttled", "paused"];

/** Our union as protobufjs sees it: the member under its own name, enumerations as numbers. */
function toStock(message: { kind: string }): object {
  const { kind, ...rest } = message as { kind: string; state?: string };
  return { [kind]: rest.state === undefined ? rest : { ...rest, state: stateNames.indexOf(rest.state) } };
}

function fromStock(value: Record<string, unknown>): unknown {
  const kind = String(value["message"]);
  const body = { ...(value[kind] as Record<string, unknown>) };
  if (typeof body["state"] === "number") body["state"] = stateNames[body["state"]];
  if (kind === "reject" && body["expected"] === null) body["expected"] = undefined;
  return { kind, ...body };
}

const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, v: unknown) =>
      v !== null && typeof v === "object" && "type" in v && v.type === "Buffer"
        ? { hex: Buffer.from((v as unknown as { data: number[] }).data).toString("hex") }
        : v,
    ),
  );

function interop<T extends { kind: string }>(
  codec: MessageCodec<T>,
  arbitrary: fc.Arbitrary<T>,
  serialize: (value: never) => Buffer,
  deserialize: (bytes: Buffer) => unknown,
): void {
  fc.assert(
    fc.property(arbitrary, (message) => {
      const ours = Buffer.concat(codec.encode(message));
      assert.equal(ours.length, codec.size(message), "the size is told before writing");
      assert.deepEqual(plain(fromStock(deserialize(ours) as Record<string, unknown>)), plain(message), "protobufjs reads what we write");
      const decoded = codec.decode(serialize(toStock(message) as never));
      assert.ok(decoded.kind === "decoded");
      assert.deepEqual(plain(decoded.value), plain(message), "we read what protobufjs writes");
    }),
    { numRuns: 300 },
  );
}

test("ING-7 ingest.proto read by a stock library and our codec are one contract, both ways", () => {
  interop(clientMessage, clientMessages, stream.requestSerialize as never, stream.requestDeserialize);
  interop(serverMessage, serverMessages, stream.responseSerialize as never, stream.responseDeserialize);
});

test("decoding is total: cut, mutated or random bytes give a value or a refusal, never an exception", () => {
  fc.assert(
    fc.property(fc.oneof(clientMessages, serverMessages), fc.nat(), fc.nat(255), fc.boolean(), (message, where, value, cut) => {
      const codec = (
        ["hello", "frame", "demand", "openEpoch", "goodbye"].includes(message.kind) ? clientMessage : serverMessage
      ) as MessageCodec<{ kind: string }>;
      const bytes = Buffer.concat(codec.encode(message));
      const index = bytes.length === 0 ? 0 : where % bytes.length;
      const altered = cut ? bytes.subarray(0, index) : Buffer.from(bytes).fill(value, index, index + 1);
      assert.ok(["decoded", "refused"].includes(codec.decode(altered).kind));
    }),
  );
  fc.assert(fc.property(raw(200), (bytes) => assert.ok(["decoded", "refused"].includes(serverMessage.decode(bytes).kind))));
});

test("the decoder refuses lying lengths, unsafe integers, bad text, too many items, twice-set members; skips unknown fields", () => {
  const code = (hex: string): string => {
    const decoded = clientMessage.decode(Buffer.from(hex, "hex"));
    return decoded.kind === "refused" ? decoded.code : decoded.value.kind;
  };
  /** A Hello with this body. */
  const hello = (hex: string): string => code(`0a${(hex.length / 2).toString(16).padStart(2, "0")}${hex}`);
  assert.equal(code("0a05"), "PROTOCOL_TRUNCATED", "a member longer than the message");
  assert.equal(hello("0a0a0000"), "PROTOCOL_TRUNCATED", "a field longer than its parent");
  assert.equal(hello("18ffffffff"), "PROTOCOL_TRUNCATED", "a varint that does not end within its parent");
  assert.equal(hello("18ffffffffffffffffff01"), "PROTOCOL_INTEGER", "2^64-1");
  assert.equal(hello("18ffffffffffffffffffff01"), "PROTOCOL_INTEGER", "eleven bytes");
  assert.equal(hello("18ffffffff7f"), "hello");
  assert.equal(hello("4202c328"), "PROTOCOL_TEXT");
  assert.equal(hello("0a05ffffffff7f"), "PROTOCOL_INTEGER", "a uint32 beyond 2^32-1");
  assert.equal(hello(`0a21${"01".repeat(33)}`), "PROTOCOL_BOUND", "33 versions, packed");
  assert.equal(hello("0801".repeat(33)), "PROTOCOL_BOUND", "33 versions, not packed");
  assert.equal(hello("5209010203040506070809"), "PROTOCOL_BOUND", "a key id of 9 bytes");
  assert.equal(hello("0d00000000"), "PROTOCOL_WIRE_TYPE");
  assert.equal(hello("f80601fd0600000000f9060000000000000000fa060100"), "hello", "unknown fields of every wire type");
  assert.equal(code("0a001a00"), "PROTOCOL_DUPLICATE_FIELD");
  assert.equal(code("0a000a00"), "PROTOCOL_DUPLICATE_FIELD");
  assert.equal(code("0b0c"), "PROTOCOL_WIRE_TYPE", "a group");
  assert.equal(code("0000"), "PROTOCOL_WIRE_TYPE", "field number 0");
  assert.equal(code("f201020801"), "unknown", "a member of a later version");
  assert.equal(code(""), "unknown");
});

test("byte fields are views of the input, and large ones are written without a copy", () => {
  const payload = Buffer.alloc(5000, 65);
  const parts = clientMessage.encode({ kind: "frame", header: Buffer.alloc(192), signature: Buffer.alloc(64), payload });
  assert.ok(parts.includes(payload));
  const bytes = Buffer.concat(parts);
  const decoded = clientMessage.decode(bytes);
  assert.ok(decoded.kind === "decoded" && decoded.value.kind === "frame");
  assert.equal(decoded.value.payload.buffer, bytes.buffer);
});

test("the deframer gives back the messages of any chunking, empty ones too", () => {
  fc.assert(
    fc.property(fc.array(raw(700), { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (messages, cuts) => {
      const bytes = Buffer.concat(messages.flatMap((message) => grpcParts([message])));
      const deframer = new GrpcDeframer(1000);
      const out: Buffer[] = [];
      for (let at = 0, i = 0; at < bytes.length; i += 1) {
        const end = at + (cuts[i % cuts.length] ?? 1);
        const step = deframer.push(bytes.subarray(at, end));
        assert.ok(step.kind === "messages");
        out.push(...step.messages);
        at = end;
      }
      assert.deepEqual(out, messages);
      assert.equal(deframer.heldBytes, 0);
    }),
  );
});

test("the deframer refuses a message above its bound by its prefix alone, and compressed ones", () => {
  const large = new GrpcDeframer(1000).push(Buffer.from("00000003e9", "hex"));
  assert.ok(large.kind === "refused" && large.code === "PROTOCOL_BOUND");
  const compressed = new GrpcDeframer(1000).push(Buffer.from("0100000001", "hex"));
  assert.ok(compressed.kind === "refused" && compressed.code === "PROTOCOL_COMPRESSED");
});

test("one message in 1-byte chunks holds what it has, not an object for each byte", () => {
  const deframer = new GrpcDeframer(300_000);
  const message = Buffer.alloc(262_144, 7);
  const [prefix] = grpcParts([message]);
  deframer.push(prefix ?? Buffer.alloc(0));
  assert.equal(deframer.declaredBytes, message.length);
  let done: readonly Buffer[] = [];
  for (let i = 0; i < message.length; i += 1) {
    const step = deframer.push(message.subarray(i, i + 1));
    assert.ok(step.kind === "messages");
    done = step.messages;
  }
  assert.equal(done.length, 1);
  assert.deepEqual(done[0], message);
});
