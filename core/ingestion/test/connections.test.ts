/**
 * Why: a connection costs what it likes until it is looked at, so how soon that is bounds every flood below the protocol.
 * Enforces: every look sees all of a few hundred connections, and of thousands a tenth; of those that have closed nothing stays.
 * Forbids: real sockets and real time.
 */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import test from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { systemClock } from "ransomeye-kernel";
import { transportSettings } from "../config/transport.ts";
import { type ConnectionPorts, Connections } from "../src/connections.ts";

/** As much of a socket as a connection in its handshake shows. */
class SilentSocket extends EventEmitter {
  readonly remoteAddress: string = "192.0.2.1";
  readonly localAddress: string = "192.0.2.254";
  readonly remotePort: number;
  readonly bytesRead: number = 0;

  constructor(remotePort: number) {
    super();
    this.remotePort = remotePort;
  }

  resetAndDestroy(): void {
    this.emit("close");
  }
}

/** So many connections in their handshake. */
function opened(count: number, nowMs: () => number, turnedAway: ConnectionPorts["turnedAway"]): Connections {
  const config = { handshakesPerSecondMax: count, handshakeBurstMax: count, handshakeOverrides: "192.0.2.0/24=1000000" };
  return new Connections(
    { ...transportSettings(20_000, config), handshakesOpenMax: count },
    {
      clock: { ...systemClock, monotonicMs: nowMs },
      salt: Buffer.alloc(32, 7),
      begin: () => undefined,
      turnedAway,
      barred: () => false,
    },
  );
}

function take(connections: Connections, count: number): SilentSocket[] {
  const sockets = Array.from({ length: count }, (_, at) => new SilentSocket(at + 1));
  for (const socket of sockets) connections.take(socket as unknown as Socket);
  assert.equal(connections.count, count);
  return sockets;
}

/** How many of so many connections, all past their deadline, one look ends. */
function endedByOneLook(count: number): number {
  let nowMs = 0;
  let ended = 0;
  const connections = opened(
    count,
    () => nowMs,
    (code) => {
      assert.equal(code, "INGEST_HANDSHAKE_TIMEOUT");
      ended += 1;
    },
  );
  take(connections, count);
  nowMs = 3_600_000;
  connections.look();
  return ended;
}

/** So many connections are opened, looked at and closed. */
function openedAndClosed(connections: Connections, count: number): WeakRef<SilentSocket>[] {
  const sockets = take(connections, count);
  connections.look();
  for (const socket of sockets) socket.resetAndDestroy();
  assert.equal(connections.count, 0);
  return sockets.map((socket) => new WeakRef(socket));
}

test("TL-8 one look sees all of a few hundred connections, and a tenth of thousands", () => {
  assert.equal(endedByOneLook(40), 40);
  assert.equal(endedByOneLook(500), 500);
  assert.equal(endedByOneLook(3_000), 500);
  assert.equal(endedByOneLook(10_000), 1_000);
});

test("TL-16 of connections that have closed nothing stays, though nobody comes after them", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const count = 1_000;
  const connections = opened(
    count,
    () => 0,
    () => assert.fail("nobody is refused"),
  );
  const sockets = openedAndClosed(connections, count);
  // What was reached by a weak reference in this turn stays until its end.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  // One may still lie where the engine has put it last.
  assert.ok(sockets.filter((socket) => socket.deref() !== undefined).length <= 1);
  assert.equal(connections.count, 0);
});
