/**
 * Why: the gate holds no credential of its own; what it knows about producers reaches it through a port that `cli` wires (architecture
 *   part 2). The other port, where frames go, is the bus's `FrameAppender`.
 * Enforces: the shape of the producer directory.
 * Forbids: I/O in a port that a heart calls: `lookup` answers from memory.
 */
import type { ProducerKind } from "ransomeye-pipeline";

/** Whether a producer may speak. Anything but `active` closes its stream at once. */
export type ProducerStatus = "active" | "suspended" | "revoked";

/** One batch key. From `retiredUs` on, frames signed with it are refused; before, old and new key overlap. */
export interface DirectoryKey {
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Buffer;
  /** Microseconds since 1970; absent while the key is in use. */
  readonly retiredUs?: number;
}

/** What the registry says about one certificate. */
export interface DirectoryCertificate {
  readonly revoked: boolean;
}

/** What the registry says about one producer. */
export interface DirectoryEntry {
  readonly producer: string;
  readonly kind: ProducerKind;
  readonly status: ProducerStatus;
  /** Batch keys by key id (16 hex digits). */
  readonly keys: ReadonlyMap<string, DirectoryKey>;
  /**
   * Certificates by SHA-256 fingerprint (64 hex digits, lower case). When present it is the whole list: a certificate that is not on it
   * is refused. Absent means that the registry does not track certificates.
   */
  readonly certificates?: ReadonlyMap<string, DirectoryCertificate>;
}

/** What changed: the producers named, or everything (a new snapshot). */
export interface DirectoryChange {
  readonly version: number;
  readonly producers: readonly string[] | "all";
}

/** A sign that two machines use one identity. */
export interface CloneSuspicion {
  readonly producer: string;
  readonly evidence: "address_flapping" | "epoch_fenced" | "epochs_limited" | "sequence_conflict";
  /** For an operator; at most 500 characters. */
  readonly detail: string;
}

/** The registry as a gate sees it: a versioned snapshot in memory, kept fresh by a heartbeat. */
export interface ProducerDirectory {
  /** Version of the snapshot; goes with every append, never runs backwards. */
  readonly version: number;
  /** Milliseconds since the registry was last heard; Infinity before the first snapshot. */
  ageMs(): number;
  lookup(producer: string): DirectoryEntry | undefined;
  /** Calls `listener` after each change has been applied; returns the function that stops it. */
  onChange(listener: (change: DirectoryChange) => void): () => void;
  /** Tells the registry what an operator should see; it may be lost, and changes nothing by itself. */
  suspect?(suspicion: CloneSuspicion): void;
}
