/**
 * Why it exists: where the frame log lies on Redis servers, somebody makes it there, mirrors what only it knows, and trims what rows were made of.
 * Enforces: the log moves once, after all of it has become rows (or when the operator has said that the rest is lost); servers that hold another
 * installation's log, or have lost ours or its end, are refused; entries go only when every group has them and the archive holds them.
 * Forbids: deciding about frames; what is mirrored is for the ledger and for eyes.
 */
import type { Pool } from "ransomeye-db";
import {
  type BusControl,
  type Founding,
  type FoundingHead,
  logLostReason,
  noteEnds,
  noteHeads,
  type Position,
  prepareRedisBus,
  type RedisControls,
} from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import { logFound, logLost } from "../events.ts";
import { redisLog } from "./log_place.ts";
import type { RoleContext } from "./role_process.ts";

const epochOpeningsPerDayMax = 32;
const inFlightBytesMax = 256 * 1024 * 1024;
const pageHeads = 1000;
/** Below this part of its bound a server's memory is nobody's worry. */
const comfortRatio = 0.5;

interface LogFacts {
  readonly log_elsewhere: boolean;
  readonly generation: string;
}

async function logFacts(pool: Pool): Promise<LogFacts> {
  const { rows } = await pool.query<LogFacts>("SELECT log_elsewhere, generation FROM views.log");
  return rows[0] as LogFacts;
}

/** Why the database says that nothing is taken, or null. */
export async function pausedReason(pool: Pool): Promise<string | null> {
  const { rows } = await pool.query<{ paused_reason: string | null }>("SELECT paused_reason FROM views.log");
  return rows[0]?.paused_reason ?? null;
}

/** A database whose log lies elsewhere takes no frames. @throws CliError CLI_START_FAILED */
export async function assertLogIsHere(pool: Pool): Promise<void> {
  if (!(await logFacts(pool)).log_elsewhere) return;
  throw new CliError("CLI_START_FAILED", "the log of this installation lies on Redis servers: start with the same --bus as before");
}

/** Finds the log on its servers, or moves it there. @throws CliError CLI_START_FAILED, BusError */
export async function openLogElsewhere(context: RoleContext, pool: Pool): Promise<RedisControls> {
  const redis = redisLog(context);
  if (redis === undefined) throw new CliError("CLI_START_FAILED", "no servers are named for the log");
  const { random, begin, lifetime } = context;
  const before = await logFacts(pool);
  const controls = await prepareRedisBus({
    ...redis,
    random,
    settings: { partitions: begin.config.bus.partitions, epochOpeningsPerDayMax, inFlightBytesMax },
    found: async (unfinished) => {
      const isOurs = before.log_elsewhere && before.generation === unfinished;
      if (before.log_elsewhere && !isOurs && !begin.afterLoss)
        throw new CliError(
          "CLI_START_FAILED",
          "the servers do not hold this installation's log any more: bring them back as they were; or, if what they had is gone for good, start with --after-loss (core/docs/bus.md says what that means)",
        );
      return foundingOf(pool, begin.afterLoss && !isOurs);
    },
  });
  lifetime.defer("bus", async () => controls.close());
  const after = await logFacts(pool);
  if (after.log_elsewhere && after.generation === controls.generation) return controls;
  throw new CliError("CLI_START_FAILED", "the servers hold the log of another installation: choose another bus.key_prefix");
}

interface EndRow {
  readonly part: number;
  readonly off: number;
  readonly received_us: number;
  readonly entry_hash: Buffer;
  readonly in_flight: number;
}

/** What the database knows of the ends of partitions; of rows: how far they have come. */
async function logEnds(pool: Pool, ofRows: boolean): Promise<EndRow[]> {
  return (await pool.query<EndRow>("SELECT part, off, received_us, entry_hash, in_flight FROM bus.log_ends($1) ORDER BY part", [ofRows]))
    .rows;
}

async function endsOf(pool: Pool, generation: string, ofRows: boolean): Promise<Position[]> {
  return (await logEnds(pool, ofRows)).map(({ part, off, received_us: receivedUs, entry_hash: hash }) => ({
    ...{ generation, part, off, receivedUs, hash },
  }));
}

/** From where a new log goes on: right after what has become rows. */
async function foundingOf(pool: Pool, afterLoss: boolean): Promise<Founding> {
  const ends = await logEnds(pool, afterLoss);
  const waiting = ends.reduce((sum, end) => sum + end.in_flight, 0);
  if (!afterLoss && waiting > 0)
    throw new CliError(
      "CLI_START_FAILED",
      `${waiting} frames of the log have not become rows yet: start once without --bus, let them (ransomeye audit --wait-idle 60), stop, and start again`,
    );
  return {
    ends: ends.map(({ off, received_us: receivedUs, entry_hash: hash }) => ({ off, receivedUs, hash })),
    heads: () => foundingHeads(pool, afterLoss),
    adopt: async (generation) => {
      await pool.query("SELECT bus.adopt($1, $2::bigint[], $3)", [generation, ends.map(({ off }) => off), afterLoss]);
    },
  };
}

interface HeadRow {
  readonly producer_id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
  readonly prev_epoch: number;
  readonly prev_seq: number;
  readonly prev_hash: Buffer;
  readonly key_id: Buffer;
  readonly offered: number;
  readonly received_us: number;
  readonly stored_epoch: number;
  readonly stored_seq: number;
}

async function* foundingHeads(pool: Pool, afterLoss: boolean): AsyncGenerator<FoundingHead[]> {
  for (let after: string | null = null; ; ) {
    const { rows }: { rows: HeadRow[] } = await pool.query<HeadRow>("SELECT * FROM bus.founding_heads($1, $2, $3)", [
      afterLoss,
      after,
      pageHeads,
    ]);
    if (rows.length > 0)
      yield rows.map((row) => ({
        producer: row.producer_id,
        epoch: row.epoch,
        seq: row.seq,
        hash: row.hash,
        part: -1,
        prevEpoch: row.prev_epoch,
        prevSeq: row.prev_seq,
        prevHash: row.prev_hash,
        keyId: row.key_id.toString("hex"),
        offered: row.offered,
        receivedUs: row.received_us,
        storedEpoch: row.stored_epoch,
        storedSeq: row.stored_seq,
      }));
    if (rows.length < pageHeads) return;
    after = rows.at(-1)?.producer_id ?? null;
  }
}

/** What the keeper does for a log that lies elsewhere, each at its own pace. */
export class LogKeeper {
  readonly #context: RoleContext;
  readonly #pool: Pool;
  readonly #controls: RedisControls;
  readonly #control: Pick<BusControl, "pause">;
  /** What was mirrored last, by partition: the log must hold it. */
  readonly #mirrored = new Map<number, Position>();
  #lostParts = "";
  /** The servers pause as the database says, since this process began. */
  #agrees = false;
  readonly #reported = new Map<string, string>();

  /** @param control pauses log and database */
  constructor(context: RoleContext, pool: Pool, controls: RedisControls, control: Pick<BusControl, "pause">) {
    this.#context = context;
    this.#pool = pool;
    this.#controls = controls;
    this.#control = control;
  }

  /** Ends and heads of the log into the database, unless the log lacks what was mirrored before: then nothing is taken until it is there again. */
  async mirrorLog(): Promise<void> {
    const { mirror } = this.#controls;
    const changed = (await mirror.ends()).filter(({ part, off }) => this.#mirrored.get(part)?.off !== off);
    if (changed.length === 0 && this.#lostParts === "") return;
    const lost = await this.#lost();
    await this.#sayLost(lost);
    if (!this.#agrees) {
      // A keeper that died between the two has left a pause at the servers of which the database knows nothing, and which nobody would ever end.
      await this.#controls.pause(await pausedReason(this.#pool));
      this.#agrees = true;
    }
    for (const end of changed.filter(({ part }) => !lost.includes(part))) {
      // Heads first: an end without them would show entries of nobody.
      for await (const heads of mirror.heads(end.part)) await noteHeads(this.#pool, heads);
      if (end.off > 0) await noteEnds(this.#pool, [end]);
      this.#mirrored.set(end.part, end);
    }
  }

  /** Partitions that do not hold what was mirrored of them, or what rows were made of. */
  async #lost(): Promise<number[]> {
    const { mirror, generation } = this.#controls;
    if (this.#mirrored.size === 0) for (const end of await endsOf(this.#pool, generation, false)) this.#mirrored.set(end.part, end);
    const stored = await endsOf(this.#pool, generation, true);
    const known = [...this.#mirrored.values(), ...stored].filter(({ off }) => off > 0);
    const held = await Promise.all(known.map((position) => mirror.holds(position)));
    return [...new Set(known.flatMap(({ part }, at) => (held[at] === true ? [] : [part])))].toSorted((a, b) => a - b);
  }

  async #sayLost(lost: readonly number[]): Promise<void> {
    const { telemetry } = this.#context;
    const parts = lost.join(", ");
    const isSaid = (await pausedReason(this.#pool)) === logLostReason;
    if (lost.length > 0 && (!isSaid || parts !== this.#lostParts)) {
      await this.#control.pause(logLostReason);
      telemetry.emit(logLost, { parts });
    } else if (lost.length === 0 && isSaid) {
      await this.#control.pause(null);
      telemetry.emit(logFound, { parts: this.#lostParts });
    }
    this.#lostParts = parts;
  }

  /** What gates tell of themselves into the database. */
  async mirrorReports(): Promise<void> {
    const { mirror } = this.#controls;
    const ended: string[] = [];
    for (const { gateway, incarnation, ...said } of await mirror.reports()) {
      const text = JSON.stringify(said);
      if (this.#reported.get(incarnation) !== text) {
        await this.#pool.query("SELECT bus.counters_put($1, $2, $3)", [gateway, incarnation, text]);
        this.#reported.set(incarnation, text);
      }
      if (said.ended) ended.push(incarnation);
    }
    await mirror.forgetReports(ended);
    for (const incarnation of ended) this.#reported.delete(incarnation);
  }

  /** Trims what every group has: what is old, and all of it where memory is short. */
  async trim(): Promise<void> {
    const { begin, clock } = this.#context;
    const { keepBytesMax, keepMsMax } = begin.config.bus;
    const { usedBytes, bytesMax } = await this.#controls.memory();
    const comfort = bytesMax > 0 ? Math.min(bytesMax * comfortRatio, keepBytesMax) : keepBytesMax;
    for (const end of await this.#controls.mirror.ends()) {
      if (end.off === 0) continue;
      const old: Pick<Position, "off"> | null =
        usedBytes > comfort ? end : await this.#controls.seek(end.part, clock.nowUs() - keepMsMax * 1000);
      if (old !== null && old.off > 0) await this.#controls.trim(end.part, old.off);
    }
  }
}
