/**
 * Why it exists: message streams in memory, for tests and simulation: the delivery machine and nothing else.
 * Enforces: the port's guarantees short of durability; deterministic: time only from the clock that was injected, no timers.
 * Forbids: use in production. What it holds is gone with the process.
 */
import type { Clock } from "ransomeye-kernel";
import { BusError } from "../errors.ts";
import {
  at,
  type ByPriority,
  currentDelivery,
  extend,
  type GroupState,
  type LogEnds,
  newGroup,
  nextDueUs,
  nextStep,
  replaced,
  settle,
  settledUpTo,
} from "./delivery_machine.ts";
import { jsonBytes, type Message, type MessagePriority, priorities, StreamName } from "./message.ts";
import type {
  Delivery,
  DeliveryRef,
  GroupStart,
  GroupStatus,
  MessageLog,
  MissingEntries,
  PublishOutcome,
  SettleOutcome,
  Settlement,
  StoredMessage,
  Taken,
  TakeOptions,
} from "./port.ts";
import {
  boundsAfterTrim,
  type MessageLogOptions,
  messageLogDefaults,
  publishBounds,
  settledBounds,
  type StreamBounds,
} from "./settings.ts";

interface Entry extends StoredMessage {
  readonly bytes: number;
}

interface Log {
  /** Entries low + 1 …. */
  entries: Entry[];
  low: number;
}

interface Group {
  state: GroupState;
  seenUs: number;
  quarantined: boolean;
}

interface Stream {
  readonly logs: ByPriority<Log>;
  readonly ids: Set<string>;
  bytes: number;
  readonly groups: Map<string, Group>;
}

const retryAfterMs = 1000;

/** What only tests need. */
export interface MemoryMessages extends MessageLog {
  /** Removes entries as somebody with a client of his own would. */
  removeByHand(stream: StreamName, priority: MessagePriority, upToOff: number): void;
}

export function openMemoryMessages(options: Partial<MessageLogOptions> & { readonly clock: Clock }): MemoryMessages {
  return new Messages({ ...messageLogDefaults, ...options });
}

class Messages implements MemoryMessages {
  readonly streams: readonly StreamName[] = Object.values(StreamName);
  readonly takesInOrder = true;
  readonly #o: MessageLogOptions & { readonly clock: Clock };
  readonly #streams = new Map<StreamName, Stream>();

  constructor(options: MessageLogOptions & { readonly clock: Clock }) {
    this.#o = options;
    const log = (): Log => ({ entries: [], low: 0 });
    for (const name of this.streams)
      this.#streams.set(name, { logs: [log(), log(), log(), log()], ids: new Set(), bytes: 0, groups: new Map() });
  }

  async publish(messages: readonly Message[]): Promise<PublishOutcome[]> {
    return messages.map((message) => this.#publishOne(message));
  }

  #publishOne(message: Message): PublishOutcome {
    const stream = this.#stream(message.stream);
    if (stream.ids.has(message.message_id)) return { kind: "duplicate" };
    const { entries, bytes } = publishBounds(this.#o);
    const isFull = (): boolean => entriesOf(stream) >= entries || stream.bytes >= bytes;
    if (isFull()) this.#trim(stream, boundsAfterTrim(this.#o));
    if (isFull()) return { kind: "full", retryAfterMs };
    const log = at(stream.logs, message.priority);
    const off = tailOf(log) + 1;
    const publishedUs = Math.max(this.#o.clock.nowUs(), log.entries.at(-1)?.publishedUs ?? 0);
    const entry = { off, publishedUs, message, bytes: jsonBytes(message) };
    log.entries.push(entry);
    stream.bytes += entry.bytes;
    stream.ids.add(message.message_id);
    return { kind: "published", off };
  }

  async createGroup(name: StreamName, group: string, start: GroupStart): Promise<void> {
    this.#group(this.#stream(name), group, start);
  }

  async take(name: StreamName, groupName: string, member: string, { max, leaseMs }: TakeOptions): Promise<Taken> {
    const stream = this.#stream(name);
    const group = this.#group(stream, groupName, "beginning");
    const nowUs = this.#o.clock.nowUs();
    group.seenUs = nowUs;
    group.quarantined = false;
    const deliveries: Delivery[] = [];
    const missing: MissingEntries[] = [];
    while (deliveries.length < max) {
      const next = nextStep(group.state, endsOf(stream), { member, nowUs, leaseUs: leaseMs * 1000 });
      if (next === undefined) break;
      group.state = next.state;
      if (next.step.kind === "missing") {
        missing.push(next.step);
        continue;
      }
      const { pending, exhausted } = next.step;
      const { priority, off, token, deliveries: count, failures } = pending;
      const entry = entryAt(at(stream.logs, priority), off);
      if (entry === undefined) {
        group.state = { ...settle(group.state, pending, { kind: "done" }, nowUs), missing: group.state.missing + 1 };
        missing.push({ priority, fromOff: off, toOff: off });
        continue;
      }
      const message = { ...entry.message, retry_count: failures.length };
      deliveries.push({ stream: name, group: groupName, priority, off, token, message, deliveries: count, failures, exhausted });
    }
    const dueUs = nextDueUs(group.state, nowUs);
    return { deliveries, missing, nextDueMs: dueUs === undefined ? null : Math.ceil(dueUs / 1000) };
  }

  async extend(refs: readonly DeliveryRef[], leaseMs: number): Promise<DeliveryRef[]> {
    return refs.filter((ref) => {
      const group = this.#stream(ref.stream).groups.get(ref.group);
      const delivery = group === undefined ? undefined : currentDelivery(group.state, ref);
      if (group === undefined || delivery === undefined) return false;
      group.state = extend(group.state, delivery, this.#o.clock.nowUs() + leaseMs * 1000);
      return true;
    });
  }

  async settle(ref: DeliveryRef, settlement: Settlement): Promise<SettleOutcome> {
    const group = this.#stream(ref.stream).groups.get(ref.group);
    const delivery = group === undefined ? undefined : currentDelivery(group.state, ref);
    if (group === undefined || delivery === undefined) return "fenced";
    group.state = settle(group.state, delivery, settlement, this.#o.clock.nowUs());
    return "settled";
  }

  async bury(ref: DeliveryRef, deadLetter: Message): Promise<SettleOutcome | "full"> {
    const group = this.#stream(ref.stream).groups.get(ref.group);
    const delivery = group === undefined ? undefined : currentDelivery(group.state, ref);
    if (group === undefined || delivery === undefined) return "fenced";
    if (this.#publishOne(deadLetter).kind === "full") return "full";
    group.state = settle(group.state, delivery, { kind: "done" }, this.#o.clock.nowUs());
    return "settled";
  }

  async groups(name: StreamName): Promise<GroupStatus[]> {
    const stream = this.#stream(name);
    const { tail } = endsOf(stream);
    return [...stream.groups].map(([group, { state, seenUs, quarantined }]) => ({
      stream: name,
      group,
      waiting: state.places.map((place, index) => (tail[index] as number) - place) as unknown as ByPriority<number>,
      pending: state.pending.length,
      missing: state.missing,
      seenUs,
      quarantined,
    }));
  }

  async rewind(name: StreamName, groupName: string, publishedUs: number): Promise<void> {
    const stream = this.#stream(name);
    const group = this.#group(stream, groupName, "beginning");
    const places = stream.logs.map(({ entries, low }) => {
      const first = entries.findIndex((entry) => entry.publishedUs >= publishedUs);
      return low + (first < 0 ? entries.length : first);
    }) as unknown as ByPriority<number>;
    group.state = { ...group.state, places, pending: [], token: group.state.token + 1 };
  }

  async read(name: StreamName, priority: MessagePriority, afterOff: number, max: number): Promise<StoredMessage[]> {
    const { entries, low } = at(this.#stream(name).logs, priority);
    const from = Math.max(0, afterOff - low);
    return entries.slice(from, from + max).map(({ off, publishedUs, message }) => ({ off, publishedUs, message }));
  }

  async trim(name: StreamName): Promise<number> {
    return this.#trim(this.#stream(name), settledBounds(this.#o));
  }

  async close(): Promise<void> {
    // Nothing is open.
  }

  removeByHand(name: StreamName, priority: MessagePriority, upToOff: number): void {
    removeUpTo(this.#stream(name), priority, upToOff);
  }

  /** Removes the oldest of what everybody has settled, the least urgent first, as long as it is too old or more than `left` is there. */
  #trim(stream: Stream, left: StreamBounds): number {
    const nowUs = this.#o.clock.nowUs();
    for (const group of stream.groups.values()) if (nowUs - group.seenUs > this.#o.groupDeadMs * 1000) group.quarantined = true;
    const living = [...stream.groups.values()].filter(({ quarantined }) => !quarantined);
    let removed = 0;
    for (const priority of priorities.toReversed()) {
      const log = at(stream.logs, priority);
      const settled = Math.min(tailOf(log), ...living.map(({ state }) => settledUpTo(state, priority)));
      let [upTo, bytes] = [log.low, stream.bytes];
      const isBeyond = ({ publishedUs }: Entry): boolean =>
        entriesOf(stream) - (upTo - log.low) > left.entries || bytes > left.bytes || nowUs - publishedUs > this.#o.keepMsMax * 1000;
      for (let next = entryAt(log, upTo + 1); next !== undefined && upTo < settled && isBeyond(next); next = entryAt(log, upTo + 1)) {
        upTo += 1;
        bytes -= next.bytes;
      }
      removed += upTo - log.low;
      removeUpTo(stream, priority, upTo);
    }
    return removed;
  }

  #stream(name: StreamName): Stream {
    const stream = this.#streams.get(name);
    if (stream === undefined) throw new BusError("BUS_BAD_ARGUMENT", "no such stream", { fields: { stream: name } });
    return stream;
  }

  #group(stream: Stream, name: string, start: GroupStart): Group {
    const known = stream.groups.get(name);
    if (known !== undefined) return known;
    const { low, tail } = endsOf(stream);
    const group = { state: newGroup(start === "end" ? tail : low), seenUs: this.#o.clock.nowUs(), quarantined: false };
    stream.groups.set(name, group);
    return group;
  }
}

function tailOf({ entries, low }: Log): number {
  return low + entries.length;
}

function entryAt({ entries, low }: Log, off: number): Entry | undefined {
  return entries[off - low - 1];
}

function entriesOf({ logs }: Stream): number {
  return logs.reduce((sum, { entries }) => sum + entries.length, 0);
}

function endsOf({ logs }: Stream): LogEnds {
  let [low, tail]: [ByPriority<number>, ByPriority<number>] = [
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ];
  for (const priority of priorities) {
    low = replaced(low, priority, at(logs, priority).low);
    tail = replaced(tail, priority, tailOf(at(logs, priority)));
  }
  return { low, tail };
}

function removeUpTo(stream: Stream, priority: MessagePriority, upToOff: number): void {
  const log = at(stream.logs, priority);
  const gone = log.entries.splice(0, Math.max(0, upToOff - log.low));
  log.low += gone.length;
  for (const { message, bytes } of gone) {
    stream.ids.delete(message.message_id);
    stream.bytes -= bytes;
  }
}
