/**
 * Why: between the HTTP/2 library and the session lies a buffer or two, and what they count and keep decides who is taken for a flooder.
 * Enforces: the shell of one stream, over a real HTTP/2 connection of this process: what it has received, what a message keeps alive, when a message is slow.
 * Forbids: real time, TLS and sessions.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Stream, connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import type { Clock } from "ransomeye-kernel";
import { type ClientMessage, clientMessage, grpcParts } from "../protocol/lib.ts";
import type { IngestCode } from "../errors/ingest_errors.ts";
import { PeerStream } from "../src/peer_stream.ts";
import { Turns } from "../src/turns.ts";

const bounds = {
  messageBytesMax: 300_000,
  wordsBytesMax: 4096,
  outboundBytesMax: 300_000,
  words: { perSecondMax: 1e9, burstMax: 1e9 },
  messageMsMax: 60_000,
  unreadMsMax: 60_000,
  lingerMsMax: 1000,
};

interface Pair {
  readonly client: ClientHttp2Stream;
  readonly peer: PeerStream;
  readonly heard: ClientMessage[];
  readonly broken: IngestCode[];
  readonly jump: (ms: number) => void;
}

/** One stream between a client and the shell. `turns` says when chunks have their turn. */
async function pair(t: TestContext, turnsOf: (clock: Clock) => Turns = (clock) => new Turns(clock)): Promise<Pair> {
  let nowMs = 1000;
  const clock: Clock = { nowUs: () => nowMs * 1000, monotonicMs: () => nowMs, setTimer: () => ({ cancel: () => undefined }) };
  const server = createServer({ settings: { initialWindowSize: 262_144 } });
  const opened = once(server, "stream") as Promise<[ServerHttp2Stream]>;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const client = session.request({ ":method": "POST", ":path": "/" }, { endStream: false });
  client.on("error", () => undefined);
  t.after(() => {
    session.destroy();
    server.close();
  });
  const [stream] = await opened;
  const peer = new PeerStream(stream, clock, bounds);
  const heard: ClientMessage[] = [];
  const broken: IngestCode[] = [];
  const events = {
    message: (message: ClientMessage) => void heard.push(message),
    broken: (code: IngestCode) => void broken.push(code),
    lost: () => undefined,
    ponged: () => undefined,
    creditBytes: () => 300_000,
  };
  peer.open(events, turnsOf(clock));
  return {
    client,
    peer,
    heard,
    broken,
    jump(ms) {
      nowMs += ms;
    },
  };
}

const bytesOf = (message: ClientMessage): Buffer => Buffer.concat(grpcParts(clientMessage.encode(message)));
const word = bytesOf({ kind: "demand", bytes: 1, events: 1, oldestUs: 0, frameBytes: 0 });
const frame = (payloadBytes: number): ClientMessage => ({
  kind: "frame",
  header: Buffer.alloc(100, 1),
  signature: Buffer.alloc(64, 2),
  payload: Buffer.alloc(payloadBytes, 3),
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

test("TL-8 bytes that wait for their turn at the gate have been received: its own lateness makes no flood of them", {
  timeout: 30_000,
}, async (t) => {
  const late: (() => void)[] = [];
  const { client, peer, heard } = await pair(t, (clock) => new Turns(clock, 0, (work) => void late.push(work)));
  const sent = Buffer.concat([bytesOf(frame(50_000)), bytesOf(frame(50_000))]);
  client.write(sent);
  // Nobody has had a turn yet, and the client has sent all that it may.
  await until(() => peer.receivedBytes === sent.length);
  assert.equal(heard.length, 0);
});

test("P-5 a message in the gate's hands keeps alive no more than itself of what came with it", { timeout: 30_000 }, async (t) => {
  const { client, heard } = await pair(t);
  client.write(Buffer.concat([...Array<Buffer>(1000).fill(word), bytesOf(frame(200)), ...Array<Buffer>(1000).fill(word)]));
  await until(() => heard.length === 2001);
  const kept = heard.find(({ kind }) => kind === "frame");
  assert.ok(kept?.kind === "frame");
  for (const part of [kept.header, kept.signature, kept.payload])
    assert.ok(part.buffer.byteLength <= 1024, `${part.buffer.byteLength} bytes`);
});

test("TL-10 a busy producer always has a message under way: it is slow only where none gets on", { timeout: 30_000 }, async (t) => {
  const { client, peer, heard, jump } = await pair(t);
  const [head, tail] = [word.subarray(0, 4), word.subarray(4)];
  client.write(head);
  for (let messages = 1; messages <= 10; messages += 1) {
    await until(() => peer.receivedBytes === messages * word.length - tail.length);
    jump(25_000);
    assert.equal(peer.stalled(messages * 25_000 + 1000), undefined, `after ${messages}`);
    client.write(Buffer.concat([tail, head]));
    await until(() => heard.length === messages);
  }
  jump(60_001);
  assert.equal(peer.stalled(1000 + 250_000 + 60_001), "INGEST_SLOW_WRITER");
});
