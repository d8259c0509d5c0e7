/**
 * Why: "the original is evidence" is a promise about bytes that have travelled: read, mapped, signed, sent, stored, and cut out of their frame again.
 * Enforces: each record of the corpus that the shipper takes comes back from a running system byte for byte as it stands in its file, with its proof; and a file holds
 * nothing beside its records but white space, commas and brackets, so that no record came back short.
 * Forbids: asking the shipper what the original was; the file is asked. Every event goes the way of `ransomeye event ID --raw`, and one of each file through
 * the command itself.
 */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { relative } from "node:path";
import { buffer } from "node:stream/consumers";
import { eventEvidence, type EventId, type EvidenceSources, openReader, parseEventId } from "ransomeye";
import { systemClock } from "ransomeye-kernel";
import { type Format, type Item, readRecords } from "ransomeye-shipper";
import { RunningSystem } from "../harness/running_system.ts";
import { corpusFiles } from "./corpus_files.ts";
import { bytesAt, unaccounted, unpackedBytes } from "./record_places.ts";

/** What `ransomeye ship --json` says, as far as it is needed. */
interface Shipped {
  readonly accepted: number;
  readonly files: readonly FileReport[];
}

interface FileReport {
  readonly name: string;
  readonly refused: number;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

/** What came back of one file. */
interface FileResult {
  readonly events: number;
  readonly same: number;
  readonly faults: readonly string[];
}

/** Ships every file through a running system and compares what comes back with the file. True if all is well. */
export async function checkRaw(corpus: string, print: (line: string) => void): Promise<boolean> {
  await using system = await RunningSystem.start();
  const paths = (await corpusFiles(corpus)).map(({ path }) => path);
  const { accepted, files } = await system.json<Shipped>("ship", ...paths, "--wait", "stored");
  const sources = { pool: await openReader(system.dataDir), registrySocket: (await system.runtime()).registrySocket, clock: systemClock };
  const total = { files: 0, events: 0, same: 0, faults: 0 };
  try {
    for (const report of files) {
      if (report.first_id === null) continue;
      const { events, same, faults } = await checkFile(report, sources, system);
      for (const fault of faults) print(`    FAULT: ${relative(corpus, report.name)}: ${fault}`);
      total.files += 1;
      total.events += events;
      total.same += same;
      total.faults += faults.length;
    }
  } finally {
    await sources.pool.end();
  }
  const well = total.faults === 0 && total.events > 0 && total.same === accepted;
  print(
    `originals: ${total.files} files with events, accepted ${accepted}, came back byte for byte ${total.same} of ${total.events}, one of each file also by the command: ${well ? "well" : "FAULTS"}`,
  );
  return well;
}

async function checkFile(report: FileReport, sources: EvidenceSources, system: RunningSystem): Promise<FileResult> {
  const { bytes, items, format } = await contentsOf(report.name);
  const ids = idsOf(report);
  const events = items.filter(({ kind }) => kind === "event").length;
  const faults: string[] = [];
  if (report.refused > 0) faults.push(`the gateway refused ${report.refused} events`);
  if (events !== ids.length) faults.push(`${events} events have ${ids.length} ids`);
  const byCommand = ids[Math.floor(ids.length / 2)];
  let next = 0;
  let same = 0;
  const lengths = new Map<Item, number>();
  for (const item of items) {
    const { record } = item.place;
    if (item.kind === "invalid") {
      lengths.set(item, item.originalBytes);
      continue;
    }
    const id = ids[next++];
    // The count of ids is a fault of its own, above.
    if (id === undefined) break;
    const evidence = await eventEvidence(sources, id);
    const original = evidence?.original ?? Buffer.alloc(0);
    lengths.set(item, original.length);
    if (evidence?.row === undefined || !evidence.proof.ok) faults.push(`record ${record} is no row with a proof that holds`);
    else if (original.length === 0 || !original.equals(bytesAt(bytes, item.place, original.length)))
      faults.push(`record ${record} came back with other bytes`);
    else if (id === byCommand && !original.equals(await rawByCommand(system, id)))
      faults.push(`record ${record} is another by the command`);
    else same += 1;
  }
  if (format !== undefined) faults.push(...unaccounted(bytes, format, items, (item) => lengths.get(item) ?? 0));
  return { events: ids.length, same, faults };
}

/** A file as the shipper sees it, and the records that it finds there. */
async function contentsOf(
  path: string,
): Promise<{ readonly bytes: Buffer; readonly items: readonly Item[]; readonly format: Format | undefined }> {
  const items: Item[] = [];
  let format: Format | undefined;
  for await (const batch of readRecords(createReadStream(path), { name: path })) {
    format = batch.format;
    items.push(...batch.items);
  }
  return { bytes: await unpackedBytes(path), items, format };
}

/** The ids of a file's events: it was shipped in one go, so its sequence numbers have no hole. */
function idsOf({ first_id: first, last_id: last }: FileReport): EventId[] {
  const [from, to] = [parseEventId(first ?? ""), parseEventId(last ?? "")];
  if (from === undefined || to === undefined || from.epoch !== to.epoch) throw new Error(`${first} and ${last} are not ids of one epoch`);
  return Array.from({ length: to.seq - from.seq + 1 }, (_, n) => ({ ...from, seq: from.seq + n }));
}

async function rawByCommand(system: RunningSystem, { producer, epoch, seq }: EventId): Promise<Buffer> {
  const command = system.spawn("event", `${producer}:${epoch}:${seq}`, "--raw");
  const closed = once(command, "close");
  const [raw] = await Promise.all([command.stdout === null ? Buffer.alloc(0) : buffer(command.stdout), closed]);
  return command.exitCode === 0 ? raw : Buffer.alloc(0);
}
