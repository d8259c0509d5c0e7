/**
 * Why: a gateway that was busy for some seconds must not take its own slowness for the registry's silence: it would drop the connection, and ask for the
 *   whole snapshot when it has least time for it.
 * Enforces: R-13: what has arrived is read before silence is judged; a registry that says nothing is left and asked anew.
 * Forbids: real waiting: the clock moves when the test says so.
 */
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Lifetime, recordingTelemetry, systemRandom } from "ransomeye-kernel";
import { temporaryDirectory } from "ransomeye-kernel/testing";
import { followRegistry } from "../src/registry/client.ts";
import type { Push } from "../src/registry/wire.ts";
import { manualClock } from "./manual_clock.ts";

const longEnoughMs = 10_000;

test("R-13 a gateway that was busy reads what has arrived before it calls the registry silent", { timeout: 30_000 }, async () => {
  const socketPath = join(await temporaryDirectory(), "registry.sock");
  const subscribers: Socket[] = [];
  const tell = (socket: Socket, push: Push): Promise<void> =>
    new Promise((resolve) => void socket.write(`${JSON.stringify(push)}\n`, () => resolve()));
  const server = createServer((socket) => {
    subscribers.push(socket);
    socket.on("error", () => undefined).resume();
    void tell(socket, { type: "snapshot", version: 1, part: 0, parts: 1, producers: [] });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const clock = manualClock();
  const telemetry = recordingTelemetry();
  await using lifetime = new Lifetime();
  lifetime.defer("registry", () => {
    for (const socket of subscribers) socket.destroy();
    server.close();
  });
  const directory = await followRegistry({ socketPath, clock, random: systemRandom, telemetry, lifetime });
  const [first] = subscribers;
  assert.ok(first !== undefined);

  // A heartbeat lies in the socket while this process does something else for ten seconds.
  await new Promise<void>((resolve) =>
    setTimeout(() => {
      void tell(first, { type: "heartbeat", version: 1 }).then(resolve);
      clock.advance(longEnoughMs);
    }, 0),
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(subscribers.length, 1, "the connection is kept");
  assert.equal(directory.ageMs(), 0, "and it has been heard");

  clock.advance(longEnoughMs);
  for (let tries = 0; subscribers.length < 2 && tries < 200; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    clock.advance(100);
  }
  assert.equal(subscribers.length, 2, "who says nothing is left, and asked anew");
  assert.ok(telemetry.events.some(({ name, fields }) => name === "registry_lost" && fields["reason"] === "silent"));
});
