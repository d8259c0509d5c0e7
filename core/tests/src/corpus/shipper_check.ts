/**
 * Why: synthetic records have the shapes that we know; the corpus has the ones that sources really write.
 * Enforces: of every file read = events + invalid, each event passes the gate's validation, gives back its original bytes and has lost none of
 * its record's values, each invalid record has a reason; files that no reader takes are refused with a documented code.
 * Forbids: writing anything, and knowing what the corpus holds, but for the kinds of files that must have a reader.
 */
import { relative } from "node:path";
import { deriveRow, newRowColumns, validatePayload } from "ransomeye-ingestion/protocol";
import { type EventItem, type Format, type Item, originalOf, readRecords, ShipError } from "ransomeye-shipper";
import { corpusFiles } from "./corpus_files.ts";
import { lostLeaves } from "./lost_leaves.ts";
import { bytesAt, unaccounted, unpackedBytes } from "./record_places.ts";
import { valuesOf } from "./record_values.ts";

/** What became of one file. */
export interface FileResult {
  readonly path: string;
  readonly format: Format | undefined;
  readonly read: number;
  readonly events: number;
  readonly invalid: number;
  /** Why the file was refused, if it was. */
  readonly refusal: string | undefined;
  /** What should not be; empty where all is well. */
  readonly faults: readonly string[];
  /** Invalid records with place and reason. */
  readonly reasons: readonly string[];
}

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

async function checkFile(root: string, path: string): Promise<FileResult> {
  const bytes = await unpackedBytes(path);
  const items: Item[] = [];
  const result = { format: undefined as Format | undefined, read: 0, events: 0, invalid: 0, refusal: undefined as string | undefined };
  const faults: string[] = [];
  const reasons: string[] = [];
  const take = (item: Item, format: Format): void => {
    items.push(item);
    result.read++;
    if (item.place.record !== result.read) faults.push(`record ${item.place.record} came in place ${result.read}`);
    if (item.kind === "event") {
      result.events++;
      faults.push(...eventFaults(item, result.read, bytes, format));
    } else {
      result.invalid++;
      reasons.push(`line ${item.place.line}, byte ${item.place.byteOffset}: ${item.code}: ${item.message}`);
    }
  };
  try {
    for await (const batch of readRecords(oneChunk(bytes), { name: path, clock })) {
      result.format = batch.format;
      for (const item of batch.items) take(item, batch.format);
    }
    if (result.format !== undefined) faults.push(...unaccounted(bytes, result.format, items, lengthOf));
  } catch (error) {
    if (!(error instanceof ShipError)) throw error;
    result.refusal = error.code;
  }
  return { path: relative(root, path), ...result, faults, reasons };
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Reads every file and tells, line by line through `print`, what became of it. True if all is well. */
export async function checkShipper(corpus: string, print: (line: string) => void): Promise<boolean> {
  let well = true;
  const total = { files: 0, read: 0, events: 0, invalid: 0, refused: 0 };
  print(`${"file".padEnd(70)} ${"format".padEnd(20)} ${"read".padStart(6)} ${"events".padStart(6)} ${"invalid".padStart(7)}`);
  for (const { kind, path } of await corpusFiles(corpus)) {
    const result = await checkFile(corpus, path);
    total.files++;
    total.read += result.read;
    total.events += result.events;
    total.invalid += result.invalid;
    if (result.refusal !== undefined) total.refused++;
    const label = result.path.length > 70 ? `…${result.path.slice(-69)}` : result.path;
    print(
      `${label.padEnd(70)} ${(result.refusal ?? result.format ?? "").padEnd(20)} ${String(result.read).padStart(6)} ${String(result.events).padStart(6)} ${String(result.invalid).padStart(7)}`,
    );
    for (const reason of result.reasons) print(`    invalid: ${reason}`);
    const faults = [...result.faults];
    if (result.read !== result.events + result.invalid) faults.push("read is not events + invalid");
    if (kind === "4-windows" && (result.refusal !== undefined || result.invalid > 0))
      faults.push("every Windows record of the corpus is a valid event");
    for (const fault of faults) print(`    FAULT: ${fault}`);
    if (faults.length > 0) well = false;
  }
  print(
    `shipper: ${total.files} files, read ${total.read} = events ${total.events} + invalid ${total.invalid}, files refused ${total.refused}: ${well ? "well" : "FAULTS"}`,
  );
  return well;
}
