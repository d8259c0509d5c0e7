/**
 * Why: a crash run needs a file whose every record can be told apart after it has travelled, so that a lost, doubled or misplaced one has a name.
 * Enforces: record n carries n in a typed column (the process id), so that order and identity are checked in SQL without opening documents.
 * Forbids: randomness that is not seeded; a run is repeated from its seed alone.
 */
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { seededRandom } from "ransomeye-kernel";

/** 2023-11-14T22:13:20Z in milliseconds: any fixed instant serves, the ledger never looks at claimed time. */
const FIRST_EVENT_MS = 1_700_000_000_000;
const CHUNK_RECORDS = 2_000;

/**
 * Writes `records` OCSF process events, one a line, about 400 bytes each, numbered from 1 in `process.pid`.
 * @param schemaVersion the OCSF version that the events claim
 */
export async function writeNumberedEvents(path: string, records: number, seed: number, schemaVersion: string): Promise<void> {
  const random = seededRandom(seed);
  const out = createWriteStream(path, { mode: 0o600 });
  let chunk: string[] = [];
  for (let n = 1; n <= records; n++) {
    chunk.push(numberedEvent(n, random.uint32(), schemaVersion));
    if (chunk.length === CHUNK_RECORDS || n === records) {
      if (!out.write(`${chunk.join("\n")}\n`)) await once(out, "drain");
      chunk = [];
    }
  }
  out.end();
  await once(out, "finish");
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
