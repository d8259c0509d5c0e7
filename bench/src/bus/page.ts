/**
 * Why: the figures of the bus bench for people.
 * Enforces: the page and the terminal show the same tables, made from the rounds; a target stands beside what was reached.
 * Forbids: figures of its own.
 */
import type { Page, Part, Table } from "ransomeye-tests";
import { median, percentiles } from "../stats.ts";
import { textTable } from "../text_table.ts";
import type { BullmqRates } from "./bullmq.ts";
import { handlerCounts } from "./messages.ts";

/** The server's own commands, entries a second. */
export interface Bare {
  readonly added: number;
  readonly read: number;
  /** The same, and each payload is hashed. */
  readonly readChecked: number;
}

/** Frames a second. */
export interface FrameRound {
  readonly adapter: string;
  readonly bytes: number;
  readonly round: number;
  readonly appended: number;
  readonly read: number;
  readonly bare: Bare | null;
}

/** Messages a second, and each single message's way in milliseconds. */
export interface MessageRound {
  readonly adapter: string;
  readonly round: number;
  readonly published: number;
  /** By handlers side by side. */
  readonly consumed: readonly number[];
  readonly latencyMs: readonly number[];
  readonly bare: Bare | null;
}

export interface BusFigures {
  readonly frames: readonly FrameRound[];
  readonly messages: readonly MessageRound[];
  readonly bullmq: readonly BullmqRates[];
}

/** The page. */
export function busPage(parts: readonly Part<BusFigures>[]): Page {
  return {
    title: "The bus: what was measured",
    lead: "Frames and messages through each adapter, on one machine with the load itself. Beside the adapter on one Redis server: the server's own XADD and XREADGROUP with XACK through the same client, in the same run, right before; every write is flushed before it is answered. Medians of the rounds; ratios are medians of the rounds' ratios.",
    tables: parts.flatMap(({ figures }) => tables(figures)),
  };
}

/** The same for a terminal. */
export function busText(figures: BusFigures): string {
  return tables(figures).map(textTable).join("\n\n");
}

function tables(figures: BusFigures): Table[] {
  return [frameTable(figures), messageTable(figures), ...(figures.bullmq.length === 0 ? [] : [bullmqTable(figures)])];
}

function frameTable({ frames }: BusFigures): Table {
  const kinds = [...new Set(frames.map(({ adapter, bytes }) => `${adapter} ${bytes}`))];
  return {
    caption: "Frames",
    head: [
      "adapter",
      "payload bytes",
      "appended/s",
      "of bare XADD",
      "read/s",
      "of bare XREADGROUP+XACK",
      "of the same with each payload hashed",
    ],
    rows: kinds.map((kind) => {
      const rounds = frames.filter(({ adapter, bytes }) => `${adapter} ${bytes}` === kind);
      return [
        ...kind.split(" "),
        rate(rounds.map(({ appended }) => appended)),
        ratio(rounds.map(({ appended, bare }) => (bare === null ? undefined : appended / bare.added))),
        rate(rounds.map(({ read }) => read)),
        ratio(rounds.map(({ read, bare }) => (bare === null ? undefined : read / bare.read))),
        ratio(rounds.map(({ read, bare }) => (bare === null ? undefined : read / bare.readChecked))),
      ];
    }),
    notes: [
      "Target: 0.7 of the bare commands. An append judges order, epoch and chain of each frame; a read checks each payload's hash, which is SHA-256's own time.",
    ],
  };
}

function messageTable({ messages }: BusFigures): Table {
  return {
    caption: "Messages",
    head: [
      ...["adapter", "published/s", "of bare XADD"],
      ...handlerCounts.flatMap((count) => [`consumed/s, ${count} at once`, "of bare XREADGROUP+XACK"]),
      ...["publish → handler p50", "p99"],
    ],
    rows: [...new Set(messages.map(({ adapter }) => adapter))].map((name) => {
      const rounds = messages.filter(({ adapter }) => adapter === name);
      const { p50, p99 } = percentiles(rounds.flatMap(({ latencyMs }) => latencyMs));
      return [
        name,
        rate(rounds.map(({ published }) => published)),
        ratio(rounds.map(({ published, bare }) => (bare === null ? undefined : published / bare.added))),
        ...handlerCounts.flatMap((_count, at) => [
          rate(rounds.map(({ consumed }) => consumed[at] ?? Number.NaN)),
          ratio(rounds.map(({ consumed, bare }) => (bare === null ? undefined : (consumed[at] ?? Number.NaN) / bare.read))),
        ]),
        `${p50.toFixed(2)} ms`,
        `${p99.toFixed(2)} ms`,
      ];
    }),
  };
}

function bullmqTable({ messages, bullmq }: BusFigures): Table {
  const ours = messages.filter(({ bare }) => bare !== null);
  const [published, added] = [ours.map((round) => round.published), bullmq.map((rates) => rates.added)];
  return {
    caption: `Beside ${bullmq[0]?.version ?? "BullMQ"}, on the same server with as many calls and handlers in flight`,
    head: ["", "ours", "BullMQ", "times"],
    rows: [
      ["published/s", rate(published), rate(added), times(published, added)],
      ...handlerCounts.map((count, at) => {
        const [consumed, processed] = [ours, bullmq.map((rates) => ({ consumed: rates.processed }))].map((all) =>
          all.map((round) => round.consumed[at] ?? Number.NaN),
        ) as [number[], number[]];
        return [`consumed/s, ${count} at once`, rate(consumed), rate(processed), times(consumed, processed)];
      }),
    ],
    notes: ["Target: 5 times its jobs a second."],
  };
}

function rate(values: readonly number[]): string {
  return median(values).toFixed(0);
}

function ratio(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? "" : median(known).toFixed(2);
}

function times(ours: readonly number[], theirs: readonly number[]): string {
  return ratio(ours.map((value, round) => value / (theirs[round] ?? Number.NaN)));
}
