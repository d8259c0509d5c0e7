/**
 * Why it exists: dead letters lie in a stream, what was done with them in a table; a person wants to see both as one.
 * Enforces: the state of a dead letter is the last thing that was done with it; a filter names what it keeps.
 * Forbids: changing anything.
 */
import type { Pool } from "ransomeye-db";
import {
  type DeadLetterPayload,
  type Message,
  type MessageLog,
  MessageQueueManager,
  type MessageQueueOptions,
  StreamName,
} from "ransomeye-pipeline";

/** One thing that an operator did. */
export interface TrailEntry {
  readonly action: "redriven" | "discarded";
  readonly actor: string;
  readonly reason: string;
  readonly at_us: number;
}

export interface DeadLetter {
  readonly letter: Message<DeadLetterPayload>;
  readonly state: "open" | "redriven" | "discarded";
  readonly trail: readonly TrailEntry[];
}

export interface DeadLetterFilter {
  readonly stream?: string | undefined;
  readonly group?: string | undefined;
  /** A part of the reason, or of a failure. */
  readonly text?: string | undefined;
  readonly sinceUs?: number | undefined;
  readonly state?: DeadLetter["state"] | "all" | undefined;
  readonly ids?: readonly string[] | undefined;
}

/** Dead letters that the stream holds and the filter keeps, oldest first. */
export async function readDeadLetters(
  log: MessageLog,
  pool: Pool,
  filter: DeadLetterFilter,
  parts: Pick<MessageQueueOptions, "clock" | "random" | "telemetry">,
): Promise<DeadLetter[]> {
  const queue = new MessageQueueManager({ log, producerId: "cli", ...parts });
  const letters: Message<DeadLetterPayload>[] = [];
  for await (const letter of queue.replay(StreamName.deadLetter)) if (isKept(letter, filter)) letters.push(letter);
  type Row = TrailEntry & { readonly message_id: string };
  const { rows } = await pool.query<Row>("SELECT * FROM bus.dead_letter_trail($1::uuid[])", [letters.map(({ message_id }) => message_id)]);
  const trails = new Map<string, TrailEntry[]>();
  for (const { message_id, ...entry } of rows) trails.set(message_id, [...(trails.get(message_id) ?? []), entry]);
  return letters
    .map((letter): DeadLetter => {
      const trail = trails.get(letter.message_id) ?? [];
      return { letter, trail, state: trail.at(-1)?.action ?? "open" };
    })
    .filter(({ state }) => filter.state === undefined || filter.state === "all" || state === filter.state)
    .toSorted((a, b) => (a.letter.payload.failed_at < b.letter.payload.failed_at ? -1 : 1));
}

function isKept({ message_id, payload }: Message<DeadLetterPayload>, { stream, group, text, sinceUs, ids }: DeadLetterFilter): boolean {
  if (ids !== undefined && ids.length > 0 && !ids.includes(message_id)) return false;
  if (stream !== undefined && payload.original_stream !== stream) return false;
  if (group !== undefined && payload.group !== group) return false;
  if (sinceUs !== undefined && Date.parse(payload.failed_at) * 1000 < sinceUs) return false;
  return text === undefined || [payload.reason, ...payload.failures.map(({ reason }) => reason)].some((reason) => reason.includes(text));
}
