/**
 * Why: an agent in any language is generated from `ingest.proto`; we speak its wire format ourselves, so a stock client must understand us.
 * Enforces: @grpc/grpc-js with the published .proto completes Hello, OpenEpoch, Frame and Receipt, and sees our codes as gRPC status.
 * Forbids: our own codec on the client's side of this test.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ClientDuplexStream,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type StatusObject,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { startTestGate, until } from "./src/gate/test_gate.ts";
import { protoFile } from "./src/gate/test_gate.ts";
import { SyntheticChain } from "./synthetic_events.ts";

type Words = Readonly<Record<string, unknown>>;
type Stream = ClientDuplexStream<Words, Words>;

test("architecture part 4: a stock gRPC client completes Hello, OpenEpoch, Frame, Receipt, and reads our codes", {
  timeout: 30_000,
}, async (t) => {
  const gate = await startTestGate(t);
  const { who, certificate } = await gate.enrol("grpc");
  const definition = loadSync(protoFile, { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true });
  const service = (loadPackageDefinition(definition) as unknown as { ransomeye: { ingest: { v1: { Ingest: ServiceClientConstructor } } } })
    .ransomeye.ingest.v1.Ingest;
  const secure = credentials.createSsl(Buffer.from(gate.ca.cert), Buffer.from(certificate.key), Buffer.from(certificate.cert), {
    checkServerIdentity: () => undefined,
  });
  const client = new service(`127.0.0.1:${gate.gateway.address.port}`, secure);
  t.after(() => client.close());
  const open = (client as unknown as { Stream(): Stream }).Stream.bind(client);

  const stream = open();
  const heard: Words[] = [];
  let status: StatusObject | undefined;
  stream.on("data", (words: Words) => heard.push(words));
  stream.on("error", () => undefined);
  stream.on("status", (ended: StatusObject) => {
    status = ended;
  });
  const hear = async (name: string): Promise<Words> => {
    await until(() => heard.some((words) => words[name] !== undefined && words[name] !== null) || status !== undefined);
    const words = heard.find((one) => one[name] !== undefined && one[name] !== null);
    assert.ok(words !== undefined, `${name} was not said: ${status?.details}`);
    return words[name] as Words;
  };

  stream.write({ hello: { protocol_versions: [1], schema_versions: [1], agent: "stock client" } });
  const welcome = await hear("welcome");
  const chain = new SyntheticChain(who);
  const request = chain.openEpoch(welcome["session_nonce"] as Buffer);
  const { expectedEpoch, keyId, sessionNonce } = request;
  stream.write({ open_epoch: { expected_epoch: expectedEpoch, key_id: keyId, signature: request.signature, session_nonce: sessionNonce } });
  const opened = await hear("epoch_opened");
  chain.opened(opened["epoch"] as number, { prevEpoch: 0, prevSeq: 0, prevHash: Buffer.alloc(32) });
  const { header, signature, payload } = chain.next(3).message;
  stream.write({ frame: { header, signature, payload } });
  const receipt = await hear("receipt");
  assert.equal(receipt["durable_seq"], 3);
  assert.equal(await gate.stored(), 1);

  const forged = chain.next(3).message;
  stream.write({ frame: { header: forged.header, signature: Buffer.alloc(64, 1), payload: forged.payload } });
  await until(() => status !== undefined);
  assert.equal(status?.code, 7);
  assert.match(status?.details ?? "", /^INGEST_SIGNATURE_INVALID/);
});
