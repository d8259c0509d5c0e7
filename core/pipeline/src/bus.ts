/**
 * The bus port: what a frame log and its consumer groups promise, whatever stands underneath.
 *
 * Why it exists. Everything between a producer's receipt and a stored row hangs on one log. The gate, the engine and the
 * simulation are written against this page alone, and an adapter is right when it passes `busContract` and keeps what follows.
 *
 * What it enforces (an adapter must keep every line):
 *
 *  Order and positions
 *  - A partition is a sequence of entries with offsets 1, 2, 3 … without holes. An entry becomes visible only after every entry
 *    before it, and never changes or disappears afterwards, except from the low end by `trim`.
 *  - `receivedUs` is stamped by the bus at the append and never runs backwards within a partition. Several entries may share it.
 *  - A `Position` names one entry: bus generation, partition, offset, received time and the entry's frame hash. `null` means
 *    "before the first entry that is kept".
 *
 *  Append if next
 *  - The verdicts are those of `append_machine.ts`; no adapter adds rules of its own. Frames of one call are judged in order, each on
 *    the head that the ones before it have left. Two calls that race for one producer are serialised: exactly one is accepted.
 *  - One call is one durable transaction: `accepted` and `duplicate` are answered only after everything they state would survive
 *    a power cut (as far as the adapter's durability level reaches, R-5). A duplicate waits for the same barrier as a first append.
 *  - An entry keeps which gate took it and which life of that gate; a `duplicate` says so. It is told beside the verdict and never changes one.
 *  - An append whose answer is lost (BUS_OUTCOME_UNKNOWN) may or may not have happened. Appending the same frames again settles
 *    it: what had been stored comes back as `duplicate`, the rest as `accepted`. The port never retries by itself.
 *  - A frame of a producer in the revoked set, or a call that carries a registry version older than the bus requires, is not
 *    stored. Nothing about state or time ever refuses a frame: while the bus cannot take frames it answers `paused`.
 *  - A partition belongs to (producer, epoch) and stands in the head. A frame sent to another one is answered `misrouted`.
 *
 *  Epochs
 *  - `openEpoch` seals the current epoch and opens the next in one step. After it no frame of an older epoch is accepted.
 *  - The chain of a producer is one chain through all its epochs, and `prev` always names its last accepted frame: an epoch sealed
 *    without a frame leaves no trace, so `prev.epoch` may lie further back than `epoch - 1` (0, 0, zeros before the first frame ever).
 *    Whoever signs anew after an opening signs what comes after (prev.epoch, prev.seq): all of a newer epoch. A head with `seq` 0 has
 *    accepted no frame in its epoch yet; its `hash` equals `prevHash`.
 *
 *  Reading
 *  - `read` returns entries directly after a position, dense, payload hash checked: the bytes are those that were appended, or an error.
 *  - A hole, a payload that does not match its hash and a position whose entry has changed are errors of disposition `fatal`:
 *    the partition stops until somebody has looked. They are never skipped.
 *
 *  Groups
 *  - A (group, partition) has at most one valid fencing token. It grows at every change of owner, at release and at rewind; a commit
 *    with any other token changes nothing and is answered `fenced`. Whether a lease has expired is decided by the bus's clock.
 *  - A lease is never a reason to believe anything; only a successful commit is.
 *
 * What it forbids: pushing to consumers (they pull), unbounded results, verdicts as exceptions, and any way to change an entry.
 *
 * Times are integer microseconds since 1970, seqs, epochs and offsets safe integers, ids lower-case canonical uuids, hashes 32 bytes.
 */

export type ProducerKind = "dpi" | "linux" | "windows" | "honeypot";
export type FrameKind = "events" | "gap";

/** The signed facts of one frame, decoded from its header; the bus judges by these and never parses the header. */
export interface FrameLink {
  readonly producer: string;
  /** First 8 bytes of the SHA-256 of the batch key, 16 lower-case hex digits. */
  readonly keyId: string;
  readonly kind: FrameKind;
  readonly codec: number;
  readonly schemaVersion: number;
  readonly mappingVersion: number;
  readonly epoch: number;
  /** The frame covers seqs firstSeq … firstSeq + count - 1; seqs of an epoch begin at 1. */
  readonly firstSeq: number;
  readonly count: number;
  /** The producer's own cumulative counter of seqs offered in this epoch. */
  readonly offered: number;
  readonly prevEpoch: number;
  readonly prevSeq: number;
  readonly prevHash: Buffer;
  /** SHA-256 of the payload. */
  readonly payloadHash: Buffer;
  /** SHA-256 of the header bytes: this frame's link in the chain, and its identity. */
  readonly hash: Buffer;
}

/** One frame as the gate hands it over: already authenticated, verified and parsed; header and payload byte for byte as signed. */
export interface FrameAppend {
  readonly link: FrameLink;
  /** From the certificate, never from the payload; chooses the event table. */
  readonly producerKind: ProducerKind;
  readonly header: Buffer;
  readonly signature: Buffer;
  readonly payload: Buffer;
  /** Line offsets and codes of invalid lines, so that the engine need not validate again. */
  readonly verdicts: Buffer;
}

/** One entry of the log, named so that a rewritten history is noticed. `receivedUs` lets an adapter go straight to its day. */
export interface Position {
  readonly generation: string;
  readonly part: number;
  readonly off: number;
  readonly receivedUs: number;
  readonly hash: Buffer;
}

/**
 * How far a producer's chain has come.
 * `prev*` is the chain's end when `epoch` opened: what the first frame of `epoch` must sign. `stored*` is how far the sink has come
 * (0, 0 before the first row); it is advisory, may lag, and never decides a verdict.
 */
export interface ProducerHead {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
  readonly part: number;
  readonly prevEpoch: number;
  readonly prevSeq: number;
  readonly prevHash: Buffer;
  readonly storedEpoch: number;
  readonly storedSeq: number;
}

/** Who took a frame into the log: a gate, and which life of it. */
export interface FrameAccepter {
  readonly gateway: string;
  /** Uuid of the process; null for an entry from before the log kept it, which no process that runs now has taken. */
  readonly incarnation: string | null;
}

/** `head` is always the true head at the moment of the verdict; for a producer that has never opened an epoch: 0, 0, zeros, part -1. */
export type AppendOutcome =
  | { readonly kind: "accepted"; readonly position: Position; readonly receivedUs: number; readonly head: ProducerHead }
  /**
   * Already in the log with this very hash, and `acceptedBy` says who took it; or so old that retention has removed it and with it who took
   * it (null). Either way its seqs are covered by `head`.
   */
  | { readonly kind: "duplicate"; readonly head: ProducerHead; readonly acceptedBy: FrameAccepter | null }
  /** Ahead of the head, or of an epoch that has not been opened here: send again from the head. */
  | { readonly kind: "gap"; readonly head: ProducerHead }
  /** Of an epoch that has been sealed, and not in the log. */
  | { readonly kind: "fenced"; readonly head: ProducerHead }
  /** The producer has signed another history than the one it had signed before: refused and alarmed. */
  | { readonly kind: "equivocation"; readonly head: ProducerHead }
  /** Would be next, but lives in `head.part`: append it there. */
  | { readonly kind: "misrouted"; readonly head: ProducerHead }
  | { readonly kind: "revoked" }
  /** The caller's registry version is older than the bus requires: refresh, then append again. */
  | { readonly kind: "stale_registry" }
  | { readonly kind: "paused"; readonly reason: string; readonly retryAfterMs: number };

export interface AppendOptions {
  /** Id of the gate, kept with the entry. */
  readonly gateway: string;
  /** Uuid of the gate's process, kept with the entry: what a restart accepts is told from what was accepted before it. */
  readonly incarnation: string;
  /** Version of the registry snapshot by which these frames were admitted. */
  readonly registryVersion: number;
}

export interface OpenEpochRequest {
  readonly producer: string;
  /** The epoch that the caller believes to be current; 0 for a producer that has never opened one. */
  readonly expectedEpoch: number;
  readonly keyId: string;
  readonly registryVersion: number;
}

/** The last accepted frame of a producer's chain when an epoch opens: what the new epoch's first frame must sign. */
export interface EpochEnd {
  readonly epoch: number;
  readonly seq: number;
  readonly hash: Buffer;
}

export type OpenEpochOutcome =
  | { readonly kind: "opened"; readonly epoch: number; readonly prev: EpochEnd; readonly part: number }
  | { readonly kind: "conflict"; readonly head: ProducerHead }
  /** Too many openings in a day: the producer is a suspected clone and an operator decides. */
  | { readonly kind: "limited"; readonly retryAfterMs: number }
  | { readonly kind: "revoked" }
  | { readonly kind: "stale_registry" };

export interface BusPressure {
  /** Why the bus takes no frames now (`disk_floor`, `day_missing`, `not_durable`, `full`, an operator's word), or null. */
  readonly paused: string | null;
  readonly retryAfterMs: number;
  /** Entries that the slowest group has not committed yet, over all partitions; 0 while there is no group. */
  readonly backlogEntries: number;
  /** Age of the oldest of them, in milliseconds. */
  readonly backlogMs: number;
  /** What the server suffers from by its own word, and its value over the one at which producers pause; null while it suffers from nothing. */
  readonly strain: { readonly name: string; readonly level: number } | null;
  /** Bytes of frames that this gate may have in appends at once, counted from the question on for `leaseMs`. */
  readonly inFlightBytesMax: number;
  readonly leaseMs: number;
}

/** A gate's question about pressure: who it is, and how much of the in-flight budget it could use. */
export interface PressureQuestion {
  readonly gateway: string;
  /** Uuid of the process: a restart is a new incarnation, and the old one's lease runs out. */
  readonly incarnation: string;
  readonly wantBytes: number;
}

/** A producer that a gate refuses for a while, with the code of its last offence; microseconds since 1970. */
export interface QuarantinedProducer {
  readonly producer: string;
  readonly code: string;
  readonly sinceUs: number;
  readonly untilUs: number;
}

/** What one gate process tells of itself. Counters only grow; an incarnation without `ended` has ended uncleanly. */
export interface GateReport {
  readonly gateway: string;
  /** Uuid of the process: a restart is a new incarnation. */
  readonly incarnation: string;
  readonly startedUs: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly state: "open" | "throttled" | "paused";
  /** Why it is not open; empty when it is. */
  readonly reason: string;
  readonly sessions: number;
  /** The whole list. */
  readonly quarantined: readonly QuarantinedProducer[];
  /** True in the last call of a process that ends cleanly. */
  readonly ended: boolean;
}

interface BusFacts {
  /** Uuid of this history; another one means that every known position is void. */
  readonly generation: string;
  /** Partitions that new epochs are spread over. */
  readonly partitions: number;
}

/** What a gate may do. */
export interface FrameAppender extends BusFacts {
  /**
   * Appends each frame that is next. One durable transaction; outcomes in the order of the frames.
   * Throws BusError: BUS_OUTCOME_UNKNOWN, BUS_UNAVAILABLE, BUS_BAD_ARGUMENT, BUS_FORBIDDEN, BUS_CLOSED.
   */
  append(part: number, frames: readonly FrameAppend[], options: AppendOptions): Promise<AppendOutcome[]>;
  /** Seals the current epoch and opens the next. An answer that is lost shows as `conflict` with a head of expectedEpoch + 1, seq 0. */
  openEpoch(request: OpenEpochRequest): Promise<OpenEpochOutcome>;
  /** Heads of those producers that have one. */
  headsOf(producers: readonly string[]): Promise<Map<string, ProducerHead>>;
  pressure(question: PressureQuestion): Promise<BusPressure>;
  report(report: GateReport): Promise<void>;
  close(): Promise<void>;
}

export interface PartitionTail {
  readonly part: number;
  /** Offset of the last visible entry, 0 while there is none. */
  readonly off: number;
  readonly receivedUs: number;
}

export interface ReadOptions {
  readonly framesMax: number;
  /** Bound on header + payload bytes; the first entry is returned whatever its size, so that a reader always gets on. */
  readonly bytesMax: number;
}

export interface BusEntry {
  readonly position: Position;
  readonly receivedUs: number;
  readonly producerKind: ProducerKind;
  /** Who took it in. */
  readonly gateway: string;
  readonly incarnation: string | null;
  readonly link: FrameLink;
  readonly header: Buffer;
  readonly signature: Buffer;
  readonly payload: Buffer;
  readonly verdicts: Buffer;
}

/** What a consumer may do with the log. */
export interface FrameReader extends BusFacts {
  /** Ends of all partitions: one cheap question, meant to be asked every few milliseconds. */
  tails(): Promise<PartitionTail[]>;
  /**
   * Entries directly after a position, oldest first; empty at the end of the partition.
   * Throws BUS_HOLE, BUS_CORRUPT, BUS_HISTORY_DIVERGED (another generation, or behind the end), BUS_TRIMMED, BUS_UNAVAILABLE.
   */
  read(part: number, after: Position | null, options: ReadOptions): Promise<BusEntry[]>;
  /** Whether the log still has, at this position, the entry that the reader has worked on. Ask before reading on after a start. */
  checkPosition(position: Position): Promise<"same" | "diverged" | "trimmed">;
  /** The last entry received strictly before a time (or the low mark): `read` from there replays from that time. */
  seek(part: number, receivedUs: number): Promise<Position | null>;
  close(): Promise<void>;
}

export interface FrameLog extends FrameAppender, FrameReader {}

/** One partition, owned by one member until the bus's clock passes the lease; `token` fences every write made under it. */
export interface Lease {
  readonly group: string;
  readonly member: string;
  readonly part: number;
  readonly token: number;
  /** Where the group stood when the lease was given or renewed. A new group begins at the low mark; null: before the first entry ever. */
  readonly position: Position | null;
}

export interface AcquireOptions {
  readonly leaseMs: number;
  /** How many partitions this member wants at most, those it holds included. */
  readonly partsMax: number;
  /** What the caller still works under; nothing, for a process that has just started. */
  readonly held: readonly Lease[];
}

export interface GroupLag {
  readonly part: number;
  readonly off: number;
  readonly tail: number;
  readonly entries: number;
}

export interface Groups {
  /**
   * Announces the member and takes free or expired partitions, up to its fair share (partitions / live members, rounded up).
   * Returns the newly taken ones only. A member name belongs to one process at a time: a lease under it that the caller does not hold is
   * a dead predecessor's, or was taken by an answer that was lost, and is taken at once under a new token, which fences whoever had it.
   */
  acquire(group: string, member: string, options: AcquireOptions): Promise<Lease[]>;
  /**
   * Prolongs the leases that are still this member's and returns them, with fresh positions; the others are lost. What a member holds
   * beyond its fair share is given up here, so that newcomers get theirs: a partition missing in the answer must be let go.
   */
  renew(leases: readonly Lease[], leaseMs: number): Promise<Lease[]>;
  /** Gives leases back: their tokens are void at once and the partitions free. */
  release(leases: readonly Lease[]): Promise<void>;
  /** Moves the group's position forward (never backward). An engine moves the same row itself, inside its row transaction. */
  commit(lease: Lease, position: Position): Promise<"committed" | "fenced">;
  lag(group: string): Promise<GroupLag[]>;
}

/** What registry and keeper may do; no gate and no consumer has it. */
export interface BusControl {
  /**
   * Replaces the revoked set and raises the least registry version that appends must carry. Raise it for changes that take
   * rights away; an enrolment needs none. A version below the current one is refused: resolves to false and changes nothing.
   */
  setRegistry(state: { readonly versionMin: number; readonly revoked: readonly string[] }): Promise<boolean>;
  /** Answers every append `paused` with this reason; null opens again. */
  pause(reason: string | null): Promise<void>;
  /**
   * Moves the low end up to `off` or to what the slowest group has committed, whichever is lower, and returns the offset up to which
   * entries may now be removed. Where the log is the archive (PostgreSQL) this is a mark and only retention deletes.
   */
  trim(part: number, off: number): Promise<number>;
  /** Sets a group back (or forward) and voids the current token. `null`: to the low mark, where the first kept entry follows. */
  rewind(group: string, part: number, position: Position | null): Promise<void>;
}

/** Up to where the sink has a producer's frames. */
export interface StoredHead {
  readonly producer: string;
  readonly epoch: number;
  readonly seq: number;
}

/** Where rows are kept apart from the log: what the engine tells the log of its progress, after it has become durable. */
export interface StoredProgress {
  /** Nothing ever goes back by it, so it may be told again, late, or in another order. */
  noteStored(group: string, positions: readonly Position[], heads: readonly StoredHead[]): Promise<void>;
}

export type Bus = FrameLog & Groups;
