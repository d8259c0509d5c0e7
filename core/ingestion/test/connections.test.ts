/**
 * Why: a connection costs what it likes until it is looked at, so how soon that is bounds every flood below the protocol.
 * Enforces: every look sees all of a few hundred connections, and of thousands a tenth.
 * Forbids: real sockets and real time.
 */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import test from "node:test";
import { systemClock } from "ransomeye-kernel";
import { transportSettings } from "../config/transport.ts";
import { Connections } from "../src/connections.ts";

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

/** How many of so many connections, all past their deadline, one look ends. */
function endedByOneLook(count: number): number {
  const config = { handshakesPerSecondMax: count, handshakeBurstMax: count, handshakeOverrides: "192.0.2.0/24=1000000" };
  let nowMs = 0;
  let ended = 0;
  const connections = new Connections(
    { ...transportSettings(20_000, config), handshakesOpenMax: count },
    {
      clock: { ...systemClock, monotonicMs: () => nowMs },
      salt: Buffer.alloc(32, 7),
      begin: () => undefined,
      turnedAway: (code) => {
        assert.equal(code, "INGEST_HANDSHAKE_TIMEOUT");
        ended += 1;
      },
      barred: () => false,
    },
  );
  for (let port = 1; port <= count; port += 1) connections.take(new SilentSocket(port) as unknown as Socket);
  assert.equal(connections.count, count);
  nowMs = 3_600_000;
  connections.look();
  return ended;
}

test("TL-8 one look sees all of a few hundred connections, and a tenth of thousands", () => {
  assert.equal(endedByOneLook(40), 40);
  assert.equal(endedByOneLook(500), 500);
  assert.equal(endedByOneLook(3_000), 500);
  assert.equal(endedByOneLook(10_000), 1_000);
});
