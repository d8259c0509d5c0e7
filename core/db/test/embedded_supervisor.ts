/** Run as a process of its own by embedded.test.ts: starts a server, prints its pid, and waits to be killed. */
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { startEmbedded } from "../src/embedded/embedded.ts";

const [dataDir = "", runtimeDir = ""] = process.argv.slice(2);
const server = await startEmbedded({
  dataDir,
  runtimeDir,
  syncNewCluster: false,
  settings: { shared_buffers: "16MB", max_connections: "20" },
  telemetry: recordingTelemetry(),
  clock: systemClock,
  random: systemRandom,
});
process.stdout.write(`${server.pid}\n`);
await server.exited;
