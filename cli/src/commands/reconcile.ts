/**
 * Why it exists: a partition whose history was rewritten under the engine stops and stays stopped until somebody has looked.
 * Enforces: the log is read again from its low mark, which can be proven, and never from a place that somebody names; what is stored already is
 * recognised by its producer's head and skipped, so nothing is lost or doubled. Where rows and log contradict each other nothing is changed.
 * Forbids: guessing which of the two histories is the right one; and reading servers again that have lost what had receipts: that takes a start with --after-loss.
 */
import type { Pool } from "ransomeye-db";
import { recordingTelemetry } from "ransomeye-kernel";
import { type BusControl, openPostgresControl, openRedisConsumer } from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import {
  type DivergedPlace,
  type DivergedProducer,
  divergedPlaces,
  divergedPlacesOn,
  divergedProducers,
  engineGroupName,
} from "../queries/divergence.ts";
import { busOptions } from "../roles/log_place.ts";
import { readBusFile } from "../supervisor/bus_file.ts";
import { formatTable } from "../terminal/format.ts";
import type { CommandContext, CommandSpec } from "./command.ts";
import { openAs, openReader } from "./context.ts";

export const reconcileCommand: CommandSpec = {
  path: "reconcile",
  args: "[partition]",
  summary: "see which partitions have stopped because the log's history was rewritten, and let one be read again",
  prose:
    "The engine notes, with its place in each partition, the hash of the entry that it stored last. When a restore or a failover has put another entry there, it stops reading that partition (BUS_HISTORY_DIVERGED) and an operator decides. Without an argument this shows the stopped partitions, and producers whose rows are ahead of the log or beside it. With a partition it compares the producers' heads on both sides; if they agree, the engine reads the partition again from the first entry that is kept and skips what is stored already. If they do not, nothing is changed: frames from which rows were made are missing in the log, so bring back log and rows from the same moment (they lie in one database, one backup holds both). Where the log lies on Redis or Valkey servers, these are asked whether they hold the entries up to which rows were made; if they do not, they have lost the end of the log: bring them back as they were, or start with --after-loss (core/docs/bus.md).",
  options: [],
  examples: [
    { line: "ransomeye reconcile", says: "What has stopped, and why; changes nothing." },
    { line: "ransomeye reconcile 3", says: "After looking: let partition 3 be read again." },
  ],
  json: `{"partitions": [{"part": n, "off": n, "tail": n}],
 "producers": [{"producer": uuid, "epoch": n, "seq": n, "bus_epoch": n, "bus_seq": n, "part": n | null}],
 "reconciled": n | null}
partitions and producers as they were found; off and tail: the engine's place and the log's end; epoch and seq: up to where rows were made.`,
  exits: ["ok", "found", "usage", "config", "unreachable"],
  async run(context, [text]) {
    const asked = text === undefined ? undefined : partition(text);
    await using reader = await openReader(context);
    const missing = await missingOnServers(context, await divergedPlaces(reader.pool));
    if (missing.length > 0) {
      context.result({ partitions: missing, producers: await divergedProducers(reader.pool), reconciled: null }, missingText(missing));
      return "found";
    }
    if (asked === undefined) {
      const found = await look(reader.pool);
      context.result({ ...found, reconciled: null }, foundText(found));
      return found.partitions.length + found.producers.length === 0 ? "ok" : "found";
    }
    await using keeper = await openAs(context, "ransomeye_keeper");
    const done = await reconcile(reader.pool, openPostgresControl({ pool: keeper.pool, telemetry: recordingTelemetry() }), asked);
    context.result(done, doneText(asked, done));
    return done.reconciled === asked || !concerns(asked, done) ? "ok" : "found";
  },
};

/** Places that the log's servers do not hold, where it lies on some. A place that is not even what rows say is no question to the servers. */
async function missingOnServers(context: CommandContext, unproven: readonly DivergedPlace[]): Promise<readonly DivergedPlace[]> {
  const servers = await readBusFile(await context.dataDir());
  if (servers === undefined) return [];
  await using keeper = await openAs(context, "ransomeye_keeper");
  const log = await openRedisConsumer({ ...busOptions(servers), clock: context.clock, telemetry: recordingTelemetry() });
  try {
    const found = await divergedPlacesOn(log, keeper.pool);
    return found.filter(({ part }) => unproven.every((place) => place.part !== part));
  } finally {
    await log.close();
  }
}

/** What servers have lost is not there to be read again, whatever partition is named. */
function missingText(missing: readonly DivergedPlace[]): string {
  return [
    "the log's servers do not hold the entry up to which rows were made",
    placesTable(missing),
    "bring the servers back as they were; or, if what they had is gone for good, stop and start with --after-loss (core/docs/bus.md)",
  ].join("\n");
}

interface Found {
  readonly partitions: readonly DivergedPlace[];
  readonly producers: readonly DivergedProducer[];
}

async function look(pool: Pool): Promise<Found> {
  return { partitions: await divergedPlaces(pool), producers: await divergedProducers(pool) };
}

/** Has the engine read `part` again, if that can heal it. Gives what was found before, and the partition if it was done. */
export async function reconcile(reader: Pool, control: BusControl, part: number): Promise<Found & { readonly reconciled: number | null }> {
  const found = await look(reader);
  const stopped = found.partitions.some((place) => place.part === part);
  if (!stopped || contradicted(part, found).length > 0) return { ...found, reconciled: null };
  await control.rewind(await engineGroupName(), part, null);
  return { ...found, reconciled: part };
}

/** Producers that would stop this partition again. An epoch that the log has never heard of could lie anywhere. */
function contradicted(part: number, { producers }: Found): readonly DivergedProducer[] {
  return producers.filter((producer) => producer.part === part || producer.part === null);
}

function concerns(part: number, found: Found): boolean {
  return found.partitions.some((place) => place.part === part) || contradicted(part, found).length > 0;
}

function partition(text: string): number {
  const part = Number(text);
  if (!/^\d{1,4}$/.test(text)) throw new CliError("CLI_USAGE", `${text} is not the number of a partition`);
  return part;
}

function foundText({ partitions, producers }: Found): string {
  if (partitions.length + producers.length === 0)
    return "nothing has stopped: the log holds what was read from it, and what rows were made from";
  const lines: string[] = [];
  if (partitions.length > 0)
    lines.push("stopped partitions: the log holds another entry where the engine stored last", placesTable(partitions));
  if (producers.length > 0)
    lines.push(
      "producers whose last stored batch is not in the log",
      formatTable(
        ["producer", "rows up to (epoch:seq)", "log up to", "partition"],
        producers.map((p) => [
          p.producer,
          `${p.epoch}:${p.seq}`,
          `${p.bus_epoch}:${p.bus_seq}`,
          p.part === null ? "unknown" : String(p.part),
        ]),
      ),
    );
  return lines.join("\n");
}

function placesTable(partitions: readonly DivergedPlace[]): string {
  return formatTable(
    ["partition", "stored up to", "log's end"],
    partitions.map(({ part, off, tail }) => [String(part), String(off), String(tail)]),
  );
}

function doneText(part: number, done: Found & { readonly reconciled: number | null }): string {
  if (done.reconciled !== null)
    return `partition ${part} is read again from the first entry that is kept; what is stored already is skipped (ransomeye audit adds up)`;
  if (!concerns(part, done)) return `partition ${part} has not stopped; nothing to do`;
  return `${foundText(done)}\npartition ${part} was left as it is: log and rows contradict each other, and one of them must be brought back from the same moment as the other`;
}
