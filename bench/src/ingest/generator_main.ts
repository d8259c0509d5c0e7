/**
 * Why: the load of shapes A and B: real producers, through the SDK, in a process of their own.
 * Enforces: events are made before the clock starts; the SDK is used as an agent would use it, spool and all; times are of the moment a batch was
 *   due, so that a stalled sender is measured and not excused.
 * Forbids: anything but the SDK's door.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import { openProducer, type Producer } from "ransomeye-sdk";
import { eventLines } from "../load/events.ts";
import { serveQuestions, sharedClockUs } from "../load/worker.ts";
import { fromWire, type WireIdentity } from "../load/wire_identity.ts";

/** What the bench asks of this process. */
export type GeneratorQuestion =
  | {
      readonly ask: "open";
      readonly identities: readonly WireIdentity[];
      readonly gateway: { readonly host: string; readonly port: number };
    }
  | { readonly ask: "flood"; readonly events: number }
  | { readonly ask: "pace"; readonly eventsPerSecond: number; readonly seconds: number };

export interface FloodAnswer {
  readonly startedUs: number;
  readonly receiptedUs: number;
  readonly events: number;
  readonly bytes: number;
}

/** One batch of the paced load. */
export interface PacedBatch {
  readonly producer: string;
  readonly dueUs: number;
  readonly receiptUs: number;
  readonly lastSeq: number;
}

/** Different lines that each producer cycles through; far more than fit into a frame, far less than memory. */
const linesInPool = 40_000;
const frameBytes = 256 * 1024;
/** Frames of one producer on their way to a receipt. */
const window = 16;
const paceTickMs = 5;

interface Source {
  readonly producer: Producer;
  readonly id: string;
  /** The pool, cut into calls that fill one frame each. */
  readonly frames: readonly (readonly Buffer[])[];
  readonly lines: readonly Buffer[];
}

let sources: Source[] = [];
let spools = "";

async function open(question: Extract<GeneratorQuestion, { ask: "open" }>): Promise<{ eventBytes: number }> {
  spools = await mkdtemp(join(tmpdir(), "ransomeye-bench-spool-"));
  const nowMs = Math.floor(systemClock.nowUs() / 1_000);
  for (const [n, wire] of question.identities.entries()) {
    const make = eventLines(n + 1, () => nowMs);
    const lines = Array.from({ length: linesInPool }, (_, index) => make(index));
    const producer = await openProducer({
      identity: fromWire(wire),
      gateway: question.gateway,
      spoolDir: join(spools, wire.producer),
      clock: systemClock,
      random: systemRandom,
      telemetry: recordingTelemetry(),
    });
    // The first event opens the epoch, so that the measured ones have their final sequences at once.
    await producer.send(lines[0] ?? "");
    await producer.drain("stored");
    sources.push({ producer, id: wire.producer, frames: cutIntoFrames(lines), lines });
  }
  const all = sources.flatMap(({ lines }) => lines);
  return { eventBytes: all.reduce((sum, line) => sum + line.length + 1, 0) / all.length };
}

async function flood(events: number): Promise<FloodAnswer> {
  const startedUs = sharedClockUs();
  let bytes = 0;
  const share = Math.ceil(events / sources.length);
  await Promise.all(
    sources.map(async ({ producer, frames }) => {
      const underWay = new Set<Promise<unknown>>();
      for (let sent = 0, n = 0; sent < share; n++) {
        const lines = (frames[n % frames.length] ?? []).slice(0, share - sent);
        sent += lines.length;
        for (const line of lines) bytes += line.length + 1;
        // Spooled and receipted are waited for apart: the disk need not wait for the network.
        const receipted: Promise<unknown> = producer
          .sendMany(lines)
          .then(({ receipt }) => receipt)
          .finally(() => underWay.delete(receipted));
        underWay.add(receipted);
        if (underWay.size >= window) await Promise.race(underWay);
      }
      producer.flush();
      await Promise.all(underWay);
    }),
  );
  return { startedUs, receiptedUs: sharedClockUs(), events: share * sources.length, bytes };
}

async function pace(eventsPerSecond: number, seconds: number): Promise<PacedBatch[]> {
  const batches: PacedBatch[] = [];
  const perTick = (eventsPerSecond * paceTickMs) / 1_000 / sources.length;
  const waiting: Promise<void>[] = [];
  const startUs = sharedClockUs();
  const ticks = Math.floor((seconds * 1_000) / paceTickMs);
  for (let tick = 0; tick < ticks; tick++) {
    const dueUs = startUs + tick * paceTickMs * 1_000;
    const waitMs = (dueUs - sharedClockUs()) / 1_000;
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const from = Math.floor(tick * perTick);
    const count = Math.floor((tick + 1) * perTick) - from;
    if (count === 0) continue;
    for (const { producer, id, lines } of sources) {
      const at = from % (lines.length - count);
      waiting.push(
        producer.sendMany(lines.slice(at, at + count)).then(async ({ lastSeq, receipt }) => {
          await receipt;
          batches.push({ producer: id, dueUs, receiptUs: sharedClockUs(), lastSeq });
        }),
      );
    }
  }
  await Promise.all(waiting);
  return batches;
}

function cutIntoFrames(lines: readonly Buffer[]): Buffer[][] {
  const frames: Buffer[][] = [];
  let frame: Buffer[] = [];
  let bytes = 0;
  for (const line of lines) {
    if (bytes + line.length + 1 > frameBytes) {
      frames.push(frame);
      frame = [];
      bytes = 0;
    }
    frame.push(line);
    bytes += line.length + 1;
  }
  return frames;
}

serveQuestions(
  async (question: GeneratorQuestion) => {
    if (question.ask === "open") return await open(question);
    return question.ask === "flood" ? await flood(question.events) : await pace(question.eventsPerSecond, question.seconds);
  },
  async () => {
    await Promise.all(sources.map(({ producer }) => producer.close()));
    sources = [];
    if (spools !== "") await rm(spools, { recursive: true, force: true });
  },
);
