/**
 * Why: a flood that is ended in time still wins where it leaves something behind: a connection, a buffer, a little memory each time.
 * Enforces: below HTTP/2, in TLS itself, floods end as well; an ended connection closes whatever its other side does; and whatever a flood was made of, the
 *   gate holds afterwards what it held before. Its certificate's holder answers for it, though there never was a session.
 * Forbids: production data, timed assertions, and the size of the process as a measure: it depends on Node's version and the machine's load.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { suite, test, type TestContext } from "node:test";
import type { ConnectionOptions } from "node:tls";
import type { DirectoryCertificate } from "ransomeye-ingestion";
import { clientMessage, grpcParts } from "ransomeye-ingestion/protocol";
import { limits } from "ransomeye-kernel";
import { floods, runFlood } from "./src/gate/floods.ts";
import { JumpingClock } from "./src/gate/jumping_clock.ts";
import { flag, frameType, http2Preface, pingAnswered, rawFrame, RawPeer, requestBlock } from "./src/gate/raw_http2.ts";
import { RawTls } from "./src/gate/raw_tls.ts";
import { retainedBytes } from "./src/gate/retained_memory.ts";
import { plainHello } from "./src/gate/test_client.ts";
import { startTestGate, type TestGate, until } from "./src/gate/test_gate.ts";
import type { TestCertificate } from "./src/test_ca.ts";

const timeout = 60_000;
const mib = 1024 * 1024;

/** Key updates beside an honest start of HTTP/2, until the gate ends the connection. */
async function floodKeys(gate: TestGate, seed: string, asks: boolean, beside: Buffer | undefined): Promise<void> {
  const { certificate } = await gate.enrol(seed);
  const peer = await RawTls.open({ port: gate.gateway.address.port, ca: gate.ca.cert, certificate });
  try {
    await peer.send(peer.data(http2Preface));
    while (!peer.over) {
      const records = Array.from({ length: 100 }, () => [peer.keyUpdate(asks), ...(beside === undefined ? [] : [peer.data(beside)])]);
      await peer.send(Buffer.concat(records.flat()));
    }
    await peer.ended;
  } finally {
    peer.close();
  }
}

suite("what a flood leaves behind", { concurrency: 4 }, () => {
  const ping = rawFrame(frameType.ping, 0, 0, Buffer.alloc(8));
  for (const [what, asks, beside] of [
    ["one after the other", false, undefined],
    ["each of which asks for another", true, undefined],
    ["between pings, each of which asks for another", true, ping],
  ] as const) {
    test(`TL-8 flood: TLS key updates, ${what}`, { timeout }, async (t) => {
      const gate = await startTestGate(t);
      const honest = await gate.enrol("honest");
      const { client, chain, say } = await gate.begin(honest.who, honest.certificate);
      await floodKeys(gate, "flooder", asks, beside);
      await until(() => gate.refused("INGEST_TRANSPORT_FLOOD") === 1);
      say(chain.next(1).message);
      assert.equal((await client.next("receipt")).durableSeq, 1);
      await until(() => gate.gateway.door().connections === 1);
    });
  }

  // An option of `tls.connect` that its types do not know.
  const stays = { allowHalfOpen: true } as ConnectionOptions;

  async function openPeer(t: TestContext, gate: TestGate, seed: string, tls: ConnectionOptions = {}): Promise<RawPeer> {
    const { certificate } = await gate.enrol(seed);
    const peer = new RawPeer({ port: gate.gateway.address.port, ca: gate.ca.cert, certificate, tls });
    t.after(() => peer.close());
    await peer.open();
    return peer;
  }

  test("TL-7 a connection that is ended closes, whatever its peer does: one that reads nothing, one that does not close (FM-16)", {
    timeout,
  }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const [silent, talks] = [await openPeer(t, gate, "silent", stays), await openPeer(t, gate, "talks", stays)];
    const hello = rawFrame(frameType.data, 0, 1, Buffer.concat(grpcParts(clientMessage.encode(plainHello()))));
    talks.request();
    talks.send(hello);
    await until(() => talks.heard.has(frameType.data) && silent.heard.has(frameType.settings));
    // One reads no more; the other reads how its conversation ends, and leaves it at that.
    silent.socket.pause();
    talks.send(hello);
    await until(() => gate.refused("INGEST_PROTOCOL_VIOLATION") === 1 && talks.heard.has(frameType.goaway));
    while (gate.gateway.door().connections > 0) {
      clock.jump(3000);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await until(() => gate.refused("INGEST_HELLO_TIMEOUT") === 1);
    assert.equal(silent.socket.destroyed, false, "it has noticed nothing");
  });

  test("TL-8 a conversation that breaks a rule of HTTP/2 ends with its code, which is counted once", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const flood = floods.find(({ name }) => name === "PING answers nobody asked for");
    assert.ok(flood !== undefined);
    const peer = await openPeer(t, gate, "answers");
    for (const bytes of [...flood.first(), flood.next()]) peer.send(bytes);
    await peer.ended;
    const ends = (): unknown[] => gate.telemetry.events.filter(({ name }) => name === "session_ended").map(({ fields }) => fields["code"]);
    await until(() => ends().length === 1 && gate.gateway.door().connections === 0);
    assert.deepEqual(ends(), ["INGEST_TRANSPORT_VIOLATION"]);
    await until(() => gate.refused("INGEST_TRANSPORT_VIOLATION") > 0);
    // Counts are told once a second: another one would have come by then.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(gate.refused("INGEST_TRANSPORT_VIOLATION"), 1);
  });

  test("TL-17 a peer that sends more than its window holds is refused by a code, like any other", { timeout }, async (t) => {
    const gate = await startTestGate(t, { config: { quarantineMsMin: 1, quarantineMsMax: 1 } });
    const words = floods.find(({ name }) => name === "words");
    assert.ok(words !== undefined);
    const attempts = 8;
    for (let nth = 0; nth < attempts; nth += 1) {
      const peer = await openPeer(t, gate, `outruns ${nth}`);
      for (const bytes of words.first()) peer.send(bytes);
      await until(() => peer.heard.has(frameType.data));
      // All at once: the library sees that it is too much before the gate sees that it is too many.
      peer.send(Buffer.concat(Array.from({ length: 60 }, words.next)));
      await peer.ended;
    }
    // Whichever bound it came to first: no end goes without a code, or uncounted.
    const ends = (): string[] =>
      gate.telemetry.events.filter(({ name }) => name === "session_ended").map(({ fields }) => String(fields["code"]));
    await until(() => ends().length === attempts);
    assert.deepEqual(
      ends().filter((code) => !words.codes.some((one) => one === code)),
      [],
    );
    await until(() => words.codes.reduce((sum, code) => sum + gate.refused(code), 0) >= attempts);
  });

  test("TL-9 a connection that keeps making requests is ended by their number, long before their bytes", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const peer = await openPeer(t, gate, "asks");
    for (const stream of [1, 3, 5, 7, 9]) {
      assert.equal(peer.socket.destroyed, false, `before stream ${stream}`);
      peer.heard.clear();
      peer.send(rawFrame(frameType.headers, flag.endHeaders, stream, requestBlock("/other")));
      peer.send(ping);
      await until(() => (peer.heard.has(frameType.resetStream) && peer.heard.has(pingAnswered)) || peer.socket.destroyed);
    }
    await peer.ended;
    await until(() => gate.refused("INGEST_REQUESTS_MAX") === 1);
    assert.equal(gate.refused("INGEST_PATH_UNKNOWN"), 4);
  });

  /** Enough for a quarantine, whichever bound each of them comes to first, if that is held against anybody. */
  async function floodRequests(gate: TestGate, certificate: TestCertificate): Promise<void> {
    const requests = floods.find(({ name }) => name === "stream opens");
    assert.ok(requests !== undefined);
    for (let nth = 0; nth < 25; nth += 1) await runFlood(requests, { port: gate.gateway.address.port, ca: gate.ca.cert, certificate });
  }

  async function isQuarantined(gate: TestGate, { who, certificate }: Awaited<ReturnType<TestGate["enrol"]>>): Promise<void> {
    const names = gate.gateway.figures().quarantined.map(({ producer }) => producer);
    assert.deepEqual(names, [who.producer]);
    const again = gate.connect(certificate);
    again.say(plainHello());
    assert.equal((await again.ended).code, "INGEST_QUARANTINED");
  }

  test("BP-18 ING-8 whoever floods without a session is quarantined by the name in his certificate", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const honest = await gate.enrol("honest");
    const { client, chain, say } = await gate.begin(honest.who, honest.certificate);
    const flooder = await gate.enrol("flooder");
    await floodRequests(gate, flooder.certificate);
    await isQuarantined(gate, flooder);
    say(chain.next(1).message);
    assert.equal((await client.next("receipt")).durableSeq, 1);
  });

  test("TL-20 who is quarantined hears so three times, then its connections end with their handshake", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const honest = await gate.enrol("honest");
    const { client, chain, say } = await gate.begin(honest.who, honest.certificate);
    const flooder = await gate.enrol("flooder");
    await floodRequests(gate, flooder.certificate);
    for (let told = 0; told < 3; told += 1) await isQuarantined(gate, flooder);
    for (const flood of floods.slice(0, 3)) {
      // One that does not close from its side, either: it is not waited for.
      const peer = await openPeer(t, gate, "flooder", stays);
      for (const bytes of [...flood.first(), flood.next()]) peer.send(bytes);
      assert.equal(peer.heard.has(frameType.resetStream) || peer.heard.has(frameType.data), false, "it was not worth a word");
    }
    await until(() => gate.refused("INGEST_QUARANTINED") === 6 && gate.gateway.door().connections === 1);
    say(chain.next(1).message);
    assert.equal((await client.next("receipt")).durableSeq, 1);
  });

  test("BP-18 whoever holds connections without a session is quarantined as well", { timeout }, async (t) => {
    const clock = new JumpingClock();
    const gate = await startTestGate(t, { clock });
    const holder = await gate.enrol("holds");
    const peers = await Promise.all(Array.from({ length: 40 }, () => openPeer(t, gate, "holds")));
    await until(() => peers.every((peer) => peer.heard.has(frameType.settings)));
    clock.jump(11_000);
    await Promise.all(peers.map((peer) => peer.ended));
    await isQuarantined(gate, holder);
  });

  test("BP-18 a certificate that was revoked cannot have its producer quarantined", { timeout }, async (t) => {
    const gate = await startTestGate(t);
    const { who, certificate: stolen } = await gate.enrol("renewed");
    const { certificate: renewed } = await gate.enrol("renewed");
    const known = ({ cert }: TestCertificate, revoked: boolean): readonly [string, DirectoryCertificate] => [
      new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase(),
      { revoked },
    ];
    gate.directory.put(who, { certificates: new Map([known(stolen, true), known(renewed, false)]) });
    await floodRequests(gate, stolen);
    assert.deepEqual(gate.gateway.figures().quarantined, []);
    await gate.begin(who, renewed);
  });
});

test("TL-16 no flood leaves memory behind, and none is given more than its floor while it lasts", { timeout: 120_000 }, async (t) => {
  const gate = await startTestGate(t, { config: { quarantineMsMin: 1, quarantineMsMax: 1 } });
  const target = { port: gate.gateway.address.port, ca: gate.ca.cert };
  const certificates = await Promise.all(floods.map(async ({ name }) => (await gate.enrol(name)).certificate));
  const round = async (): Promise<void> => {
    const keys = floodKeys(gate, "keys", true, undefined);
    await Promise.all(floods.map((flood, i) => runFlood(flood, { ...target, certificate: certificates[i] })));
    await keys;
    await until(() => gate.gateway.door().connections === 0 && gate.gateway.figures().sessions === 0);
  };
  // What is compiled, cached or remembered by code is there after the first of them.
  for (let warm = 0; warm < 2; warm += 1) await round();
  const before = await retainedBytes();
  for (let rounds = 0; rounds < 4; rounds += 1) await round();
  const more = (await retainedBytes()) - before;
  assert.ok(more < mib, `${more} bytes more after ${4 * (floods.length + 1)} floods`);
  const { reservedBytes, reservedBytesPeak, heldBytes } = gate.gateway.figures();
  assert.deepEqual({ reservedBytes, heldBytes }, { reservedBytes: 0, heldBytes: 0 });
  assert.ok(reservedBytesPeak <= (floods.length + 1) * limits.sessionFloorBytes, `${reservedBytesPeak} bytes reserved`);
});
