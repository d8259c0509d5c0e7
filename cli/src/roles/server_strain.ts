/**
 * Why it exists: PostgreSQL says early when it has too much to do; producers are slowed down before it stops (ING-6).
 * Enforces: each signal as a share of the value at which producers pause; the worst is told. Levels mean to gateways
 *   what those of their own signals do. Checkpoints that follow each other too fast only slow down: PostgreSQL loses speed by them and nothing else.
 * Forbids: I/O, clocks.
 */
import { pressureBounds } from "ransomeye-ingestion/protocol";

/** What the server shows of itself. */
export interface ServerSignals {
  /** Write-ahead log that the slowest replication slot keeps back, or an archive that fails, in bytes; 0 without either. */
  readonly replicationLagBytes: number;
  /** Checkpoints begun because WAL came fast, since the server's statistics were made. */
  readonly requestedCheckpoints: number;
  /** The server's own word for "too frequent": its setting `checkpoint_warning`, in milliseconds; 0 turns it off. */
  readonly checkpointWarningMs: number;
  /** The longest that a session of this database has been waiting for a table or a row, in milliseconds. */
  readonly lockWaitMs: number;
  readonly connections: number;
  /** Without those that only superusers may take. */
  readonly connectionsMax: number;
}

/** Of the embedded server's disk. */
export interface DiskLeft {
  readonly freeBytes: number;
  /** The floor at which everything pauses. */
  readonly floorBytes: number;
}

export interface StrainBounds {
  readonly replicationLagBytesMax: number;
  readonly lockWaitMsMax: number;
}

/** The worst signal. */
export interface Strain {
  readonly name: "replication_lag" | "checkpoints_frequent" | "lock_wait" | "connections" | "disk_low";
  /** Its value over the one at which producers pause. */
  readonly level: number;
}

/** Beyond it a figure says nothing more. */
const levelMax = 1000;
/** No number of checkpoints pauses producers. */
const checkpointLevelMax = 0.95;
/** Connections in use from which it is counted. */
const connectionsFreeFrom = 0.8;

/** When checkpoints were requested, from counts that only grow. */
export class CheckpointPace {
  #count: number | undefined;
  #atMs = 0;
  #intervalMs = Number.POSITIVE_INFINITY;

  /** Milliseconds between the last two requested checkpoints, or since the last where that is longer. */
  seen(count: number, nowMs: number): number {
    if (this.#count === undefined || count < this.#count) this.#intervalMs = Number.POSITIVE_INFINITY;
    else if (count > this.#count) {
      if (this.#atMs > 0) this.#intervalMs = (nowMs - this.#atMs) / (count - this.#count);
      this.#atMs = nowMs;
    }
    this.#count = count;
    return this.#atMs === 0 ? this.#intervalMs : Math.max(this.#intervalMs, nowMs - this.#atMs);
  }
}

/** What the server suffers from most, or undefined if from nothing. */
export function serverStrain(
  signals: ServerSignals,
  checkpointIntervalMs: number,
  disk: DiskLeft | undefined,
  bounds: StrainBounds,
): Strain | undefined {
  const { connections, connectionsMax, checkpointWarningMs } = signals;
  const strains: Strain[] = [
    { name: "replication_lag", level: signals.replicationLagBytes / bounds.replicationLagBytesMax },
    { name: "lock_wait", level: signals.lockWaitMs / bounds.lockWaitMsMax },
    { name: "connections", level: (connections / connectionsMax - connectionsFreeFrom) / (1 - connectionsFreeFrom) },
    {
      name: "checkpoints_frequent",
      level: Math.min(checkpointLevelMax, (pressureBounds.throttleAtRatio * checkpointWarningMs) / checkpointIntervalMs),
    },
    { name: "disk_low", level: disk === undefined ? 0 : disk.floorBytes / Math.max(1, disk.freeBytes) },
  ];
  const worst = strains.reduce((most, strain) => (strain.level > most.level ? strain : most));
  // Below this a gateway that has throttled opens again.
  return worst.level < pressureBounds.openBelowRatio ? undefined : { name: worst.name, level: Math.min(worst.level, levelMax) };
}
