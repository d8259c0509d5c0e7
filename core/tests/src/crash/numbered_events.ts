/**
 * Why: a crash run needs records that can be told apart after they have travelled, so that a lost, doubled or misplaced one has a name; and it must
 *   be able to hold some back, so that a kill comes in the middle however fast the system is.
 * Enforces: record n carries n in a typed column (the process id), so that order and identity are checked in SQL without opening documents.
 * Forbids: randomness that is not seeded; a run is repeated from its seed alone.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { seededRandom } from "ransomeye-kernel";

/** 2023-11-14T22:13:20Z in milliseconds: any fixed instant serves, the ledger never looks at claimed time. */
const FIRST_EVENT_MS = 1_700_000_000_000;
/** Few, so that what may leave and what leaves are nearly the same. */
const CHUNK_RECORDS = 20;

/** How many records may leave so far. */
export class Allowance {
  #records = 0;
  #waiting: (() => void)[] = [];

  raiseTo(records: number): void {
    this.#records = Math.max(records, this.#records);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Waits until this record may leave. */
  async covers(record: number): Promise<void> {
    while (record > this.#records) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** A feeder's part of the records: every `of`th, from `first` on. */
export interface RecordShare {
  readonly first: number;
  readonly of: number;
}

const ALL_RECORDS: RecordShare = Object.freeze({ first: 1, of: 1 });

/**
 * Writes `records` OCSF process events, one a line, about 400 bytes each, numbered from 1 in `process.pid`, as far as they are allowed; then ends `out`.
 * @param schemaVersion the OCSF version that the events claim
 * @param share which of them, where several feeders have a part each
 */
export async function feedNumberedEvents(
  out: Writable,
  records: number,
  seed: number,
  schemaVersion: string,
  allowance: Allowance,
  share: RecordShare = ALL_RECORDS,
): Promise<void> {
  const random = seededRandom(seed);
  let chunk: string[] = [];
  for (let n = share.first; n <= records; n += share.of) {
    chunk.push(numberedEvent(n, random.uint32(), schemaVersion));
    if (chunk.length === CHUNK_RECORDS || n + share.of > records) {
      await allowance.covers(n);
      if (!out.write(`${chunk.join("\n")}\n`)) await once(out, "drain");
      chunk = [];
    }
  }
  out.end();
}

/** The same, all at once, as a file. */
export async function writeNumberedEvents(path: string, records: number, seed: number, schemaVersion: string): Promise<void> {
  const out = createWriteStream(path, { mode: 0o600 });
  const written = once(out, "finish");
  const allowance = new Allowance();
  allowance.raiseTo(records);
  await feedNumberedEvents(out, records, seed, schemaVersion, allowance);
  await written;
}

/** One event, and no other is like it: `n` is its process id and part of its uid. */
export function numberedEvent(n: number, salt: number, schemaVersion: string): string {
  const hex = salt.toString(16).padStart(8, "0");
  return JSON.stringify({
    class_uid: 1007,
    category_uid: 1,
    activity_id: 1,
    type_uid: 100701,
    severity_id: 1,
    time: FIRST_EVENT_MS + n,
    metadata: { version: schemaVersion, product: { name: "synthetic", vendor_name: "RansomEye" }, uid: `crash-${n}` },
    device: { hostname: `host-${salt % 97}.example`, type_id: 0 },
    actor: { user: { name: `user-${salt % 31}` } },
    process: { pid: n, name: `job-${hex}.exe`, cmd_line: `job-${hex}.exe --step ${n} --token ${hex}${hex}${hex}` },
  });
}
