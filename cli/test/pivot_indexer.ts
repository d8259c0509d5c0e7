/** An indexer of its own that ends by SIGKILL at the step that it is told. */
import { openPool, type Connection } from "ransomeye-db";
import { IndexBuilder, type IndexStep, IndexStore } from "ransomeye-engine";
import { recordingTelemetry } from "ransomeye-kernel";
import { shortKeys } from "./pivot_world.ts";

process.once("message", (told) => {
  const { connection, step, nowUs } = told as { connection: Connection; step: IndexStep; nowUs: number };
  const pool = openPool({ connection, max: 1, applicationName: "test indexer", telemetry: recordingTelemetry() });
  const builder = new IndexBuilder({
    store: new IndexStore(pool),
    nowUs: () => nowUs,
    keysOf: shortKeys,
    framesMax: 3,
    pendingMax: 40,
    probe: async (reached) => {
      if (reached === step) process.kill(process.pid, "SIGKILL");
    },
  });
  void (async () => {
    for (let n = 0; n < 100; n++) await builder.round();
    process.exit(1);
  })();
});
