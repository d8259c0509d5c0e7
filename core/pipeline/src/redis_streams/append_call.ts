/**
 * Why it exists: the arguments and the answer of append.lua.
 * Enforces: the layout that the script documents; answers come back as the port's unions.
 * Forbids: I/O.
 */
import type { AppendOptions, AppendOutcome, FrameAppend } from "../bus.ts";
import { BusError } from "../errors.ts";
import { accepterOf, encodeMeta } from "./entry.ts";
import { occupiedBy } from "./failures.ts";
import { decodeHead } from "./heads.ts";
import type { BusKeys } from "./keys.ts";
import type { Argument, Call } from "./link.ts";
import { bytesOf, listOf, numberOf, type Reply, textOf, unexpected } from "./replies.ts";
import { scripts } from "./scripts.ts";

export interface AppendPlace {
  readonly keys: BusKeys;
  readonly generation: string;
  /** Partition in which the producers live. */
  readonly home: number;
  /** Partition to which the frames were sent. */
  readonly target: number;
  /** The least that the partition's end must be: it had come so far before. */
  readonly leastOff: number;
}

/** How long a caller should wait that finds the bus paused. */
export const retryAfterMs = 1000;

/** Frames of producers that live in one partition, as one call. */
export function appendCall(
  { keys, generation, home, target, leastOff }: AppendPlace,
  frames: readonly FrameAppend[],
  options: AppendOptions,
): Call {
  const keyList = [keys.partitionState(home), keys.log(home), keys.revoked(home)];
  const places = new Map<string, string>();
  const args: Argument[] = [generation, String(target), String(options.registryVersion), String(leastOff)];
  for (const frame of frames) {
    const { link } = frame;
    let place = places.get(link.producer);
    if (place === undefined) {
      place = String(keyList.push(keys.producer(home, link.producer)));
      places.set(link.producer, place);
    }
    const { epoch, firstSeq, count, offered, prevEpoch, prevSeq } = link;
    args.push(place, ...[epoch, firstSeq, count, offered, prevEpoch, prevSeq].map(String));
    args.push(encodeMeta(frame, options), frame.header, frame.signature, frame.verdicts, frame.payload);
  }
  return { script: scripts.append, keys: keyList, args };
}

/** The answer to `appendCall`, in the order of the frames. @throws BusError BUS_HISTORY_DIVERGED, BUS_CORRUPT, BUS_INTERNAL */
export function appendOutcomes(
  { generation, target, home, keys }: AppendPlace,
  frames: readonly FrameAppend[],
  reply: Reply | undefined,
): AppendOutcome[] {
  const [kind, second, ...answers] = listOf(reply);
  switch (textOf(kind)) {
    case "judged": {
      const receivedUs = numberOf(second);
      if (answers.length !== frames.length) throw unexpected();
      return frames.map((frame, index) => outcomeOf(listOf(answers[index]), frame, { generation, part: target, receivedUs }));
    }
    case "paused": {
      const reason = textOf(second);
      return frames.map(() => ({ kind: "paused", reason, retryAfterMs }));
    }
    case "stale_registry":
      return frames.map(() => ({ kind: "stale_registry" }));
    case "occupied":
      throw occupiedBy(keys.log(home), textOf(second));
    case "generation":
      throw otherGeneration(second);
  }
  throw unexpected();
}

/** What a script has answered, if it has found our bus. @throws BusError BUS_HISTORY_DIVERGED */
export function ofSameBus(reply: Reply | undefined): Reply | undefined {
  if (Array.isArray(reply) && Buffer.isBuffer(reply[0]) && textOf(reply[0]) === "generation") throw otherGeneration(reply[1]);
  return reply;
}

/** The generation that a state has named must be ours. @throws BusError BUS_HISTORY_DIVERGED */
export function assertSame(found: Reply | undefined, generation: string): void {
  const said = found === null || found === undefined ? Buffer.alloc(0) : found;
  if (textOf(said) !== generation) throw otherGeneration(said);
}

/** Another bus stands where ours was, or none. */
export function otherGeneration(found: Reply | undefined): BusError {
  const generation = textOf(found);
  return new BusError(
    "BUS_HISTORY_DIVERGED",
    generation === "" ? "the server has lost this part of the bus" : "the server holds a bus of another generation",
    { fields: { generation } },
  );
}

function outcomeOf(
  [verdict, off, head, stored, meta]: Reply[],
  { link }: FrameAppend,
  at: { readonly generation: string; readonly part: number; readonly receivedUs: number },
): AppendOutcome {
  const kind = textOf(verdict);
  switch (kind) {
    case "accepted": {
      const position = { ...at, off: numberOf(off), hash: link.hash };
      return { kind, position, receivedUs: at.receivedUs, head: decodeHead(head, stored) };
    }
    case "duplicate": {
      const known = bytesOf(meta);
      return { kind, head: decodeHead(head, stored), acceptedBy: known.length === 0 ? null : accepterOf(known) };
    }
    case "gap":
    case "fenced":
    case "equivocation":
    case "misrouted":
      return { kind, head: decodeHead(head, stored) };
    case "revoked":
      return { kind };
  }
  throw unexpected();
}
