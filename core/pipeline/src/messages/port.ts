/**
 * The message port: what streams of messages and the groups that share them promise, whatever stands underneath.
 *
 * Why it exists. Consumers that know nothing of one another share streams: within a group each message is one member's, a member that dies leaves its
 * messages to the others, a message that kills whoever takes it ends in the dead letters. The port says exactly when.
 *
 * What it enforces (an adapter must keep every line):
 *
 *  Streams
 *  - A stream is four logs, one for each priority, with offsets 1, 2, 3 … without holes. An entry never changes; it disappears only from the low end, by `trim`.
 *  - `publish` is one durable step for each message. A `message_id` that the stream still holds is `duplicate` and stored once. A stream at its bound that
 *    cannot be trimmed answers `full` and takes nothing: what a live group has not read is never dropped for room (R-26).
 *
 *  Groups (the verdicts are those of delivery_machine.ts; no adapter adds rules of its own)
 *  - A group has a place in each of the four logs and a list of what it has handed out and not settled.
 *  - `take` counts the delivery before it answers (a message that kills its consumer has been counted), gives a token that no earlier delivery had, and
 *    keeps the message from everybody else in the group until the lease ends. A lease that ends without an answer is a failure like one that was told.
 *  - Of what is due, the most urgent goes first; but of 64 deliveries the first goes to the lowest priority, four to the second lowest and eight to the next, where they wait.
 *    Within a priority what is due again goes before what is new, and new ones go in the order of the log.
 *  - `settle` with a token that is not the current one changes nothing and is `fenced`: a member that slept past its lease cannot undo what its successor did.
 *  - A message that has been delivered `deliveriesMax` times and is due again is handed out once more as `exhausted`: to be buried, not handled.
 *  - `bury` puts the dead letter into its stream and settles the message in one step.
 *  - Entries that are gone before a group had them (somebody removed them by hand) are told as `missing`, counted, and never skipped in silence.
 *
 * What it forbids: pushing to consumers (they pull), blocking, and expiring a lease by any clock but the servers'.
 */
import type { Message, MessagePriority, StreamName } from "./message.ts";

export type PublishOutcome =
  | { readonly kind: "published"; readonly off: number }
  | { readonly kind: "duplicate" }
  /** At its bound, and groups or the archive have yet to read what could make room. */
  | { readonly kind: "full"; readonly retryAfterMs: number };

/** One failed delivery. */
export interface Failure {
  /** Microseconds since 1970, by the servers' clock. */
  readonly atUs: number;
  readonly member: string;
  readonly reason: string;
}

/** Names one delivery of one message to one group; void as soon as the message is delivered again or settled. */
export interface DeliveryRef {
  readonly stream: StreamName;
  readonly group: string;
  readonly priority: MessagePriority;
  readonly off: number;
  readonly token: number;
}

export interface Delivery extends DeliveryRef {
  /** `retry_count` is what this group has failed at so far. */
  readonly message: Message;
  /** This one included. */
  readonly deliveries: number;
  readonly failures: readonly Failure[];
  /** It has been delivered as often as it may: bury it. */
  readonly exhausted: boolean;
}

/** Entries that are gone and that this group never had. */
export interface MissingEntries {
  readonly priority: MessagePriority;
  readonly fromOff: number;
  readonly toOff: number;
}

export interface Taken {
  readonly deliveries: readonly Delivery[];
  readonly missing: readonly MissingEntries[];
  /** When the next message of this group becomes due by itself (a back-off or a lease ends); null: only when something is published. */
  readonly nextDueMs: number | null;
}

export interface TakeOptions {
  readonly max: number;
  readonly leaseMs: number;
}

/** How a delivery ended. */
export type Settlement =
  | { readonly kind: "done" }
  /** It failed; due again after `delayMs`. */
  | { readonly kind: "retry"; readonly reason: string; readonly delayMs: number }
  /** Nobody has begun to handle it: for somebody else to take at once, and not counted as a delivery. */
  | { readonly kind: "release" };

export type SettleOutcome = "settled" | "fenced";

/** A group of one stream. */
export interface GroupStatus {
  readonly stream: StreamName;
  readonly group: string;
  /** Entries behind its places, by priority 1 to 4: published and not yet handed out. */
  readonly waiting: readonly [number, number, number, number];
  /** Handed out or in back-off. */
  readonly pending: number;
  /** Entries that were gone before it had them. */
  readonly missing: number;
  /** Microseconds since 1970 of its last `take`. */
  readonly seenUs: number;
  /** It was dead for too long: nobody waits for it any more, its places are kept. */
  readonly quarantined: boolean;
}

/** Where a new group begins. */
export type GroupStart = "beginning" | "end";

export interface StoredMessage {
  readonly off: number;
  readonly publishedUs: number;
  readonly message: Message;
}

export interface MessageLog {
  /** Streams that exist. */
  readonly streams: readonly StreamName[];
  /** Takes of one member that are under way side by side are carried out, and answered, in the order in which they were asked for. */
  readonly takesInOrder: boolean;
  publish(messages: readonly Message[]): Promise<PublishOutcome[]>;
  /** Makes the group, if it is not there. */
  createGroup(stream: StreamName, group: string, start: GroupStart): Promise<void>;
  /** Up to `max` messages that are this member's until the lease ends. The group is made where it is missing, at the beginning. */
  take(stream: StreamName, group: string, member: string, options: TakeOptions): Promise<Taken>;
  /** Prolongs leases; gives those of the same objects that are still in force. */
  extend(deliveries: readonly DeliveryRef[], leaseMs: number): Promise<DeliveryRef[]>;
  settle(delivery: DeliveryRef, settlement: Settlement): Promise<SettleOutcome>;
  /** Puts the dead letter into its stream and settles the delivery in one step. */
  bury(delivery: DeliveryRef, deadLetter: Message): Promise<SettleOutcome | "full">;
  groups(stream: StreamName): Promise<GroupStatus[]>;
  /** Sets a group's places back (or forward) to the first entries published at or after a time; what it had handed out is forgotten and its tokens are void. */
  rewind(stream: StreamName, group: string, publishedUs: number): Promise<void>;
  /** Entries of one priority directly after an offset, for replay; nobody's place moves. */
  read(stream: StreamName, priority: MessagePriority, afterOff: number, max: number): Promise<StoredMessage[]>;
  /** Removes what every group that is not quarantined has settled, beyond the stream's bounds; gives the number of entries removed. */
  trim(stream: StreamName): Promise<number>;
  close(): Promise<void>;
}
