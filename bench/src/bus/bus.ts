/**
 * Why: "scales past one machine on an engine that exists" is a number, and the number means something beside what that engine does bare (issue of the bus).
 * Enforces: each round measures ours and the bare commands one right after the other; the median of the rounds' ratios is told, and every round is kept.
 * Forbids: a best round.
 */
import { openResult } from "ransomeye-tests";
import { type OpenAdapter, openAdapter } from "./adapters.ts";
import { BullmqBench, type BullmqRates } from "./bullmq.ts";
import { FrameLoad, framesInFlight, framesPerRead } from "./frames.ts";
import { consumeAll, handlerCounts, payload, prefetch, publishAll, publishesInFlight, publishToHandler, queueOn } from "./messages.ts";
import type { AdapterName, BusOptions } from "./options.ts";
import { type Bare, type BusFigures, busPage, busText, type FrameRound, type MessageRound } from "./page.ts";
import { type RawLoad, RawStreams } from "./raw.ts";
import { median } from "../stats.ts";

const frameBytes = [4096, 65_536] as const;
/** What a frame carries beside its payload: meta, header, signature, verdicts. */
const besidesBytes = 500;
const latencyMessages = 500;

/** Measures and prints; gives the exit code. */
export async function busBench(options: BusOptions): Promise<number> {
  const { adapter, result } = options;
  const keep =
    result === undefined ? undefined : await openResult<BusFigures>({ path: result, script: "bench", append: false, pageOf: busPage });
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  await using bullmq = options.withBullmq ? await BullmqBench.install() : undefined;
  const figures: { frames: FrameRound[]; messages: MessageRound[]; bullmq: BullmqRates[] } = { frames: [], messages: [], bullmq: [] };
  for (const name of adapter) {
    await using open = await openAdapter(name);
    for (const bytes of frameBytes) {
      const load = await FrameLoad.open(open.bus, bytes);
      for (let round = 1; round <= options.rounds; round += 1) {
        figures.frames.push(await frameRound({ name, open, load, bytes, round, seconds: options.seconds }));
        say(`${name}: frames of ${bytes} bytes, round ${round}`);
      }
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      figures.messages.push(await messageRound({ name, open, round, messages: options.messages }));
      if (bullmq !== undefined && open.server !== undefined) figures.bullmq.push(await bullmq.measure(open.server, options.messages));
      say(`${name}: messages, round ${round}`);
    }
    await keep?.(figures);
  }
  process.stdout.write(`${busText(figures)}\n`);
  return 0;
}

interface Round {
  readonly name: AdapterName;
  readonly open: OpenAdapter;
  readonly round: number;
}

async function frameRound(
  plan: Round & { readonly load: FrameLoad; readonly bytes: number; readonly seconds: number },
): Promise<FrameRound> {
  const { name, open, load, bytes, round, seconds } = plan;
  const entry = ["m", Buffer.alloc(besidesBytes, "m"), "b", Buffer.alloc(bytes, "x")];
  const bare = await rawRates(open, { streams: open.bus.partitions, inFlight: framesInFlight, entry, perRead: framesPerRead }, { seconds });
  const appended = await load.appendFor(seconds, bytes);
  const read = await load.readAll();
  await open.trim();
  return { adapter: name, bytes, round, appended, read, bare };
}

async function messageRound({ name, open, round, messages }: Round & { readonly messages: number }): Promise<MessageRound> {
  const entry = ["j", JSON.stringify({ payload, message_id: "0".repeat(36), stream: "stream:attacks", timestamp: "0".repeat(27) })];
  const bare = await rawRates(open, { streams: 1, inFlight: publishesInFlight, entry, perRead: prefetch }, { entries: messages });
  const queue = queueOn(open.messages);
  const published: number[] = [];
  const consumed: number[] = [];
  for (const concurrency of handlerCounts) {
    published.push(await publishAll(queue, messages));
    consumed.push(await consumeAll(queue, messages, concurrency));
  }
  const latencyMs = await publishToHandler(queue, latencyMessages);
  await queue.close();
  return { adapter: name, round, published: median(published), consumed, latencyMs, bare };
}

/** The bare commands, where one server answers: for so long, or so many. */
async function rawRates(
  { server }: OpenAdapter,
  load: RawLoad,
  { seconds = Number.POSITIVE_INFINITY, entries = Number.POSITIVE_INFINITY }: { readonly seconds?: number; readonly entries?: number },
): Promise<Bare | null> {
  if (server === undefined) return null;
  await using raw = await RawStreams.open(server, load);
  const added = await raw.add({ entries, seconds });
  return { added, read: await raw.readAll("bare"), readChecked: await raw.readAll("checked") };
}
