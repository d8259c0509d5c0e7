/**
 * Why: the process whose promises are judged: producers through the SDK's door, as an agent would use it.
 * Enforces: several calls of each producer are on their way at a time, each a frame of its own; the moment a promise settles is a write to a file, so that it
 *   has a place among all other calls.
 * Forbids: sending before the tracer is there, and anything but the SDK.
 */
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { loadIdentity, openProducer } from "ransomeye-sdk";
import { linesOf, type Order, tokenOf } from "./order.ts";

const callsUnderWay = 4;

async function send(order: Order): Promise<void> {
  const marks = openSync(join(order.directory, "marks"), "w", 0o600);
  const mark = (settled: string, token: string): void => void writeSync(marks, `${settled} ${token}\n`);
  await Promise.all(
    order.identities.map(async (identity, index) => {
      await using producer = await openProducer({
        identity: await loadIdentity(identity),
        gateway: order.gateway,
        spoolDir: join(order.directory, `spool-${index}`),
        clock: systemClock,
        random: systemRandom,
        telemetry: recordingTelemetry(),
      });
      const underWay = new Set<Promise<void>>();
      for (let call = 0; call < order.callsPerProducer; call++) {
        const token = tokenOf(index, call);
        const handedOver = producer.sendMany(linesOf(index, call));
        producer.flush();
        const one = handedOver
          .then(({ receipt }) => {
            mark("spooled", token);
            return receipt;
          })
          .then(() => mark("receipted", token))
          .finally(() => underWay.delete(one));
        underWay.add(one);
        if (underWay.size >= callsUnderWay) await Promise.race(underWay);
      }
      await Promise.all(underWay);
    }),
  );
}

process.once("message", (order) => {
  send(order as Order).then(
    () => process.send?.("done"),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exitCode = 1;
      process.disconnect();
    },
  );
});
process.send?.("ready");
