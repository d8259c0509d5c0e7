/**
 * Why: the sample as a process beside a running system.
 * Enforces: the system is found through its data directory, on either adapter; Ctrl-C finishes what was begun and gives the rest back.
 * Forbids: printing anything that came in a message: attackers write those.
 */
import { parseArgs } from "node:util";
import { createTelemetry, RansomeyeError, SignalWatch, systemClock, systemRandom } from "ransomeye-kernel";
import { MessageQueueManager } from "ransomeye-pipeline";
import { openStreams } from "ransomeye/streams";
import { startAiConsumer } from "./consumer.ts";
import { sampleModel } from "./model.ts";

const usage = `Reads stream:attacks in group:ai_processor and publishes what a sample model makes of them to stream:ai_decisions.
Usage: node examples/ai_consumer/dist/src/main.js [--data-dir DIR] [--lease-ms N]
  --data-dir DIR  where the system keeps everything (default: .ransomeye in this folder)
  --lease-ms N    after how long a killed instance's attacks go to another one (default 10000)`;

const leaseMsDefault = "10000";

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: { "data-dir": { type: "string" }, "lease-ms": { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help === true) {
    console.log(usage);
    return;
  }
  const leaseMs = Number(values["lease-ms"] ?? leaseMsDefault);
  if (!Number.isInteger(leaseMs) || leaseMs < 100 || leaseMs > 600_000)
    throw new TypeError("--lease-ms is a whole number from 100 to 600000");
  const dataDir = values["data-dir"];

  // Whoever reads our lines may have seen enough (`| head`); the work goes on.
  process.stdout.on("error", () => undefined);
  const telemetry = createTelemetry({ role: "ai_consumer", level: "warn" });
  const log = await openStreams({ ...(dataDir === undefined ? {} : { dataDir }), telemetry });
  const queue = new MessageQueueManager({
    log,
    producerId: "ai_consumer",
    clock: systemClock,
    random: systemRandom,
    telemetry,
    leaseMs,
  });
  startAiConsumer({
    queue,
    model: sampleModel,
    onDecision: ({ id, verdict, repeated }) => console.log(`${id} ${verdict}${repeated ? " (had been published before)" : ""}`),
  });
  console.log("deciding about attacks; Ctrl-C ends");
  await new Promise<void>((resolve) => {
    const watch = new SignalWatch({
      signals: ["SIGINT", "SIGTERM"],
      onWish: (wish) => {
        if (wish === "destroy") process.exit(1);
        resolve();
      },
    });
    process.once("exit", () => watch.release());
  });
  await queue.close();
  await log.close();
  process.exit(0);
}

run().catch((error: unknown) => {
  const next = error instanceof RansomeyeError ? `\n  ${error.next}` : "";
  console.error(`${error instanceof Error ? error.message : String(error)}${next}`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
});
