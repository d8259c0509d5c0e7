/**
 * Why it exists: an adapter's group machine (a script in a server) and the pure one must be the same. Random histories of publishing, taking and settling,
 * told to both, must be answered alike; tokens and times are the adapters' own.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Message, MessagePriority } from "../src/messages/message.ts";
import { openMemoryMessages } from "../src/messages/memory_messages.ts";
import { StreamName } from "../src/messages/message.ts";
import type { MessageLogOptions } from "../src/messages/settings.ts";
import { deadLetterOf } from "../src/messages/dead_letter.ts";
import type { Delivery, MessageLog, PublishOutcome, Settlement, Taken } from "../src/messages/port.ts";
import { attack, nameOf } from "./message_subject.ts";
import { ManualClock } from "./subject.ts";

const priority = fc.constantFrom(1, 2, 3, 4) as fc.Arbitrary<MessagePriority>;
const move = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      each: fc.array(fc.record({ of: priority, more: fc.constantFrom(0, 0, 100, 1500) }), { minLength: 1, maxLength: 12 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("repeat" as const), pick: fc.nat(50) }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("take" as const), group: fc.constantFrom(0, 0, 0, 1), max: fc.constantFrom(1, 1, 1, 5, 9) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      // From the newest on: what is out belongs to whoever took it last.
      pick: fc.oneof({ weight: 4, arbitrary: fc.nat(1) }, { weight: 1, arbitrary: fc.nat(50) }),
      how: fc.constantFrom("done", "retry", "retry", "retry", "retry", "retry later", "release", "bury", "extend"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rewind" as const), group: fc.nat(1), toEnd: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("trim" as const) }) },
  // A consumer that fails at whatever it is given.
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("hammer" as const), group: fc.nat(1), blows: fc.integer({ min: 1, max: 12 }) }) },
);

/** Longer than a history takes. */
const farMs = 3_600_000;

interface Pair {
  readonly model: Delivery;
  readonly real: Delivery;
}

function comparable({ priority: of, off, message, deliveries, failures, exhausted }: Delivery): unknown {
  const told = failures.map(({ member, reason }) => ({ member, reason }));
  return { of, off, name: nameOf({ message }), retries: message.retry_count, deliveries, told, exhausted };
}

/** When to ask again is each adapter's own advice. */
function verdictOf(outcome: PublishOutcome): unknown {
  return outcome.kind === "full" ? "full" : outcome;
}

function settlementOf(how: string): Settlement {
  if (how === "retry") return { kind: "retry", reason: "again", delayMs: 0 };
  if (how === "retry later") return { kind: "retry", reason: "later", delayMs: farMs };
  return { kind: how === "release" ? "release" : "done" };
}

/** What a stream keeps, and for groups that have yet to settle it. */
export type HistoryBounds = Pick<MessageLogOptions, "entriesMax" | "entriesUnreadMax" | "bytesMax" | "bytesUnreadMax">;

const tight: HistoryBounds = { entriesMax: 24, entriesUnreadMax: 24, bytesMax: 15_000, bytesUnreadMax: 15_000 };

type FreshStreams = (bounds: HistoryBounds) => Promise<{ readonly log: MessageLog; readonly close: () => Promise<void> }>;

interface HistoriesOptions {
  /** Gives empty streams with these bounds. */
  readonly fresh: FreshStreams;
  readonly bounds?: HistoryBounds;
  /** Messages are published again only while so many others have been since. */
  readonly repeatsWithin?: number;
}

/** Plays random histories on the adapter and on the machine, until each verdict was met. */
export async function playMessageHistories(
  fresh: FreshStreams,
  { bounds = tight, repeatsWithin = 1000 }: Omit<HistoriesOptions, "fresh"> = {},
): Promise<void> {
  const seen = new Set<string>();
  for (let round = 0; round === 0 || (round < roundsMax && unmet(seen).length > 0); round += 1)
    await playRound({ fresh, bounds, repeatsWithin }, seen);
  assert.deepEqual(unmet(seen), []);
}

/** What the histories must have met. */
const wanted = [
  "published",
  "duplicate",
  "full of bytes",
  "full of entries",
  "exhausted",
  "done settled",
  "done fenced",
  "retry settled",
  "release settled",
  "bury settled",
  "extend 1",
  "extend 0",
] as const;

/** One round in sixty lacks the rarest; so many in a row are a generator that does not reach it. */
const roundsMax = 5;

function unmet(seen: ReadonlySet<string>): string[] {
  return wanted.filter((kind) => !seen.has(kind));
}

async function playRound({ fresh, bounds, repeatsWithin }: Required<HistoriesOptions>, seen: Set<string>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 10, maxLength: 60, size: "max" }), async (moves) => {
      const clock = new ManualClock();
      const model = openMemoryMessages({ clock, ...bounds });
      const { log: real, close } = await fresh(bounds);
      const sent: Message[] = [];
      const out: Pair[] = [];
      const both = async <T>(work: (log: MessageLog, side: "model" | "real") => Promise<T>): Promise<[T, T]> => [
        await work(model, "model"),
        await work(real, "real"),
      ];
      try {
        for (const step of moves) {
          // Every step has a time of its own, as on a server.
          clock.moveMs(1);
          if (step.kind === "publish") {
            const messages = step.each.map(({ of, more }, index) => attack(`${sent.length + index}`.padEnd(more), of));
            sent.push(...messages);
            const [said, answered] = await both((log) => log.publish(messages));
            assert.deepEqual(answered.map(verdictOf), said.map(verdictOf));
            for (const { kind } of said) seen.add(kind);
            const held = await Promise.all(([1, 2, 3, 4] as const).map((of) => model.read(StreamName.attacks, of, 0, 1000)));
            const isFull = said.some(({ kind }) => kind === "full");
            if (isFull) seen.add(held.flat().length < bounds.entriesUnreadMax ? "full of bytes" : "full of entries");
          } else if (step.kind === "repeat") {
            const message = sent.at(-1 - (step.pick % Math.max(1, Math.min(sent.length, repeatsWithin))));
            if (message === undefined) continue;
            const [said, answered] = await both((log) => log.publish([message]));
            assert.deepEqual(answered.map(verdictOf), said.map(verdictOf));
            for (const { kind } of said) seen.add(kind);
          } else if (step.kind === "take") {
            const group = `group:${step.group}`;
            const [said, answered] = await both((log) => log.take(StreamName.attacks, group, "member", { max: step.max, leaseMs: farMs }));
            assert.deepEqual(answered.deliveries.map(comparable), said.deliveries.map(comparable));
            assert.deepEqual(answered.missing, said.missing);
            assert.equal(answered.nextDueMs === null, said.nextDueMs === null);
            for (const [index, delivery] of said.deliveries.entries()) {
              out.push({ model: delivery, real: answered.deliveries[index] as Delivery });
              if (delivery.exhausted) seen.add("exhausted");
            }
          } else if (step.kind === "settle") {
            const pair = out[out.length - 1 - (step.pick % Math.max(1, out.length))];
            if (pair === undefined) continue;
            const [said, answered] = await both(async (log, side) => {
              if (step.how === "extend") return (await log.extend([pair[side]], farMs)).length;
              if (step.how === "bury") return log.bury(pair[side], deadLetterOf(pair[side], "given up", { member: "member", nowUs: 0 }));
              return log.settle(pair[side], settlementOf(step.how));
            });
            assert.equal(answered, said, step.how);
            seen.add(`${step.how} ${said}`);
          } else if (step.kind === "hammer") {
            for (let blow = 0; blow < step.blows; blow++) {
              clock.moveMs(1);
              const taken: [Taken, Taken] = await both((log) =>
                log.take(StreamName.attacks, `group:${step.group}`, "member", { max: 1, leaseMs: farMs }),
              );
              const [model, real] = taken.map(({ deliveries }) => deliveries[0]);
              assert.deepEqual(real && comparable(real), model && comparable(model));
              if (model === undefined || real === undefined) break;
              if (model.exhausted) seen.add("exhausted");
              const pair = { model, real };
              const ended = await both((log, side) => log.settle(pair[side], settlementOf(model.exhausted ? "done" : "retry")));
              assert.deepEqual(ended, ["settled", "settled"]);
            }
          } else if (step.kind === "rewind") {
            const at = step.toEnd ? Number.MAX_SAFE_INTEGER : 0;
            await both((log) => log.rewind(StreamName.attacks, `group:${step.group}`, at));
          } else {
            const [said, answered] = await both((log) => log.trim(StreamName.attacks));
            assert.equal(answered, said);
          }
        }
        const [said, answered] = await both((log) => log.groups(StreamName.attacks));
        const status = (all: typeof said): unknown =>
          all
            .map(({ group, waiting, pending, missing }) => ({ group, waiting, pending, missing }))
            .toSorted((a, b) => (a.group < b.group ? -1 : 1));
        assert.deepEqual(status(answered), status(said));
        for (const of of [1, 2, 3, 4] as const) {
          const [kept, stored] = await both((log) => log.read(StreamName.attacks, of, 0, 100));
          assert.deepEqual(
            stored.map(({ off, message }) => ({ off, message })),
            kept.map(({ off, message }) => ({ off, message })),
          );
        }
      } finally {
        await close();
      }
    }),
    { numRuns: 80, includeErrorInReport: true },
  );
}
