/**
 * Why: nothing enters without a certificate, a registered key and a valid signature (promise 4), and each refusal has its code.
 * Enforces: every case runs against the real listener: refused with its documented code, nothing stored, counted.
 * Forbids: production data, and a case that only looks at a function.
 */
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { connect as tlsConnect } from "node:tls";
import { INGEST_CODES, type IngestCode } from "ransomeye-ingestion";
import { clientMessage, grpcPrefixBytes, invalidName, producerSpiffeId, signHeader } from "ransomeye-ingestion/protocol";
import { limits, seededRandom } from "ransomeye-kernel";
import { plainHello, type TestClient } from "./src/gate/test_client.ts";
import { startTestGate, type TestGate, testDomain, until } from "./src/gate/test_gate.ts";
import { createTestCa, type LeafOptions, usages } from "./src/test_ca.ts";
import { signFrame, SyntheticChain, syntheticEvent, syntheticKey, syntheticPayload, syntheticProducer } from "./synthetic_events.ts";

suite("who may not enter", { concurrency: 8 }, () => {
  const timeout = 30_000;

  async function refusedWith(gate: TestGate, client: TestClient, code: IngestCode, how: "stream" | "handshake" = "stream"): Promise<void> {
    const ended = await client.ended;
    if (how === "stream") {
      assert.equal(ended.code, code);
      assert.equal(ended.grpcStatus, INGEST_CODES[code].grpc);
    } else {
      assert.equal(ended.grpcStatus, undefined, "no stream came to be");
    }
    await until(() => gate.refused(code) >= 1);
    assert.equal(await gate.stored(), 0, "nothing stored");
  }

  async function badLeaf(t: TestContext, code: IngestCode, leaf: Partial<LeafOptions>, how: "stream" | "handshake"): Promise<void> {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol("leaf", leaf);
    const client = gate.connect(certificate);
    client.say(plainHello());
    await refusedWith(gate, client, code, how);
  }

  const uri = (value: string): LeafOptions["names"] => [{ type: "url", value }];
  const other = producerSpiffeId(testDomain, "linux", syntheticProducer("other").producer);

  test("ING-7 no client certificate: the handshake fails and is counted", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const client = gate.connect();
    client.say(plainHello());
    await refusedWith(gate, client, "INGEST_CERT_MISSING", "handshake");
  });

  test("ING-7 an expired certificate", { timeout }, (t) =>
    badLeaf(t, "INGEST_CERT_EXPIRED", { notAfter: new Date(Date.now() - 60_000) }, "handshake"),
  );
  test("ING-7 a certificate that is not valid yet", { timeout }, (t) =>
    badLeaf(t, "INGEST_CERT_NOT_YET_VALID", { notBefore: new Date(Date.now() + 600_000) }, "handshake"),
  );
  test("ING-7 a server's certificate cannot send", { timeout }, (t) =>
    badLeaf(t, "INGEST_CERT_USAGE", { usages: [usages.server] }, "handshake"),
  );
  test("ING-7 a certificate without a name", { timeout }, (t) => badLeaf(t, "INGEST_IDENTITY_MISSING", { names: [] }, "stream"));
  test("ING-7 a DNS name only", { timeout }, (t) =>
    badLeaf(t, "INGEST_IDENTITY_MISSING", { names: [{ type: "dns", value: "producer.test" }] }, "stream"),
  );
  test("ING-7 two URI names", { timeout }, (t) =>
    badLeaf(
      t,
      "INGEST_IDENTITY_AMBIGUOUS",
      { names: [...uri(producerSpiffeId(testDomain, "linux", syntheticProducer("leaf").producer)), ...uri(other)] },
      "stream",
    ),
  );
  test("ING-7 a URI and a DNS name", { timeout }, (t) =>
    badLeaf(
      t,
      "INGEST_IDENTITY_AMBIGUOUS",
      { names: [...uri(producerSpiffeId(testDomain, "linux", syntheticProducer("leaf").producer)), { type: "dns", value: "x.test" }] },
      "stream",
    ),
  );
  test("ING-7 another trust domain", { timeout }, (t) =>
    badLeaf(
      t,
      "INGEST_TRUST_DOMAIN",
      { names: uri(producerSpiffeId("other.domain", "linux", syntheticProducer("leaf").producer)) },
      "stream",
    ),
  );
  test("ING-7 a URI that names no producer", { timeout }, (t) =>
    badLeaf(t, "INGEST_IDENTITY_MALFORMED", { names: uri(`spiffe://${testDomain}/gateway/gate-1`) }, "stream"),
  );
  test("ING-7 a producer nobody enrolled", { timeout }, (t) => badLeaf(t, "INGEST_PRODUCER_UNKNOWN", { names: uri(other) }, "stream"));
  test("ING-7 a kind other than the registry's", { timeout }, (t) =>
    badLeaf(t, "INGEST_KIND_MISMATCH", { names: uri(producerSpiffeId(testDomain, "dpi", syntheticProducer("leaf").producer)) }, "stream"),
  );

  test("ING-7 a certificate of another authority", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who } = await gate.enrol(1);
    const alien = await createTestCa("alien");
    const client = gate.connect(await alien.leaf({ names: uri(producerSpiffeId(testDomain, who.kind, who.producer)) }));
    client.say(plainHello());
    await refusedWith(gate, client, "INGEST_CERT_UNTRUSTED", "handshake");
  });

  test("R-13 a revoked certificate, an unlisted one, a suspended producer and a silent registry open no session", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const attempt = async (code: IngestCode): Promise<void> => {
      const client = gate.connect(certificate);
      client.say(plainHello());
      await refusedWith(gate, client, code);
    };
    gate.directory.put(who, { certificates: new Map([[certificate.fingerprint, { revoked: true }]]) });
    await attempt("INGEST_CERT_REVOKED");
    gate.directory.put(who, { certificates: new Map() });
    await attempt("INGEST_CERT_UNKNOWN");
    gate.directory.put(who, { status: "suspended" });
    await attempt("INGEST_PRODUCER_SUSPENDED");
    gate.directory.put(who, { status: "revoked" });
    await attempt("INGEST_PRODUCER_REVOKED");
    gate.directory.put(who);
    gate.directory.silentMs = 6000;
    await attempt("INGEST_REGISTRY_STALE");
    gate.directory.silentMs = 0;
    await gate.begin(who, certificate);
  });

  test("R-13 an open session ends when the producer is revoked in mid-stream, and when the registry stays silent (FM-9)", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const first = await gate.begin(who, certificate);
    const sent = Date.now();
    gate.directory.setStatus(who.producer, "revoked");
    assert.equal((await first.client.ended).code, "INGEST_PRODUCER_REVOKED");
    assert.ok(Date.now() - sent < 5000, "within five seconds");

    gate.directory.setStatus(who.producer, "active");
    const second = await gate.begin(who, certificate);
    gate.directory.silentMs = 61_000;
    assert.equal((await second.client.ended).code, "INGEST_REGISTRY_STALE");
    const goodbye = second.client.heard.at(-1);
    assert.ok(goodbye?.kind === "goodbye" && goodbye.comeBackAfterMs < 0xffff_ffff, "told when to come back");
    const alarms = gate.telemetry.events.filter(({ name }) => name === "registry_stale");
    assert.deepEqual([alarms.length, alarms[0]?.level], [1, "error"], "said once");
    assert.match(await gate.telemetry.metricsText(), /^ransomeye_gateway_registry_silences_total 1$/m);
  });

  test("ING-7 no TLS session is ever resumed: tickets give a full handshake", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol(1);
    const options = {
      host: "127.0.0.1",
      port: gate.gateway.address.port,
      ca: gate.ca.cert,
      cert: certificate.cert,
      key: certificate.key,
      ALPNProtocols: ["h2"],
      checkServerIdentity: () => undefined,
    };
    const handshake = (session?: Buffer): Promise<{ reused: boolean; session: Buffer | undefined }> =>
      new Promise((resolve, reject) => {
        let got: Buffer | undefined;
        const socket = tlsConnect({ ...options, ...(session === undefined ? {} : { session }) });
        socket.on("session", (fresh: Buffer) => {
          got = fresh;
        });
        socket.on("error", reject);
        // The server's SETTINGS come after the handshake, and with them any ticket.
        socket.once("data", () => {
          const reused = socket.isSessionReused();
          socket.destroy();
          resolve({ reused, session: got ?? socket.getSession() });
        });
      });
    const first = await handshake();
    assert.equal(first.reused, false);
    for (let i = 0; i < 3; i += 1) assert.equal((await handshake(first.session)).reused, false);
  });

  test("ING-7 TLS 1.2 is not spoken", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol(1);
    const code = await new Promise((resolve) => {
      const socket = tlsConnect({
        host: "127.0.0.1",
        port: gate.gateway.address.port,
        ca: gate.ca.cert,
        cert: certificate.cert,
        key: certificate.key,
        ALPNProtocols: ["h2"],
        maxVersion: "TLSv1.2",
        checkServerIdentity: () => undefined,
      });
      socket.on("error", (error: Error & { code?: string }) => resolve(error.code));
      socket.on("secureConnect", () => resolve("connected"));
    });
    assert.equal(code, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
  });

  /** A frame that differs from an honest one in one thing. */
  type Forge = (gate: TestGate, chain: SyntheticChain) => Promise<Parameters<TestClient["say"]>[0]> | Parameters<TestClient["say"]>[0];

  async function badFrame(t: TestContext, code: IngestCode, forge: Forge): Promise<void> {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol("frame");
    const { client, chain, say } = await gate.begin(who, certificate);
    say(await forge(gate, chain));
    await refusedWith(gate, client, code);
    const reject = client.heard.find((message) => message.kind === "reject");
    if (reject?.kind === "reject") assert.equal(reject.code, code);
  }

  const lines = syntheticPayload(0, 2);

  test("ING-7 a wrong signature (FM-2)", { timeout }, (t) =>
    badFrame(t, "INGEST_SIGNATURE_INVALID", (_gate, chain) => {
      const { message } = chain.peek(lines, 2);
      const signature = Buffer.from(message.signature);
      signature.writeUInt8(signature.readUInt8(0) ^ 1, 0);
      return { ...message, signature };
    }),
  );

  test("ING-7 a signature by another key than the one named", { timeout }, (t) =>
    badFrame(t, "INGEST_SIGNATURE_INVALID", (_gate, chain) => chain.peek(lines, 2, {}, syntheticKey(seededRandom("mallory"))).message),
  );

  test(
    "P-4 ING-7 another producer's id, validly signed by that producer: identity comes from the certificate (TB-1, FM-2)",
    { timeout },
    (t) =>
      badFrame(t, "INGEST_PRODUCER_MISMATCH", async (gate, chain) => {
        const { who: victim } = await gate.enrol("victim");
        return signFrame({ ...chain.fields(lines, 2), producer: victim.producer, keyId: victim.keyId }, lines, victim.batchKey).message;
      }),
  );

  test("ING-7 an unknown key (FM-2)", { timeout }, (t) =>
    badFrame(t, "INGEST_KEY_UNKNOWN", (_gate, chain) => chain.peek(lines, 2, { keyId: "00112233445566ff" }).message),
  );

  test("ING-7 another producer's key under one's own id", { timeout }, (t) =>
    badFrame(t, "INGEST_KEY_UNKNOWN", async (gate, chain) => {
      const { who: stranger } = await gate.enrol("stranger");
      return chain.peek(lines, 2, { keyId: stranger.keyId }, stranger.batchKey).message;
    }),
  );

  test("ING-7 a retired key", { timeout }, (t) =>
    badFrame(t, "INGEST_KEY_RETIRED", (gate, chain) => {
      const { who } = chain;
      gate.directory.put(who, { keys: new Map([[who.keyId, { publicKey: who.publicKey, retiredUs: 1 }]]) });
      return chain.peek(lines, 2).message;
    }),
  );

  test("ING-7 a payload other than the signed one", { timeout }, (t) =>
    badFrame(t, "INGEST_PAYLOAD_MISMATCH", (_gate, chain) => {
      const { message } = chain.peek(lines, 2);
      const payload = Buffer.from(message.payload);
      payload.writeUInt8(payload.readUInt8(5) ^ 1, 5);
      return { ...message, payload };
    }),
  );

  test("ING-7 a truncated header", { timeout }, (t) =>
    badFrame(t, "INGEST_HEADER_MALFORMED", (_gate, chain) => {
      const { message } = chain.peek(lines, 2);
      return { ...message, header: message.header.subarray(0, 100) };
    }),
  );

  test("ING-7 a header of another domain", { timeout }, (t) =>
    badFrame(t, "INGEST_HEADER_MALFORMED", (_gate, chain) => {
      const { message } = chain.peek(lines, 2);
      const header = Buffer.from(message.header.toString("latin1").replace("ransomeye.frame.v1", "ransomeye.other.v1"), "latin1");
      return { ...message, header, signature: signHeader(header, chain.who.batchKey) };
    }),
  );

  test("ING-7 an epoch asked for with the nonce of another session", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    say({ ...chain.openEpoch(Buffer.alloc(32)), sessionNonce: Buffer.alloc(0) });
    await refusedWith(gate, client, "INGEST_EPOCH_SIGNATURE");
    const named = await gate.begin(who, certificate);
    named.say(named.chain.openEpoch(Buffer.alloc(32)));
    await refusedWith(gate, named.client, "INGEST_SESSION_REPLAYED");
  });

  test("ING-7 a frame before Hello, and no version in common", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const chain = new SyntheticChain(who);
    chain.opened(1, { prevEpoch: 0, prevSeq: 0, prevHash: Buffer.alloc(32) });
    const early = gate.connect(certificate);
    early.say(chain.peek(lines, 2).message);
    await refusedWith(gate, early, "INGEST_PROTOCOL_VIOLATION");
    const future = gate.connect(certificate);
    future.say(plainHello({ protocolVersions: [99] }));
    await refusedWith(gate, future, "INGEST_VERSION_UNSUPPORTED");
  });

  test("ING-7 bytes that are no message, and an unknown method", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol(1);
    const garbage = gate.connect(certificate);
    garbage.sayRaw(Buffer.from([0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]));
    await refusedWith(gate, garbage, "INGEST_MESSAGE_MALFORMED");
    const compressed = gate.connect(certificate);
    compressed.sayRaw(Buffer.from([1, 0, 0, 0, 1, 0]));
    await refusedWith(gate, compressed, "INGEST_MESSAGE_MALFORMED");
    const lost = gate.connect(certificate, { headers: { ":path": "/grpc.health.v1.Health/Check" } });
    await refusedWith(gate, lost, "INGEST_PATH_UNKNOWN");
  });

  test("ING-11 a hello in pieces of one byte is understood all the same", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol(1);
    const client = gate.connect(certificate);
    const words = Buffer.concat(clientMessage.encode(plainHello()));
    const bytes = Buffer.alloc(grpcPrefixBytes + words.length);
    bytes.writeUInt32BE(words.length, 1);
    words.copy(bytes, grpcPrefixBytes);
    for (const byte of bytes) client.sayRaw(Buffer.from([byte]));
    assert.equal((await client.next("welcome")).gateway, "gate-1");
  });

  test("R-8 an invalid event never blocks its producer: accepted, listed in the receipt, stored with its verdict (FM-3)", {
    timeout,
  }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say } = await gate.begin(who, certificate);
    const payload = Buffer.from(`${syntheticEvent(1)}\n{"class_uid": "no"}\n${syntheticEvent(3)}\n`);
    say(chain.next(3, payload).message);
    const receipt = await client.next("receipt");
    assert.equal(receipt.durableSeq, 3);
    assert.deepEqual(
      receipt.invalid.map(({ seq }) => seq),
      [2],
    );
    say(chain.next(4, Buffer.from("only one line\n")).message);
    const second = await client.next("receipt");
    assert.equal(second.durableSeq, 7);
    assert.deepEqual(
      second.invalid.map(({ seq }) => seq),
      [4, 5, 6, 7],
    );
    assert.equal(await gate.stored(), 2);
  });

  test("IF-13 an event beyond a bound costs itself alone, and its receipt names the bound", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const { client, chain, say, credit } = await gate.begin(who, certificate);
    const manyKeys = Object.fromEntries(Array.from({ length: limits.jsonKeysMax }, (_, n) => [`k${n}`, n]));
    const lines = [
      syntheticEvent(1),
      syntheticEvent(2, { x: manyKeys }),
      syntheticEvent(3, { x: "x".repeat(limits.jsonStringBytesMax + 1) }),
      syntheticEvent(4, { x: "D" }).replace('"D"', "[".repeat(100) + "]".repeat(100)),
      syntheticEvent(5),
    ];
    const payload = Buffer.from(`${lines.join("\n")}\n`);
    await credit(payload.length + 1024, lines.length);
    say(chain.next(lines.length, payload).message);
    const { durableSeq, invalid } = await client.next("receipt");
    assert.deepEqual(
      [durableSeq, ...invalid.map(({ seq, code }) => `${seq} ${invalidName(code)}`)],
      [5, "2 EVENT_TOO_MANY_KEYS", "3 EVENT_STRING_TOO_LONG", "4 EVENT_TOO_DEEP"],
    );
  });
});
