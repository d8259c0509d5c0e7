/**
 * Why it exists: a first look needs something to see: one producer of each kind, through the SDK and the real gate like any other (demo.* in the
 * configuration).
 * Enforces: the configured rate; a spool of its own for each producer; identities of their own, enrolled on this host.
 * Forbids: any way into the system that a real producer does not have.
 */
import { join } from "node:path";
import { sleep } from "ransomeye-kernel";
import type { ProducerKind } from "ransomeye-pipeline";
import { openProducer, type Producer } from "ransomeye-sdk";
import { producerKinds } from "ransomeye-ingestion/protocol";
import { callsOf } from "../demo/calls.ts";
import { DemoScript } from "../demo/script.ts";
import { demoTold } from "../events.ts";
import { ensureIdentity } from "../ship/identities.ts";
import { makePrivate } from "../supervisor/data_dir.ts";
import { localHost } from "../supervisor/gateway_address.ts";
import type { Role, RoleContext } from "./role_process.ts";

const stepMs = 200;
const spoolBytesMax = 32 * 1024 * 1024;
const lastReceiptsMsMax = 5000;

/** The demo fleet's process. */
export const demoRole: Role = async (context) => {
  const { begin, clock, telemetry, lifetime } = context;
  const producers = new Map<ProducerKind, Producer>();
  for (const kind of producerKinds) producers.set(kind, await openOne(context, kind));
  const script = new DemoScript(begin.config.demo.seed, begin.config.demo.eventsPerSecond);
  const startMs = clock.monotonicMs();
  const ended = new AbortController();

  const told = (async () => {
    while (!ended.signal.aborted) {
      const { events, chapters } = script.step(clock.monotonicMs() - startMs, clock.nowUs());
      for (const chapter of chapters) telemetry.emit(demoTold, { chapter: chapter.name, host: chapter.host });
      await Promise.all(
        // Waits while the spool is full: a fleet that is not heard gets slower, it loses nothing.
        callsOf(events).map(async ({ kind, lines, urgent }) => await producers.get(kind)?.sendMany(lines, { urgent })),
      );
      await sleep(clock, stepMs, ended.signal).catch(() => undefined);
    }
  })();
  told.catch(() => undefined);
  lifetime.defer("demo fleet", async (mode) => {
    ended.abort(new Error("stopping"));
    if (mode === "drain") await told;
    for (const producer of producers.values()) {
      if (mode === "drain") await producer.drain("receipt", AbortSignal.timeout(lastReceiptsMsMax)).catch(() => undefined);
      await producer.close();
    }
  });
};

async function openOne({ begin, dataDir, clock, random, telemetry }: RoleContext, kind: ProducerKind): Promise<Producer> {
  const name = `demo-${kind}`;
  const identity = await ensureIdentity({
    directory: join(dataDir.identities, name),
    name,
    kind,
    registrySocket: begin.registrySocket,
    clock,
    random,
  });
  const spoolDir = join(dataDir.spool, name);
  await makePrivate(spoolDir);
  const gateway = { host: localHost(begin.gateway.host), port: begin.gateway.port };
  return openProducer({ identity, gateway, spoolDir, options: { agent: "ransomeye-demo", spoolBytesMax }, clock, random, telemetry });
}
