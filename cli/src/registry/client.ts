/**
 * Why it exists: commands ask the registry, gateways follow it; both over its private unix socket.
 * Enforces: reconnects for ever with full jitter, counted and logged; a peer that breaks the protocol is dropped and nothing of that line believed.
 * Forbids: caching across processes: a gate that starts knows nothing until the registry has spoken.
 */
import { connect } from "node:net";
import type { ProducerDirectory } from "ransomeye-ingestion";
import { type Clock, fullJitterMs, type Lifetime, type Random, sleep, type Telemetry, type Timer } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { registryLost, registrySynced } from "../events.ts";
import { DirectoryMemory } from "./directory.ts";
import { type Question, requestLine } from "./requests.ts";
import { heartbeatMs, LineSplitter, parseProducer, parsePush, type Reply, type WireProducer } from "./wire.ts";
import { array, integer, object } from "./wire_fields.ts";

const requestMsMax = 15_000;
/** A connection without a word for this long is taken for dead; three heartbeats. */
const silenceMsMax = 3 * heartbeatMs;
/** What a gateway has to say is dropped where the registry does not read it. */
const suspicionBytesMax = 65_536;
const reconnectBaseMs = 50;
const reconnectCapMs = 1000;

/** Asks one question. @throws CliError CLI_REGISTRY_REFUSED with the registry's reason, CLI_UNREACHABLE when it does not answer */
export async function registryRequest(socketPath: string, request: Question, clock: Clock): Promise<unknown> {
  const reply = await askSocket({ socketPath, line: requestLine(request), whom: "the registry", clock });
  if (reply.ok) return reply.result;
  throw new CliError("CLI_REGISTRY_REFUSED", reply.message, { fields: { code: reply.code } });
}

/** One line to a private socket, and the reply. @throws CliError CLI_UNREACHABLE when there is none */
export function askSocket(o: {
  readonly socketPath: string;
  readonly line: string;
  /** Who is asked, in words. */
  readonly whom: string;
  readonly clock: Clock;
}): Promise<Reply> {
  const { socketPath, line: question, whom, clock } = o;
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const lines = new LineSplitter();
    const timer = clock.setTimer(requestMsMax, () => fail(new CliError("CLI_UNREACHABLE", `${whom} did not answer in time`)));
    const end = (): void => {
      timer.cancel();
      socket.destroy();
    };
    const fail = (error: unknown): void => {
      end();
      reject(error);
    };
    socket.on("connect", () => socket.write(question));
    socket.on("error", (cause) => fail(new CliError("CLI_UNREACHABLE", `${whom}'s socket ${socketPath} cannot be reached`, { cause })));
    socket.on("close", () => fail(new CliError("CLI_UNREACHABLE", `${whom} closed the connection without an answer`)));
    socket.on("data", (chunk: Buffer) => {
      try {
        const line = lines.push(chunk)[0];
        if (line === undefined) return;
        const reply = JSON.parse(line) as Reply;
        end();
        resolve(reply);
      } catch (error) {
        fail(error);
      }
    });
  });
}

/** All registered producers, and the version that they belong to. Rejects as `registryRequest` does. */
export async function listProducers(
  socketPath: string,
  clock: Clock,
): Promise<{ readonly version: number; readonly producers: readonly WireProducer[] }> {
  const producers = new Map<string, WireProducer>();
  for (let from: number | null = 0, version = 0; ; ) {
    const part = object(await registryRequest(socketPath, { op: "list", from }, clock));
    version = integer(part["version"], "version");
    // By id: what changed between two questions comes as it is now.
    for (const one of array(part["producers"])) {
      const producer = parseProducer(one);
      producers.set(producer.id, producer);
    }
    from = part["next"] === null ? null : integer(part["next"], "next");
    if (from === null) return { version, producers: [...producers.values()] };
  }
}

/** Follows the registry until the lifetime ends. Resolves with the first whole snapshot. */
export async function followRegistry(o: {
  readonly socketPath: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
  /** The registry says which revision of key, certificate and authorities is in force: after each connection, and when it changes. */
  readonly onMaterial?: (revision: string) => void;
}): Promise<ProducerDirectory> {
  const memory = new DirectoryMemory(o.clock);
  const ended = new AbortController();
  // Registered once and first, so that it closes last: a gate that drains still has to know who was revoked.
  o.lifetime.defer("registry subscription", () => ended.abort(new Error("shutting down")));
  const first = new Promise<void>((resolve, reject) => {
    const stop = memory.onChange(() => {
      stop();
      resolve();
    });
    ended.signal.addEventListener("abort", () => reject(ended.signal.reason as Error), { once: true });
  });
  void follow();
  await first;
  return memory;

  async function follow(): Promise<void> {
    for (let attempt = 0; !ended.signal.aborted; attempt += 1) {
      const before = memory.version;
      const reason = await session(memory, ended.signal, o);
      memory.disconnected();
      if (ended.signal.aborted) return;
      o.telemetry.emit(registryLost, { reason, version: memory.version });
      if (memory.version !== before) attempt = 0;
      await sleep(o.clock, fullJitterMs(o.random, Math.min(attempt, 10), reconnectBaseMs, reconnectCapMs), ended.signal).catch(
        () => undefined,
      );
    }
  }
}

/** One connection from subscribe to its end; resolves with the reason. */
function session(
  memory: DirectoryMemory,
  ended: AbortSignal,
  o: {
    readonly socketPath: string;
    readonly clock: Clock;
    readonly telemetry: Telemetry;
    readonly onMaterial?: (revision: string) => void;
  },
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(o.socketPath);
    const lines = new LineSplitter();
    let reason = "closed by the registry";
    const close = (why: string): void => {
      reason = why;
      socket.destroy();
    };
    const onAbort = (): void => close("shutting down");
    let heard = 0;
    // After a busy while of our own the timer comes before the reading of what has long arrived: that is read first, then it is silence or not.
    const judge = (before: number): void => {
      if (heard === before) close("silent");
    };
    const watch = (): Timer => o.clock.setTimer(silenceMsMax, () => setImmediate(judge, heard));
    ended.addEventListener("abort", onAbort, { once: true });
    let silence = watch();
    socket.on("connect", () => {
      socket.write(requestLine({ op: "subscribe" }));
      memory.tell = (suspicion) => {
        if (socket.writableLength < suspicionBytesMax) socket.write(requestLine({ op: "suspect", suspicion }));
      };
    });
    socket.on("error", (error) => {
      reason = error.message;
    });
    socket.on("data", (chunk: Buffer) => {
      heard += 1;
      silence.cancel();
      silence = watch();
      try {
        for (const line of lines.push(chunk)) {
          const push = parsePush(line);
          if (memory.apply(push) === "changed") o.telemetry.emit(registrySynced, { version: memory.version });
          if (push.type === "material") o.onMaterial?.(push.revision);
        }
      } catch (error) {
        close(error instanceof Error ? error.message : String(error));
      }
    });
    socket.on("close", () => {
      memory.tell = undefined;
      silence.cancel();
      ended.removeEventListener("abort", onAbort);
      resolve(reason);
    });
  });
}
