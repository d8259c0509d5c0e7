/**
 * Why it exists: followed files belong to producers by their formats, and each producer's spool knows how far its own files were read.
 * Enforces: one identity and one checkpoint for each kind of producer; a path that changes its format changes its producer without being read twice.
 * Forbids: an identity that `ship` uses as well: a spool holds one cursor.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type Telemetry, writeFileAtomic } from "ransomeye-kernel";
import { type ProducerKind, producerKinds } from "ransomeye-ingestion/protocol";
import {
  type Batch,
  type FileMark,
  followInvalid,
  type Format,
  type FramingPoint,
  type Handover,
  type Head,
  PositionedLane,
  Positions,
} from "ransomeye-shipper";
import { type SdkError, spoolStalled, untilRoom } from "ransomeye-sdk";
import { CliError } from "../errors.ts";
import { hasIdentity } from "../ship/identities.ts";
import type { GateInvalid, Lane, LaneListener } from "../ship/lane.ts";
import type { Lanes } from "../ship/lanes.ts";
import type { DataDir } from "../supervisor/data_dir.ts";

const checkpointName = "follow.json";

/** The agent's identity of a kind. */
export function agentName(kind: ProducerKind): string {
  return `agent-${kind}`;
}

const ownNames: ReadonlySet<string> = new Set(producerKinds.map(agentName));

export interface AgentLanesOptions {
  readonly lanes: Lanes;
  readonly dataDir: DataDir;
  /** The identity asked for by --producer; else the agent's own, one for each kind. */
  readonly producer: string | null;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Nothing more is read, and a disk without room is not waited for. */
  readonly stopped: AbortSignal;
}

/** Where followed records go. */
export class AgentLanes implements Handover, LaneListener {
  readonly #o: AgentLanesOptions;
  readonly #positioned = new Map<string, PositionedLane>();
  /** Paths whose records the identity may not send. */
  readonly #refused = new Map<string, string>();

  private constructor(o: AgentLanesOptions) {
    this.#o = o;
  }

  /** Opens the lane that was asked for, or those that were used before, with their positions. @throws ShipError SHIP_CHECKPOINT, CliError CLI_IDENTITY_… */
  static async open(o: AgentLanesOptions): Promise<AgentLanes> {
    const own = new AgentLanes(o);
    if (o.producer !== null) {
      // Asked for by name: whatever is wrong with it is said now, and not when a first line comes.
      await own.#positionedLane(o.producer, await o.lanes.laneNamed(o.producer, own));
      return own;
    }
    const names = (await readdir(o.dataDir.spool).catch(() => [] as string[])).filter((name) => ownNames.has(name));
    for (const name of names) {
      if (!(await hasIdentity(join(o.dataDir.identities, name)))) continue;
      await own.#positionedLane(name, await o.lanes.laneNamed(name, own));
    }
    return own;
  }

  markOf(path: string): FileMark | undefined {
    const marks = [...this.#positioned.values()].flatMap((lane) => lane.markOf(path) ?? []);
    return marks.reduce<FileMark | undefined>(
      (newest, mark) => (newest === undefined || mark.sinceUs > newest.sinceUs ? mark : newest),
      undefined,
    );
  }

  async take(path: string, batch: Batch, about: { readonly fresh: FileMark | undefined; readonly head: Head | undefined }): Promise<void> {
    const lane = await this.#laneFor(batch.format);
    if (lane instanceof CliError) {
      this.#refused.set(path, lane.code);
      const byteOffset = batch.items[0]?.place.byteOffset ?? 0;
      const detail = { input: path, code: lane.code, records: batch.items.length, byte_offset: byteOffset, detail: lane.message };
      this.#o.telemetry.emit(followInvalid, detail);
      return;
    }
    this.#refused.delete(path);
    await lane.take(path, batch, about);
    if (about.fresh === undefined) return;
    for (const other of this.#positioned.values()) if (other !== lane) other.drop(path);
  }

  /** Why what a path holds is not sent; undefined where it is. */
  refusedOf(path: string): string | undefined {
    return this.#refused.get(path);
  }

  moved(path: string, point: FramingPoint): void {
    for (const lane of this.#positioned.values()) lane.moved(path, point);
  }

  forget(path: string): void {
    this.#refused.delete(path);
    for (const lane of this.#positioned.values()) lane.drop(path);
  }

  async rest(): Promise<void> {
    // With nothing to read nobody else would notice, perhaps for days.
    this.#o.lanes.refuseStopped();
    for (const lane of this.#positioned.values()) await lane.rest();
  }

  /** Everything read is on disk, and so is how far that was. */
  async close(): Promise<void> {
    for (const lane of this.#positioned.values()) await lane.close();
  }

  /** A line became a dead letter. */
  invalid({ file, place, code, reason, id }: GateInvalid): void {
    const detail = `${reason} (dead letter ${id})`;
    this.#o.telemetry.emit(followInvalid, { input: file, code, records: 1, byte_offset: place.byteOffset, detail });
  }

  placed(): void {
    // Nobody waits for the ids of a followed file's events.
  }

  async #laneFor(format: Format): Promise<PositionedLane | CliError> {
    try {
      const { lane, name } = await this.#o.lanes.laneFor(format, this);
      return await this.#positionedLane(name, lane);
    } catch (error) {
      if (error instanceof CliError && error.code === "CLI_KIND_MISMATCH") return error;
      throw error;
    }
  }

  async #positionedLane(name: string, lane: Lane): Promise<PositionedLane> {
    const known = this.#positioned.get(name);
    if (known !== undefined) return known;
    const path = join(this.#o.dataDir.spool, name, checkpointName);
    const positions = Positions.load(await textOf(path), this.#o.lanes.openCursorOf(name));
    const positioned = new PositionedLane(positions, lane, (text) => this.#writeCheckpoint(name, path, text), this.#o.clock);
    this.#positioned.set(name, positioned);
    return positioned;
  }

  /** A full disk passes: it is waited for here as it is for the spool. */
  #writeCheckpoint(name: string, path: string, text: string): Promise<void> {
    const { clock, stopped: closing, telemetry } = this.#o;
    const stalled = (error: SdkError): void => telemetry.emit(spoolStalled, { producer: name, code: error.code, detail: error.message });
    return untilRoom(() => writeFileAtomic(path, text, 0o600), { clock, closing, stalled });
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
