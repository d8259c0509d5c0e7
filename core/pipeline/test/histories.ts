/**
 * Why it exists: an adapter's judge (SQL functions, a script in a server) and the pure machine must be the same. Random histories of several
 * producers, told to both, must be answered alike to the last field.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { systemClock } from "ransomeye-kernel";
import type { AppendOutcome, Bus, BusControl, EpochEnd, FrameAppend, OpenEpochOutcome, ProducerHead } from "../src/bus.ts";
import { zeroHash } from "../src/append_machine.ts";
import { openMemoryBus } from "../src/memory/bus.ts";
import { everything } from "./contract_tools.ts";
import { makeFrame, producerId } from "../src/testing/frames.ts";
import { keyId, type Subject } from "./subject.ts";

const often = <T>(usual: T, ...rare: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...rare) });
const shape = fc.oneof(
  { weight: 5, arbitrary: fc.constant("next") },
  { weight: 4, arbitrary: fc.constantFrom("replay", "twin", "other boundaries", "ahead", "wrong past", "old epoch", "future epoch") },
);
const frameMove = fc.record({ shape, pick: fc.nat(40), count: fc.integer({ min: 1, max: 3 }), stranger: often(0, 1, 2) });
const frameMoves = fc.array(frameMove, { minLength: 1, maxLength: 6 });
const move = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      producer: fc.nat(2),
      frames: frameMoves,
      version: often(9, 1),
      part: often(0, 1),
      gateway: often("gate-1", "gate-2"),
      life: fc.nat(1),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("open" as const), producer: fc.nat(2), expected: fc.constantFrom(0, 0, 0, -1, 1) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("revoke" as const), revoked: fc.subarray([0, 1, 2], { maxLength: 1 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pause" as const), reason: fc.constantFrom("disk_floor", null, null) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("trim" as const), producer: fc.nat(2), entries: fc.integer({ min: 1, max: 4 }) }) },
);

/** What a producer, honest or not, might know of itself; follows the answers of the memory bus. */
interface Player {
  readonly id: string;
  epoch: number;
  part: number;
  end: EpochEnd;
  seq: number;
  readonly sent: FrameAppend[];
}

/** A frame of the wished shape, made from what the player knows after the frames that it has already put into this call. */
function play(player: Player, wish: { shape: string; pick: number; count: number }): FrameAppend {
  const { shape: form, pick, count } = wish;
  const old = player.sent[pick % Math.max(1, player.sent.length)];
  const next = { epoch: Math.max(1, player.epoch), firstSeq: player.seq + 1, count, prev: player.end };
  if (form === "replay" && old !== undefined) return old;
  if (form === "twin" && old !== undefined) return makeFrame(player.id, { ...old.link, prev: player.end, salt: `twin ${pick}` });
  if (form === "other boundaries")
    return makeFrame(player.id, { ...next, firstSeq: Math.max(1, player.seq - (pick % 4)), count: count + 1 });
  if (form === "ahead") return makeFrame(player.id, { ...next, firstSeq: player.seq + 2 + (pick % 3) });
  if (form === "wrong past")
    return makeFrame(player.id, {
      ...next,
      prev: pick % 2 === 0 ? { ...player.end, hash: Buffer.alloc(32, pick) } : { ...player.end, seq: player.end.seq + 1 },
    });
  if (form === "old epoch") return makeFrame(player.id, { ...next, epoch: Math.max(1, player.epoch - 1) });
  if (form === "future epoch") return makeFrame(player.id, { ...next, epoch: player.epoch + 2 });
  return makeFrame(player.id, next);
}

const verdicts = [
  "accepted",
  "duplicate",
  "gap",
  "fenced",
  "equivocation",
  "misrouted",
  "revoked",
  "stale_registry",
  "paused",
  "opened",
  "conflict",
  "limited",
  "of another gate",
  "of another life",
] as const;

/** Everything but what two buses cannot share: generation and time. */
function comparable(outcome: AppendOutcome | OpenEpochOutcome): unknown {
  if (outcome.kind === "accepted")
    return {
      kind: outcome.kind,
      part: outcome.position.part,
      off: outcome.position.off,
      hash: outcome.position.hash.toString("hex"),
      head: comparableHead(outcome.head),
    };
  if (outcome.kind === "opened") return { ...outcome, prev: { ...outcome.prev, hash: outcome.prev.hash.toString("hex") } };
  if (outcome.kind === "limited") return outcome.kind;
  if (outcome.kind === "duplicate") return { kind: outcome.kind, acceptedBy: outcome.acceptedBy, head: comparableHead(outcome.head) };
  return "head" in outcome ? { kind: outcome.kind, head: comparableHead(outcome.head) } : { ...outcome };
}

function comparableHead(head: ProducerHead): unknown {
  return { ...head, hash: head.hash.toString("hex"), prevHash: head.prevHash.toString("hex") };
}

/** An empty bus with 16 partitions and three openings a day, for one history. */
export type FreshSubject = () => Promise<Subject>;

export interface HistoriesOptions {
  readonly fresh: FreshSubject;
  /** Whether `trim` removes entries, as in memory. Where the log is the archive it only moves a mark. */
  readonly trimRemoves: boolean;
}

const historiesInARound = 40;
/** Few rounds in a thousand lack the rarest verdict; so many in a row are a generator that does not reach it. */
const roundsMax = 5;

/**
 * Plays random histories on the adapter and on the machine, until each verdict was met. Fails with the smallest one that they answer differently,
 * and where some verdict is never met: that would prove nothing about it.
 */
export async function playHistories(options: HistoriesOptions): Promise<void> {
  const seen = new Set<string>();
  const wanted = [...verdicts, ...(options.trimRemoves ? ["of nobody known"] : [])];
  for (let round = 0; round === 0 || (round < roundsMax && wanted.some((kind) => !seen.has(kind))); round += 1)
    await playRound(options, round, seen);
  assert.deepEqual(
    wanted.filter((kind) => !seen.has(kind)),
    [],
  );
}

async function playRound({ fresh, trimRemoves }: HistoriesOptions, round: number, seen: Set<string>): Promise<void> {
  let run = round * 10_000;
  const see = ({ kind }: { kind: string }): void => void seen.add(kind);
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 10, maxLength: 40, size: "max" }), async (moves) => {
      const real = await fresh();
      try {
        await real.control.setRegistry({ versionMin: 5, revoked: [] });
        const model = openMemoryBus({ clock: systemClock, epochOpeningsPerDayMax: 3 });
        await model.setRegistry({ versionMin: 5, revoked: [] });
        run += 1;
        const players: Player[] = [0, 1, 2].map((index) => ({
          id: producerId(run * 10 + index),
          epoch: 0,
          part: 0,
          end: { epoch: 0, seq: 0, hash: zeroHash },
          seq: 0,
          sent: [],
        }));
        const both = async <T>(ask: (bus: Bus & Partial<BusControl>) => Promise<T>): Promise<[T, T]> => [
          await ask(model),
          await ask(real.bus),
        ];
        // Everybody has an epoch before the play begins; a first opening is the same call as any other.
        const opened: typeof moves = players.map((_, producer) => ({ kind: "open", producer, expected: 0 }));
        for (const step of [...opened, ...moves]) {
          if (step.kind === "trim") {
            if (!trimRemoves) continue;
            const { part } = players[step.producer] as Player;
            const low = (await model.read(part, null, everything))[0]?.position.off ?? 0;
            const off = low + step.entries - 1;
            assert.equal(await real.control.trim(part, off), await model.trim(part, off));
          } else if (step.kind === "revoke") {
            const state = { versionMin: 5, revoked: step.revoked.map((index) => (players[index] as Player).id) };
            assert.deepEqual([await model.setRegistry(state), await real.control.setRegistry(state)], [true, true]);
          } else if (step.kind === "pause") {
            await model.pause(step.reason);
            await real.control.pause(step.reason);
          } else if (step.kind === "open") {
            const player = players[step.producer] as Player;
            const request = { producer: player.id, expectedEpoch: Math.max(0, player.epoch + step.expected), keyId, registryVersion: 9 };
            const [said, answered] = await both((bus) => bus.openEpoch(request));
            assert.deepEqual(comparable(answered), comparable(said));
            see(said);
            if (said.kind === "opened") Object.assign(player, { epoch: said.epoch, part: said.part, end: said.prev, seq: 0 });
          } else {
            const lead = players[step.producer] as Player;
            const part = (lead.part + step.part) % model.partitions;
            // The honest ones go on from what the call itself will have stored.
            const drafts = players.map((player) => ({ ...player }));
            const frames = step.frames.map((wish) => {
              const draft = drafts[(step.producer + wish.stranger) % players.length] as Player;
              const frame = play(draft, wish);
              if (wish.shape === "next" && draft.epoch > 0)
                Object.assign(draft, {
                  seq: draft.seq + wish.count,
                  end: { epoch: draft.epoch, seq: draft.seq + wish.count, hash: frame.link.hash },
                });
              return frame;
            });
            const { gateway, life, version } = step;
            const options = { gateway, incarnation: producerId(900 + life), registryVersion: version };
            const [said, answered] = await both((bus) => bus.append(part, frames, options));
            assert.deepEqual(answered.map(comparable), said.map(comparable));
            said.forEach(see);
            for (const outcome of said) {
              if (outcome.kind === "duplicate" && outcome.acceptedBy === null) see({ kind: "of nobody known" });
              if (outcome.kind !== "duplicate" || outcome.acceptedBy === null) continue;
              if (outcome.acceptedBy.gateway !== gateway) see({ kind: "of another gate" });
              else if (outcome.acceptedBy.incarnation !== options.incarnation) see({ kind: "of another life" });
            }
            for (const [index, outcome] of said.entries()) {
              const frame = frames[index] as FrameAppend;
              const player = players.find(({ id }) => id === frame.link.producer) as Player;
              if (outcome.kind !== "accepted") continue;
              player.sent.push(frame);
              Object.assign(player, {
                seq: outcome.head.seq,
                end: { epoch: outcome.head.epoch, seq: outcome.head.seq, hash: outcome.head.hash },
              });
            }
          }
        }
        const ids = players.map(({ id }) => id);
        const [said, answered] = await both((bus) => bus.headsOf(ids));
        const heads = (of: Map<string, ProducerHead>): unknown => ids.map((id) => of.has(id) && comparableHead(of.get(id) as ProducerHead));
        assert.deepEqual(heads(answered), heads(said));
        const tails = (await model.tails()).map(({ part, off }) => ({ part, off }));
        assert.deepEqual(
          (await real.bus.tails()).map(({ part, off }) => ({ part, off })),
          tails,
        );
        for (const { part, off } of tails) {
          if (off === 0) continue;
          const [kept, stored] = await both((bus) => bus.read(part, null, everything));
          assert.deepEqual(
            stored.map(({ link, payload }) => ({ link, payload })),
            kept.map(({ link, payload }) => ({ link, payload })),
          );
        }
      } finally {
        await real.close();
      }
    }),
    { numRuns: historiesInARound },
  );
}
