/**
 * Why: beside its messages a peer can send, open and hold much that no session sees (ING-8: producer flooding), and all of it costs.
 * Enforces: each flood, each slowness and each half-open thing ends with its code at the real listener, counted, while an honest producer beside
 *   it goes on.
 * Forbids: production data, and timed assertions: where time must pass, the test sets the gate's clock forward.
 */
import assert from "node:assert/strict";
import { constants, getUnpackedSettings } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import type { IngestCode } from "ransomeye-ingestion";
import { clientMessage, grpcParts } from "ransomeye-ingestion/protocol";
import { openMemoryBus } from "ransomeye-pipeline";
import { systemClock } from "ransomeye-kernel";
import { floods, runFlood } from "./src/gate/floods.ts";
import { JumpingClock } from "./src/gate/jumping_clock.ts";
import { flag, frameType, headerField, pingAnswered, rawFrame, RawPeer, requestBlock, tlsOptions } from "./src/gate/raw_http2.ts";
import { plainHello } from "./src/gate/test_client.ts";
import { startTestGate, type TestConversation, type TestGate, until } from "./src/gate/test_gate.ts";

async function receipted({ client, chain, say }: TestConversation): Promise<void> {
  say(chain.next(1).message);
  assert.equal((await client.next("receipt")).durableSeq, chain.seq);
}

const messageBytes = (message: Parameters<typeof clientMessage.encode>[0]): Buffer =>
  Buffer.concat(grpcParts(clientMessage.encode(message)));
const data = (bytes: Buffer): Buffer => rawFrame(frameType.data, 0, 1, bytes);

suite("what a connection may cost", { concurrency: 4 }, () => {
  const timeout = 60_000;

  async function rawPeer(t: TestContext, gate: TestGate, seed: string): Promise<RawPeer> {
    const { certificate } = await gate.enrol(seed);
    const peer = new RawPeer({ port: gate.gateway.address.port, ca: gate.ca.cert, certificate });
    t.after(() => peer.close());
    return peer;
  }

  function tcp(t: TestContext, gate: TestGate): Socket {
    const socket = connectTcp(gate.gateway.address.port, "127.0.0.1");
    socket.on("error", () => undefined);
    t.after(() => socket.destroy());
    return socket;
  }

  const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.resume().once("close", () => resolve()));

  for (const flood of floods) {
    test(`TL-8 flood: ${flood.name}`, { timeout }, async (t) => {
      const gate = await startTestGate(t);
      const honest = await gate.enrol("honest");
      const conversation = await gate.begin(honest.who, honest.certificate);
      await receipted(conversation);
      const { certificate } = await gate.enrol("flooder");
      const bytes = await runFlood(flood, { port: gate.gateway.address.port, ca: gate.ca.cert, certificate });
      // A request that is refused ends no flood; and whoever goes on after his conversation's end floods what is left of the connection.
      const ends = (): string[] => gate.refusals().filter((code) => code !== "INGEST_PATH_UNKNOWN");
      await until(() => ends().length > 0);
      const allowed: readonly string[] = [...flood.codes, "INGEST_TRANSPORT_FLOOD"];
      assert.deepEqual(
        ends().filter((code) => !allowed.includes(code)),
        [],
      );
      assert.ok(bytes < 512 * 1024 * 1024, "the gate ended it");
      await receipted(conversation);
      await until(() => gate.gateway.figures().sessions === 1 && gate.gateway.door().connections === 1);
    });
  }

  async function endsWith(gate: TestGate, peer: RawPeer, code: IngestCode): Promise<void> {
    await peer.ended;
    await until(() => gate.refused(code) === 1);
    await until(() => gate.gateway.door().connections === 0);
    assert.equal(gate.refused("INGEST_HELLO_TIMEOUT"), 0, "one end has one code");
  }

  const heard = (peer: RawPeer, what: number): Promise<void> => until(() => peer.heard.has(what) || peer.socket.destroyed);

  /** The gate has taken what was sent before: it answers pings in their order. */
  async function taken(peer: RawPeer): Promise<void> {
    peer.heard.delete(pingAnswered);
    peer.send(rawFrame(frameType.ping, 0, 0, Buffer.alloc(8)));
    await heard(peer, pingAnswered);
  }

  /** Time passes for a peer that is alive: its own pings are signs of life. */
  async function passes(clock: JumpingClock, peer: RawPeer): Promise<void> {
    clock.jump(25_000);
    await taken(peer);
  }

  test("TL-10 a message that does not get on is not waited for: a byte now and then (FM-16)", { timeout }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const peer = await rawPeer(t, gate, "slow writer");
    await peer.open();
    peer.request();
    peer.send(data(messageBytes(plainHello())));
    peer.send(data(Buffer.from([0, 0, 0, 1, 0])));
    await taken(peer);
    while (!peer.socket.destroyed) {
      peer.send(data(Buffer.alloc(1)));
      await passes(clock, peer);
    }
    await endsWith(gate, peer, "INGEST_SLOW_WRITER");
  });

  test("TL-11 a peer that opens no window for our answers is left in the end (FM-16)", { timeout }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const peer = await rawPeer(t, gate, "slow reader");
    // SETTINGS_INITIAL_WINDOW_SIZE 0: whatever we say waits.
    await peer.open(Buffer.from([0, 4, 0, 0, 0, 0]));
    peer.request();
    peer.send(data(messageBytes(plainHello())));
    await taken(peer);
    while (!peer.socket.destroyed) await passes(clock, peer);
    await endsWith(gate, peer, "INGEST_SLOW_READER");
  });

  test("TL-11 a peer that sends and never reads is left when what waits for it has reached its bound", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol("asks only");
    const { client, chain, credit, say } = await gate.begin(who, certificate);
    await credit(500_000, 16_000);
    client.stream.pause();
    // Each receipt names the invalid events of its frame: few bytes ask for many.
    const names = 64;
    for (let frames = 1; gate.refused("INGEST_SLOW_READER") === 0; frames += 1) {
      assert.ok(frames * names <= 16_000, "left long before");
      say(chain.next(names, Buffer.from("{}\n".repeat(names))).message);
      await until(async () => (await gate.stored()) === frames || gate.gateway.figures().sessions === 0);
      if (gate.gateway.figures().sessions === 0) await until(() => gate.refused("INGEST_SLOW_READER") === 1);
    }
  });

  test("TL-15 words have a rate of their own, however well they are packed", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol("talker");
    const { client } = await gate.begin(who, certificate);
    const word = messageBytes({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 });
    client.sayRaw(Buffer.concat(Array<Buffer>(20_000).fill(word)));
    assert.equal((await client.ended).code, "INGEST_WORDS_FLOOD");
    await until(() => gate.refused("INGEST_WORDS_FLOOD") === 1);
  });

  test("TL-12 a half-open peer, without FIN and without an answer to a ping (FM-16)", { timeout }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const peer = await rawPeer(t, gate, "half open");
    await peer.open();
    peer.request();
    peer.send(data(messageBytes(plainHello())));
    await heard(peer, frameType.data);
    clock.jump(65_000);
    await heard(peer, frameType.ping);
    clock.jump(25_000);
    await endsWith(gate, peer, "INGEST_PEER_SILENT");
  });

  test("TL-6 a handshake that is begun and not completed", { timeout }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const silent = tcp(t, gate);
    const half = tcp(t, gate);
    half.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
    await until(() => gate.gateway.door().connections === 2);
    clock.jump(11_000);
    await Promise.all([closed(silent), closed(half)]);
    await until(() => gate.refused("INGEST_HANDSHAKE_TIMEOUT") === 2);
  });

  test("TL-7 a connection that opens no stream, and one whose stream says nothing", { timeout }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const peer = await rawPeer(t, gate, "no stream");
    await peer.open();
    await heard(peer, frameType.settings);
    clock.jump(11_000);
    await peer.ended;
    await until(() => gate.refused("INGEST_HELLO_TIMEOUT") === 1);
    const mute = await rawPeer(t, gate, "mute");
    await mute.open();
    mute.request();
    await heard(mute, frameType.headers);
    clock.jump(11_000);
    await mute.ended;
    await until(() => gate.refused("INGEST_HELLO_TIMEOUT") === 2);
  });

  test("TL-7 a connection that was refused its stream does not stay", { timeout }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const peer = await rawPeer(t, gate, "refused");
    await peer.open();
    peer.request("/grpc.health.v1.Health/Check");
    await heard(peer, frameType.headers);
    clock.jump(11_000);
    await peer.ended;
    await until(() => gate.refused("INGEST_PATH_UNKNOWN") === 1 && gate.refused("INGEST_HELLO_TIMEOUT") === 1);
    await until(() => gate.gateway.door().connections === 0);
  });

  test("TL-9 one conversation a connection: a second request is refused, the first goes on", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate } = await gate.enrol(1);
    const conversation = await gate.begin(who, certificate);
    const second = conversation.client.session.request({
      ":method": "POST",
      ":path": "/ransomeye.ingest.v1.Ingest/Stream",
      "content-type": "application/grpc",
    });
    const status = await new Promise((resolve) => second.on("response", (headers) => resolve(headers["grpc-message"])));
    assert.match(decodeURIComponent(String(status)), /^INGEST_REQUESTS_MAX/);
    await receipted(conversation);
  });

  test("TL-4 handshakes beyond an address's rate are reset before TLS, and counted; a range may have its own", { timeout }, async (t) => {
    const config = { handshakesPerSecondMax: 1, handshakeBurstMax: 3 };
    const gate = await startTestGate(t, { config });
    const held = [1, 2, 3].map(() => tcp(t, gate));
    await until(() => gate.gateway.door().connections === 3);
    await closed(tcp(t, gate));
    await until(() => gate.refused("INGEST_HANDSHAKES_MAX") === 1);
    for (const socket of held) socket.destroy();
    await until(() => gate.gateway.door().connections === 0);
    // On a slow machine a second passes now and then, and lets one in.
    const outcome = (): Promise<unknown> =>
      new Promise((resolve) => {
        const socket = connectTls(tlsOptions({ port: gate.gateway.address.port, ca: gate.ca.cert }));
        t.after(() => socket.destroy());
        socket.on("error", (error: Error & { code?: string }) => resolve(error.code));
        socket.on("secureConnect", () => resolve("connected"));
      });
    while ((await outcome()) !== "ECONNRESET");
    await until(() => gate.refused("INGEST_HANDSHAKE_RATE") === 1);

    const vouched = await startTestGate(t, { config: { ...config, handshakeOverrides: "127.0.0.0/8=unlimited" } });
    for (let i = 0; i < 8; i += 1) {
      const { who, certificate } = await vouched.enrol(i);
      await vouched.begin(who, certificate);
    }
    assert.equal(vouched.refused("INGEST_HANDSHAKE_RATE"), 0);
  });

  test("TL-1 connections beyond the bound are reset, and counted", { timeout }, async (t) => {
    const gate = await startTestGate(t, { config: { sessionsMax: 2 } });
    const held = [1, 2, 3].map(() => tcp(t, gate));
    await until(() => gate.gateway.door().connections === 3);
    await closed(tcp(t, gate));
    await until(() => gate.refusals().length > 0);
    assert.deepEqual([gate.refusals(), gate.refused("INGEST_CONNECTIONS_MAX")], [["INGEST_CONNECTIONS_MAX"], 1]);
    assert.equal(held.filter(({ destroyed }) => destroyed).length, 0);
  });

  test("TL-2 what is no TLS, no h2 or an older TLS does not come in", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol(1);
    const port = gate.gateway.address.port;
    const garbage = tcp(t, gate);
    garbage.write("GET / HTTP/1.1\r\nHost: gate\r\n\r\n");
    await closed(garbage);
    await until(() => gate.refused("INGEST_TLS_REFUSED") === 1);
    const variants = [{ ALPNProtocols: ["http/1.1"] }, { ALPNProtocols: [] }, { maxVersion: "TLSv1.2" as const }];
    for (const [i, tls] of variants.entries()) {
      const socket = connectTls(tlsOptions({ port, ca: gate.ca.cert, certificate, tls }));
      socket.on("error", () => undefined);
      await closed(socket);
      await until(() => gate.refused("INGEST_TLS_REFUSED") + gate.refused("INGEST_HELLO_TIMEOUT") === 2 + i);
      assert.equal(gate.refused("INGEST_HELLO_TIMEOUT"), 0, "it has come in");
    }
  });

  test("TL-3 compressed messages are refused, by header and by flag: there is nothing to inflate", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { certificate } = await gate.enrol(1);
    const client = gate.connect(certificate);
    const flagged = messageBytes(plainHello());
    flagged[0] = 1;
    client.sayRaw(flagged);
    await assert.rejects(client.next("welcome"), /ended before welcome/);
    assert.equal((await client.ended).code, "INGEST_MESSAGE_MALFORMED");
    await until(() => gate.refused("INGEST_MESSAGE_MALFORMED") === 1);
    const compressing = gate.connect(certificate, { headers: { "grpc-encoding": "gzip" } });
    assert.equal((await compressing.ended).code, "INGEST_PATH_UNKNOWN");
    await until(() => gate.refused("INGEST_PATH_UNKNOWN") === 1);
    const plain = gate.connect(certificate, { headers: { "grpc-encoding": "identity" } });
    plain.say(plainHello());
    await plain.next("welcome");
  });

  test("TL-18 the settings that are announced are ours, and a stream beyond them is refused", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const peer = await rawPeer(t, gate, "reads settings");
    await peer.open();
    await heard(peer, frameType.settings);
    const { headerTableSize, maxConcurrentStreams, maxFrameSize, maxHeaderListSize, enableConnectProtocol, initialWindowSize } =
      getUnpackedSettings(peer.heard.get(frameType.settings) ?? Buffer.alloc(0));
    assert.deepEqual(
      { headerTableSize, maxConcurrentStreams, maxFrameSize, maxHeaderListSize, enableConnectProtocol },
      { headerTableSize: 4096, maxConcurrentStreams: 2, maxFrameSize: 16_384, maxHeaderListSize: 8192, enableConnectProtocol: false },
    );
    assert.ok(Number(initialWindowSize) <= 16_384, `a window of ${initialWindowSize} bytes before the first credit`);
    // From the acknowledgement on the gate holds its peer to them. All at once: a refused stream that has ended makes room for another.
    const asks = [1, 3, 5].map((stream) => rawFrame(frameType.headers, flag.endHeaders, stream, requestBlock()));
    peer.send(Buffer.concat([rawFrame(frameType.settings, flag.ack, 0), ...asks]));
    await until(() => gate.refused("INGEST_REQUESTS_MAX") > 0);
    assert.equal(gate.refused("INGEST_REQUESTS_MAX"), 1, "the third never reached us");
  });

  for (const [what, fields] of [
    ["too many fields", Array.from({ length: 60 }, (_, i) => headerField(`x-${i}`, "y"))],
    ["too many bytes", Array.from({ length: 54 }, (_, i) => headerField(`x-${i}`, "y".repeat(120)))],
  ] as const) {
    test(`TL-19 a request with ${what} of headers is reset unread, and its connection ends with a code`, { timeout }, async (t) => {
      const clock = new JumpingClock();
      const gate = await startTestGate(t, { clock });
      const peer = await rawPeer(t, gate, "many headers");
      await peer.open();
      await heard(peer, frameType.settings);
      peer.send(rawFrame(frameType.settings, flag.ack, 0));
      peer.send(rawFrame(frameType.headers, flag.endHeaders, 1, Buffer.concat([requestBlock(), ...fields])));
      await heard(peer, frameType.resetStream);
      assert.equal(peer.heard.get(frameType.resetStream)?.readUInt32BE(), constants.NGHTTP2_ENHANCE_YOUR_CALM);
      clock.jump(11_000);
      await peer.ended;
      await until(() => gate.refused("INGEST_HELLO_TIMEOUT") === 1);
      assert.equal(gate.telemetry.events.filter(({ name }) => name === "session_opened").length, 0);
    });
  }
});

test("a gateway has told of itself before its first producer comes: nobody reads its predecessor's last word for its own", async (t) => {
  const bus = openMemoryBus({ clock: systemClock });
  const told: boolean[] = [];
  const report = bus.report.bind(bus);
  bus.report = async (said) => {
    told.push(said.ended);
    await report(said);
  };
  await startTestGate(t, { bus });
  assert.deepEqual(told.slice(0, 1), [false]);
});
