/**
 * Why: synthetic records have the shapes that we know; the corpus has the ones that sources really write.
 * Enforces: of every file each line is accounted for and read = events + invalid, each event passes the gate's validation, gives back its original bytes and has lost none of
 * its record's values, each invalid record has a reason; files that no reader takes are refused with a documented code.
 * Forbids: writing anything, and knowing what the corpus holds, but for the kinds of files that must have a reader.
 */
import { relative } from "node:path";
import { deriveRow, newRowColumns, validatePayload } from "ransomeye-ingestion/protocol";
import { type EventItem, type Format, type Item, originalOf, readRecords, ShipError } from "ransomeye-shipper";
import { type CorpusFile, corpusFiles } from "./corpus_files.ts";
import type { Outcome } from "./corpus_page.ts";
import { lostLeaves } from "./lost_leaves.ts";
import { bytesAt, countLines, unaccounted, unpackedBytes } from "./record_places.ts";
import { valuesOf } from "./record_values.ts";
import { type FileResult, tablesOf } from "./shipper_tables.ts";

const columns = newRowColumns();

/** About when the corpus was collected: times without a year are of that one or before. */
const clock = { nowUs: (): number => Date.UTC(2026, 0, 1) * 1000, monotonicMs: (): number => 0 };

/** Everything that is wrong with one event. */
function eventFaults(item: EventItem, record: number, bytes: Buffer, format: Format): string[] {
  const place = `record ${record}, line ${item.place.line}`;
  const check = validatePayload(Buffer.concat([item.line, Buffer.from("\n")]), 1);
  if (check.kind !== "lines") return [`${place}: ${check.reason}`];
  if (check.invalid[0] !== undefined) return [`${place}: the gate says ${check.invalid[0].reason}`];
  const event = JSON.parse(item.line.toString()) as Record<string, unknown>;
  deriveRow(event, Number(event["time"]) * 1000, columns);
  const original = originalOf(event);
  if (original === undefined) return event["raw_data_size"] === undefined ? [] : [`${place}: the original is missing`];
  if (original.length !== event["raw_data_size"]) return [`${place}: the original has another length`];
  if (!original.equals(bytesAt(bytes, item.place, original.length))) return [`${place}: the original is not what stands there`];
  const lost = lostLeaves(valuesOf(original, format), event);
  return lost.map((leaf) => `${place}: lost ${leaf}`);
}

/** How long an item's record is in its file; a joined one has its lines' own lengths. */
function lengthOf(item: Item): number {
  if (item.kind === "invalid") return item.originalBytes;
  const event = JSON.parse(item.line.toString()) as Record<string, unknown>;
  return originalOf(event)?.length ?? item.line.length;
}

async function checkFile(root: string, { kind, path }: CorpusFile): Promise<FileResult> {
  const bytes = await unpackedBytes(path);
  const items: Item[] = [];
  const faults: string[] = [];
  let format: Format | undefined;
  let refusal: FileResult["refusal"];
  try {
    for await (const batch of readRecords(oneChunk(bytes), { name: path, clock })) {
      format = batch.format;
      items.push(...batch.items);
    }
  } catch (error) {
    if (!(error instanceof ShipError)) throw error;
    refusal = error.code;
  }
  for (const [i, item] of items.entries()) {
    if (item.place.record !== i + 1) faults.push(`record ${item.place.record} came in place ${i + 1}`);
    if (item.kind === "event" && format !== undefined) faults.push(...eventFaults(item, i + 1, bytes, format));
  }
  const invalid = items.filter((item) => item.kind === "invalid");
  // All lines of a file that was refused have that one reason.
  if (format !== undefined && refusal === undefined) faults.push(...unaccounted(bytes, format, items, lengthOf));
  if (kind === "4-windows" && (refusal !== undefined || invalid.length > 0))
    faults.push("every Windows record of the corpus is a valid event");
  const events = items.length - invalid.length;
  return { path: relative(root, path), format, ...countLines(bytes, items, lengthOf), events, invalid, refusal, faults };
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function printFile({ path, refusal, format, lines, events, invalid, faults }: FileResult, print: (line: string) => void): void {
  const label = path.length > 70 ? `…${path.slice(-69)}` : path;
  const counts = [lines, events + invalid.length, events, invalid.length].map((count) => String(count).padStart(7));
  print(`${label.padEnd(70)} ${(refusal ?? format ?? "").padEnd(23)} ${counts.join(" ")}`);
  for (const { place, code, message } of invalid) print(`    invalid: line ${place.line}, byte ${place.byteOffset}: ${code}: ${message}`);
  for (const fault of faults) print(`    FAULT: ${fault}`);
}

/** Reads every file and tells, line by line through `print`, what became of it. */
export async function checkShipper(corpus: string, print: (line: string) => void): Promise<Outcome> {
  print(
    `${"file".padEnd(70)} ${"format".padEnd(23)} ${["lines", "records", "events", "invalid"].map((word) => word.padStart(7)).join(" ")}`,
  );
  const results: FileResult[] = [];
  for (const file of await corpusFiles(corpus)) {
    const result = await checkFile(corpus, file);
    printFile(result, print);
    results.push(result);
  }
  const sum = (count: (result: FileResult) => number): number => results.reduce((all, result) => all + count(result), 0);
  const well = results.every(({ faults }) => faults.length === 0);
  const [lines, events, invalid] = [sum((file) => file.lines), sum((file) => file.events), sum((file) => file.invalid.length)];
  const refused = results.filter(({ refusal }) => refusal !== undefined);
  print(
    `shipper: ${results.length} files, ${lines} lines accounted for, read ${events + invalid} = events ${events} + invalid ${invalid}, files refused ${refused.length}: ${well ? "well" : "FAULTS"}`,
  );
  return { well, tables: tablesOf(results) };
}
