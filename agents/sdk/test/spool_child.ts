/**
 * A producer process that is killed in the middle by spool.test.ts. It hands over events from its cursor on and prints each cursor that was confirmed.
 * Arguments: spool directory, events, identity directory, gateway port.
 */
import { seededRandom, systemClock } from "ransomeye-kernel";
import { loadIdentity, openProducer } from "../src/lib.ts";
import { settings } from "./gateway_double.ts";

const [directory = "", count = "0", identityDir = "", port = "0"] = process.argv.slice(2);
const all = settings(await loadIdentity(identityDir), Number(port), directory, { frameEventsMax: 7, lingerMs: 0 });
const producer = await openProducer({ ...all, clock: systemClock, random: seededRandom(process.pid) });
let next = Number(producer.cursor() ?? 0) + 1;
process.stdout.write(`from ${next}\n`);
while (next <= Number(count)) {
  const calls = [];
  for (let i = 0; i < 4 && next <= Number(count); i += 1) {
    const size = 1 + (next % 23);
    const lines = Array.from({ length: size }, (_, at) => Buffer.from(`{"n":${next + at},"pad":"${"x".repeat((next * 37) % 900)}"}`));
    next += size;
    const cursor = String(next - 1);
    calls.push(producer.sendMany(lines, { cursor }).then(() => process.stdout.write(`durable ${cursor}\n`)));
  }
  await Promise.all(calls);
}
await producer.close();
process.stdout.write("done\n");
