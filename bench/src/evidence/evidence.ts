/**
 * Why: evidence that takes a day to verify is not verified; the limit is what hashing and checking signatures cost by themselves.
 * Enforces: real batches of a real system; bare limit, proofs and rows take turns on the same batches, so that the machine's moods fall on all of them.
 * Forbids: a figure for a file that did not pass.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type EntryRecord, type EvidenceRecord, recordsIn, Verifier } from "ransomeye-evidence";
import { decodeHeader, importPublicKey, OCSF_VERSION, verifyHeader } from "ransomeye-ingestion/protocol";
import type { KeyObject } from "node:crypto";
import { openResult, RunningSystem, writeNumberedEvents } from "ransomeye-tests";
import type { EvidenceOptions } from "./options.ts";
import { type EvidenceFigures, evidencePage, evidenceVerdict } from "./page.ts";

const batchesAtOnce = 32;

/** Runs it, prints the figures and gives the exit code. */
export async function evidenceBench({ events, result }: EvidenceOptions): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const keep =
    result === undefined
      ? undefined
      : await openResult<EvidenceFigures>({ path: result, script: "bench", append: false, pageOf: evidencePage });
  await using system = await RunningSystem.start(["--set", "evidence.checkpoint_ms=2000"]);
  const lines = join(system.dataDir, "events.ndjson");
  await writeNumberedEvents(lines, events, 7, OCSF_VERSION);
  const shipped = await system.run("ship", lines, "--wait", "stored");
  if (shipped.exitCode !== 0) throw new Error(`ship ended with ${shipped.exitCode}: ${shipped.stderr}`);
  say(`${events} events are stored`);
  const file = join(system.dataDir, "all.evidence");
  const fromMs = performance.now();
  const exported = await system.run("evidence", "export", file);
  const exportSeconds = (performance.now() - fromMs) / 1000;
  if (exported.exitCode !== 0) throw new Error(`export ended with ${exported.exitCode}: ${exported.stderr}`);
  say(`exported in ${exportSeconds.toFixed(1)} s`);
  const figures = { events, exportSeconds, fileBytes: (await stat(file)).size, ...(await measure(file)) };
  for (const line of evidenceVerdict(figures).lines) process.stdout.write(`${line}\n`);
  await keep?.(figures);
  return evidenceVerdict(figures).holds ? 0 : 1;
}

type Measured = Omit<EvidenceFigures, "events" | "exportSeconds" | "fileBytes">;

async function measure(file: string): Promise<Measured> {
  const keys = new Map<string, KeyObject>();
  const proofs = new Verifier();
  const whole = new Verifier();
  const seconds = { read: 0, bare: 0, proofs: 0, whole: 0 };
  let payloadBytes = 0;
  let pending: EntryRecord[] = [];
  const timed = (what: keyof typeof seconds, work: () => void): void => {
    const from = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(from);
    seconds[what] += (user + system) / 1e6;
  };
  const settle = (): void => {
    timed("bare", () => {
      for (const entry of pending) bare(entry, keys);
    });
    // Without rows, and so that none are asked for: what is left are signatures, hashes, chains and trees.
    const alone = pending.map((entry) => ({ ...entry, rows: [], deadLetters: [], gaps: [], stored: false }));
    timed("proofs", () => {
      for (const entry of alone) proofs.take(entry);
    });
    timed("whole", () => {
      for (const entry of pending) whole.take(entry);
    });
    pending = [];
  };
  let readFrom = process.cpuUsage();
  for await (const record of recordsIn(createReadStream(file, { highWaterMark: 1024 * 1024 }))) {
    if (record.type === "entry") {
      payloadBytes += record.payload.length;
      pending.push(record);
    }
    if (record.type !== "entry" || pending.length >= batchesAtOnce) {
      const { user, system } = process.cpuUsage(readFrom);
      seconds.read += (user + system) / 1e6;
      settle();
      if (record.type !== "entry") other(record, keys, [proofs, whole]);
      readFrom = process.cpuUsage();
    }
  }
  const report = whole.finish();
  const { verdict: proofsVerdict } = proofs.finish();
  return {
    seconds,
    payloadBytes,
    batches: report.batches,
    rows: report.rows,
    statements: report.statements,
    unsealed: report.unsealed,
    passed: report.verdict === "PASS" && proofsVerdict === "PASS",
  };
}

function other(record: Exclude<EvidenceRecord, EntryRecord>, keys: Map<string, KeyObject>, verifiers: readonly Verifier[]): void {
  for (const verifier of verifiers) verifier.take(record);
  if (record.type !== "key") return;
  const key = importPublicKey(record.publicKey);
  if (key.kind === "decoded") keys.set(createHash("sha256").update(record.publicKey).digest().toString("hex", 0, 8), key.value);
}

function bare({ header, signature, payload }: EntryRecord, keys: ReadonlyMap<string, KeyObject>): void {
  const decoded = decodeHeader(header);
  const key = decoded.kind === "decoded" ? keys.get(decoded.value.keyId) : undefined;
  const hash = createHash("sha256").update(payload).digest();
  if (decoded.kind === "refused" || key === undefined || !verifyHeader(header, signature, key) || !decoded.value.payloadHash.equals(hash))
    throw new Error("a batch does not verify");
}
