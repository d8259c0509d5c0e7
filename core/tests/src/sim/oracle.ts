/**
 * Why: whoever builds the parts must not also say that they are right; the oracle knows nothing but what was promised.
 * Enforces: each receipt is an obligation. At the end every promised event is exactly one row or dead letter, in its producer's order, none twice,
 *   none from nobody; the ledgers balance; credit stays within the buffer; nothing is receipted that is not durable.
 * Forbids: reading the state of a machine to decide what should have happened.
 */
import type { GateFigures, IngestCode } from "ransomeye-ingestion";
import type { AppendOptions, AppendOutcome, BusEntry, FrameAppend, MemoryBus, Position } from "ransomeye-pipeline";
import type { SettledFrame } from "ransomeye-sdk";
import type { SimServer } from "./server.ts";

/** Codes that no honest run comes to. */
const accusations: ReadonlySet<string> = new Set<IngestCode>(["INGEST_SESSION_REPLAYED", "INGEST_EPOCH_SIGNATURE"]);

/** A broken promise. */
export class PromiseBroken extends Error {
  override readonly name = "PromiseBroken";
}

interface Told {
  /** Lines that the application has handed over, in order; a line is unique in the whole run. */
  readonly handed: Map<string, number>;
  /** Lines that were receipted. */
  readonly promised: Set<string>;
  /** Lines that are durable on the producer's disk: they must arrive too, as long as the disk lives. */
  spooled: Set<string>;
  lostSpool: boolean;
}

export class Oracle {
  readonly #producers = new Map<string, Told>();
  readonly #durable = new Map<string, FrameAppend & { readonly by: Pick<AppendOptions, "gateway" | "incarnation"> }>();
  readonly #failures: string[] = [];
  promises = 0;

  /** What was found so far. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  fail(text: string): void {
    this.#failures.push(text);
  }

  know(producer: string): void {
    this.#producers.set(producer, { handed: new Map(), promised: new Set(), spooled: new Set(), lostSpool: false });
  }

  handed(producer: string, line: string): void {
    const { handed } = this.#told(producer);
    handed.set(line, handed.size + 1);
  }

  /** The server has made frames durable, or says who had. */
  appended(frames: readonly FrameAppend[], outcomes: readonly AppendOutcome[], by: AppendOptions): void {
    for (const [i, frame] of frames.entries()) {
      const place = `${frame.link.producer}:${frame.link.epoch}:${frame.link.firstSeq}`;
      const outcome = outcomes[i];
      if (outcome?.kind === "accepted") this.#durable.set(place, { ...frame, by });
      if (outcome?.kind !== "duplicate" || outcome.acceptedBy === null) continue;
      const first = this.#durable.get(place)?.by;
      const { gateway, incarnation } = outcome.acceptedBy;
      if (first?.gateway !== gateway || first.incarnation !== incarnation)
        this.fail(`${place} was not accepted by ${gateway} ${incarnation}`);
    }
  }

  /** A producer was told that these frames are durable. */
  settled(producer: string, frames: readonly SettledFrame[], answer: string, linesOf: (index: number) => readonly string[]): void {
    if (answer === "diverged") this.fail(`${producer}: the server was said to hold something else, which no honest run does`);
    for (const { index, epoch, firstSeq } of frames) {
      const lines = linesOf(index);
      const durable = this.#durable.get(`${producer}:${epoch}:${firstSeq}`);
      const same = durable !== undefined && durable.payload.toString() === lines.map((line) => `${line}\n`).join("");
      if (!same) this.fail(`${producer}: ${epoch}:${firstSeq} was receipted (${answer}) and is not durable on the bus`);
      for (const line of lines) this.#told(producer).promised.add(line);
      this.promises += lines.length;
    }
  }

  spooled(producer: string, lines: readonly string[]): void {
    const told = this.#told(producer);
    for (const line of lines) told.spooled.add(line);
  }

  /** After a crash only what was receipted or is still on the disk is owed. */
  producerCrashed(producer: string, kept: readonly string[], lostSpool: boolean): void {
    const told = this.#told(producer);
    if (!lostSpool) {
      // What had been told as durable must be there, or have been stored and forgotten.
      const now = new Set(kept);
      for (const line of told.spooled)
        if (!now.has(line) && !told.promised.has(line)) this.fail(`${producer}: a durable line was lost by a crash: ${line}`);
    }
    told.lostSpool ||= lostSpool;
    told.spooled = new Set(kept);
  }

  producerStopped(producer: string, code: string, detail: string): void {
    this.fail(`${producer} stopped for good: ${code} ${detail}`);
  }

  gateStepped(gate: string, figures: GateFigures): void {
    if (figures.reservedBytes > figures.bufferBytesMax)
      this.fail(`${gate}: ${figures.reservedBytes} bytes of floors, credit and frames in a buffer of ${figures.bufferBytesMax}`);
  }

  gateNoted(gate: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (name === "equivocation_found" && this.#producers.has(String(fields["producer"])))
      this.fail(`${gate}: an honest producer is said to equivocate: ${JSON.stringify(fields)}`);
    if (name === "transmissions_refused" && accusations.has(String(fields["code"])) && this.#producers.has(String(fields["producer"])))
      this.fail(`${gate}: an honest producer is accused: ${JSON.stringify(fields)}`);
  }

  engineTold(engine: string, name: string, fields: Readonly<Record<string, unknown>>): void {
    if (name === "partition_stopped") this.fail(`${engine}: ${JSON.stringify(fields)}`);
  }

  /** Everything has drained: what is stored must be what was promised. */
  async judge(server: SimServer): Promise<void> {
    const log = await readAll(server.bus);
    this.#judgeTables(server, log);
    for (const [producer, told] of this.#producers)
      this.#judgeProducer(
        producer,
        told,
        log.filter((entry) => entry.link.producer === producer),
      );
    for (const { link } of log) if (!this.#producers.has(link.producer)) this.fail(`a frame of nobody is stored: ${link.producer}`);
  }

  /** every signed sequence number on the bus is exactly one row, dead letter or gap, and nothing else is in the tables. */
  #judgeTables(server: SimServer, log: readonly BusEntry[]): void {
    const owed = new Map<string, string>();
    for (const { link, payload } of log) {
      const lines = payload.toString().split("\n");
      for (let i = 0; i < link.count; i++)
        owed.set(`${link.producer}:${link.epoch}:${link.firstSeq + i}`, link.kind === "gap" ? "" : (lines[i] ?? ""));
    }
    const seen = new Set<string>();
    const take = (what: string, producer: string, epoch: number, seq: number): string => {
      const id = `${producer}:${epoch}:${seq}`;
      if (seen.has(id)) this.fail(`${id} is stored twice (now as ${what})`);
      if (!owed.has(id)) this.fail(`${id} is stored as ${what} and was never appended`);
      seen.add(id);
      return owed.get(id) ?? "";
    };
    const { rows, deadLetters, gaps } = server.database;
    const last = new Map<string, number>();
    for (const row of rows) {
      const line = take("row", row.producer, row.epoch, row.seq);
      if (!line.includes(`"hostname":"${row.host}"`))
        this.fail(`${row.producer}:${row.epoch}:${row.seq} holds ${row.host}, signed was ${line}`);
      const place = row.epoch * 1_000_000 + row.seq;
      if (place <= (last.get(row.producer) ?? 0)) this.fail(`${row.producer}:${row.epoch}:${row.seq} was stored out of order`);
      last.set(row.producer, place);
    }
    for (const dead of deadLetters) for (let i = 0; i < dead.count; i++) take("dead letter", dead.producer, dead.epoch, dead.firstSeq + i);
    for (const gap of gaps) for (let i = 0; i < gap.count; i++) take("gap", gap.producer, gap.epoch, gap.firstSeq + i);
    for (const id of owed.keys()) if (!seen.has(id)) this.fail(`${id} is on the bus and in no table`);
  }

  /** What one producer's log holds: only its own lines, each once, in the order in which they were handed over, and all that is owed. */
  #judgeProducer(producer: string, told: Told, log: readonly BusEntry[]): void {
    const ordered = log.toSorted((a, b) => a.link.epoch - b.link.epoch || a.link.firstSeq - b.link.firstSeq);
    const found = new Set<string>();
    let last = 0;
    for (const { link, payload } of ordered) {
      if (link.kind === "gap") {
        // The server of this world loses nothing, so nobody has a reason to declare a loss.
        this.fail(`${producer}: a gap of ${link.count} was declared at ${link.epoch}:${link.firstSeq}`);
        continue;
      }
      for (const line of payload.toString().split("\n").slice(0, -1)) {
        const order = told.handed.get(line);
        if (order === undefined) this.fail(`${producer}: a line that nobody handed over is stored: ${line}`);
        else if (found.has(line)) this.fail(`${producer}: stored twice under two numbers: ${line}`);
        else if (order < last) this.fail(`${producer}: stored out of order: ${line}`);
        found.add(line);
        last = order ?? last;
      }
    }
    for (const line of told.promised) if (!found.has(line)) this.fail(`${producer}: receipted and lost: ${line}`);
    for (const line of told.spooled) if (!found.has(line)) this.fail(`${producer}: spooled and never sent: ${line}`);
  }

  #told(producer: string): Told {
    const told = this.#producers.get(producer);
    if (told === undefined) throw new PromiseBroken(`nobody knows producer ${producer}`);
    return told;
  }
}

async function readAll(bus: MemoryBus): Promise<BusEntry[]> {
  const entries: BusEntry[] = [];
  for (let part = 0; part < bus.partitions; part++) {
    let after: Position | null = null;
    for (;;) {
      const next: BusEntry[] = await bus.read(part, after, { framesMax: 1000, bytesMax: Number.MAX_SAFE_INTEGER });
      if (next.length === 0) break;
      entries.push(...next);
      after = next[next.length - 1]?.position ?? null;
    }
  }
  return entries;
}
