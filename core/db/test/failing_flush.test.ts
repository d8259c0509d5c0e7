/** A flush that fails, for real: strace makes the disk say no. Where no process may be traced this file has nothing to say. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { startEmbedded } from "../src/embedded/embedded.ts";
import { openClient } from "../src/pool.ts";

const directory = await mkdtemp(join(tmpdir(), "re-flush-"));
after(() => rm(directory, { recursive: true, force: true, maxRetries: 20 }));
const tracer = "strace";
const mayTrace = spawnSync(tracer, ["-f", "-qq", "-o", "/dev/null", "true"]).status === 0;

test("DP-69 R-4 a flush that fails: the commit is not acknowledged, the server recovers by itself, and everything acknowledged is there", {
  skip: !mayTrace,
}, async () => {
  await chmod(directory, 0o711);
  const server = await startEmbedded({
    ...{ dataDir: join(directory, "d"), runtimeDir: join(directory, "r"), syncNewCluster: false, settings: { shared_buffers: "16MB" } },
    ...{ telemetry: recordingTelemetry(), clock: systemClock, random: systemRandom },
  });
  const client = await openClient(server.connection, "test");
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  await client.query("CREATE TABLE kept (n int)");
  await client.query("INSERT INTO kept SELECT generate_series(1, 1000)");
  const strace = spawn(tracer, ["-p", String(rows[0]?.pid), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await once(strace.stderr, "data");
  await assert.rejects(client.query("INSERT INTO kept VALUES (-1)"), "a COMMIT whose flush failed is no COMMIT");
  await client.end().catch(() => undefined);
  if (strace.exitCode === null && strace.signalCode === null) await once(strace, "exit");
  // The postmaster ends its backends, replays the log, and goes on; nobody starts it.
  const ask = async (): Promise<number> => {
    for (;;) {
      try {
        const again = await openClient(server.connection, "test");
        const found = await again.query<{ n: number }>("SELECT count(*)::int AS n FROM kept WHERE n > 0");
        await again.end();
        return found.rows[0]?.n ?? -1;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  assert.equal(await ask(), 1000);
  await server.stop("fast");
  assert.deepEqual(await server.exited, { code: 0, signal: null, asked: true }, "it is the same server all the time");
});
