/** Why: a disk that changes what it holds must stop the engine, not cost a row: a page is changed under a real server, and put right again. */
import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { type EmbeddedServer, startEmbedded } from "ransomeye-db";
import { openTestServer } from "ransomeye-db/testing";
import { hasCode, type RecordedEvent, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { Chain, eventLine, producerId } from "../src/testing.ts";
import { fixturesOf, until } from "./postgres_fixture.ts";

const server = await openTestServer({ own: true });
let running: EmbeddedServer | undefined = server.embedded;
after(async () => {
  await running?.stop("immediate");
  await server.close();
});

const withFixture = fixturesOf(server);

/** Stops the server, turns one bit of a file in its data directory around, and starts it again. */
async function flipWhileStopped(path: string, at: number): Promise<void> {
  assert.ok(running !== undefined);
  const { dataDirectory, socketDirectory, logFile } = running;
  await running.stop("fast");
  const file = await open(join(dataDirectory, path), "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  await file.close();
  running = await startEmbedded({
    ...{
      dataDir: dirname(dirname(logFile)),
      runtimeDir: dirname(socketDirectory),
      settings: { shared_buffers: "32MB", max_connections: "120" },
    },
    ...{ telemetry: recordingTelemetry(), clock: systemClock, random: systemRandom },
  });
}

test("DP-68 DP-50 R-11 a page that the disk has changed stops the engine with the way out, costs no row and no dead letter; put right, it goes on", () =>
  withFixture(async (fixture) => {
    const chain = new Chain(producerId(1));
    const part = await fixture.openEpoch(chain);
    await fixture.append(chain, [chain.frame({ lines: [eventLine("a"), eventLine("b")] })]);
    const first = fixture.engine();
    await fixture.stored();
    await first.lifetime.drain();
    const before = await fixture.offset(part);
    const { rows } = await fixture.database.pool.query<{ path: string }>("SELECT pg_relation_filepath('data.sink_head') AS path");
    const head = rows[0]?.path ?? "";
    const [waiting, late] = [chain.frame({ lines: [eventLine("c")] }), chain.frame({ lines: [eventLine("d")] })];
    await fixture.append(chain, [waiting]);
    // In the free space of the page: only its checksum can tell.
    await flipWhileStopped(head, 4000);
    await assert.rejects(fixture.append(chain, [late]), (error) => hasCode(error, "BUS_CORRUPT"), "no receipt from a damaged database");
    const second = fixture.engine();
    const told = (): RecordedEvent | undefined =>
      fixture.telemetry.events.find(({ name, fields }) => name === "store_stalled" && fields["code"] === "ENGINE_SINK_DAMAGED");
    await until(() => told() !== undefined);
    const stalled = told();
    assert.match(String(stalled?.fields["next"]), /backup restore/);
    assert.deepEqual(await fixture.deadLetters(), []);
    assert.equal((await fixture.offset(part)).off, before.off);
    assert.equal((await fixture.events()).length, 2);
    await second.lifetime.drain();

    await flipWhileStopped(head, 4000);
    const third = fixture.engine();
    await fixture.append(chain, [late]);
    await fixture.stored();
    await fixture.assertExactlyOnce(chain, 1, 4);
    assert.deepEqual(await fixture.deadLetters(), []);
    await third.lifetime.drain();
  }));
