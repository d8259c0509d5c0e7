/**
 * Why it exists: message streams on Redis or Valkey.
 * Enforces: every step of the port is one script on one server (messages.lua and those that it precedes), behind the durability that was asked for.
 * Forbids: deciding here; and the server's own consumer groups, which know no priorities, no dead letters and no order of retries.
 */
import { jsonOf, type Message, type MessagePriority, StreamName } from "../messages/message.ts";
import type {
  DeliveryRef,
  GroupStart,
  GroupStatus,
  MessageLog,
  PublishOutcome,
  SettleOutcome,
  Settlement,
  StoredMessage,
  Taken,
  TakeOptions,
} from "../messages/port.ts";
import { Gathering } from "../messages/gathering.ts";
import {
  boundsAfterTrim,
  boundsLeftHot,
  type MessageLogOptions,
  publishBounds,
  settledBounds,
  type StreamBounds,
} from "../messages/settings.ts";
import type { MessageArchive } from "../messages/archive.ts";
import type { ByPriority } from "../messages/delivery_machine.ts";
import { BusError } from "../errors.ts";
import type { Argument, Call } from "./link.ts";
import type { MessageKeys } from "./message_keys.ts";
import { Publishing } from "./publishing.ts";
import { decodeGroup, decodeStored } from "./message_replies.ts";
import { type ArchiveKnows, type Archiver, readArchiveState } from "./archiver.ts";
import { takenOf } from "./cold_messages.ts";
import { occupiedBy } from "./failures.ts";
import { listOf, numberOf, type Reply, textOf, unexpected } from "./replies.ts";
import { type Script, scripts } from "./scripts.ts";
import type { Servers } from "./servers.ts";

/** The keeper looks as often. */
const retryAfterMs = 250;
/** Messages that are handed out in one step. */
const takeMax = 1000;
/** Entries that go in one step, so that no step holds the server for long. */
const trimEntriesMax = 500;

export interface RedisMessagesOptions extends MessageLogOptions {
  /** False for a user that may not trim (user_rights.ts): a stream at its bound is full until the keeper has trimmed it. */
  readonly trims: boolean;
  /** Where a group reads that is behind what the servers hold. */
  readonly archive?: MessageArchive | undefined;
}

interface Trimmed {
  /** Entries that are the stream's no more. */
  readonly removed: number;
  /** Entries that left the servers' memory. */
  readonly takenOut: number;
}

interface Ended {
  readonly delivery: DeliveryRef;
  readonly settlement: Settlement | { readonly kind: "missing" };
}

export class RedisMessages implements MessageLog {
  readonly streams: readonly StreamName[] = Object.values(StreamName);
  /** They go on one connection, and what is sent on by a cluster is sent on in their order. */
  readonly takesInOrder = true;
  readonly #servers: Servers;
  readonly #keys: MessageKeys;
  readonly #o: RedisMessagesOptions;
  readonly #archiver: Archiver | undefined;
  readonly #publishing = new Publishing({
    send: (stream, messages) => this.#publish(stream, messages),
    makeRoom: (stream) => this.#makeRoom(stream),
  });
  readonly #settling = new Gathering<Ended, SettleOutcome>((_group, ended) => this.#settle(ended));

  /** @param archiver copies before anything is trimmed; the keeper's */
  constructor(servers: Servers, keys: MessageKeys, options: RedisMessagesOptions, archiver?: Archiver) {
    this.#servers = servers;
    this.#keys = keys;
    this.#o = options;
    this.#archiver = archiver;
  }

  publish(messages: readonly Message[]): Promise<PublishOutcome[]> {
    return Promise.all(messages.map((message) => this.#publishing.add(message)));
  }

  async createGroup(stream: StreamName, group: string, start: GroupStart): Promise<void> {
    const { ends, groups, group: key } = this.#of(stream, group);
    await this.#change(scripts.messageGroup, [ends, groups, key], [group, start === "end" ? "tail" : "low"]);
  }

  async take(stream: StreamName, group: string, member: string, { max, leaseMs }: TakeOptions): Promise<Taken> {
    const { archive } = this.#o;
    const args = [group, member, String(Math.min(max, takeMax)), String(leaseMs * 1000), archive === undefined ? "0" : "1"];
    const reply = await this.#takeAfterEnds(stream, group, {
      script: scripts.messageTake,
      keys: this.#all(stream, group),
      args,
      once: true,
    });
    return takenOf(reply, { stream, group }, archive, async (refs, kind) => {
      await this.#settle(refs.map((delivery) => ({ delivery, settlement: { kind } })));
    });
  }

  async extend(refs: readonly DeliveryRef[], leaseMs: number): Promise<DeliveryRef[]> {
    const kept: DeliveryRef[] = [];
    for (const own of byGroup(refs)) {
      const { stream, group } = own[0] as DeliveryRef;
      const args = [String(leaseMs * 1000), ...own.flatMap(({ priority, off, token }) => [priority, off, token].map(String))];
      const keys = [this.#keys.group(stream, group), this.#keys.out(stream, group), ...this.#keys.dues(stream, group)];
      const reply = await this.#change(scripts.messageExtend, keys, args);
      const still = new Set(listOf(reply).map(numberOf));
      kept.push(...own.filter((_ref, index) => still.has(index)));
    }
    return kept;
  }

  settle(delivery: DeliveryRef, settlement: Settlement): Promise<SettleOutcome> {
    return this.#settling.add(laneOf(delivery), { delivery, settlement });
  }

  async bury({ stream, group, priority, off, token }: DeliveryRef, deadLetter: Message): Promise<SettleOutcome | "full"> {
    const dead = deadLetter.stream;
    const keys = [
      this.#keys.out(stream, group),
      this.#keys.due(stream, group, priority),
      this.#keys.ends(dead),
      this.#keys.ids(dead),
      ...this.#keys.logs(dead),
      this.#keys.group(stream, group),
    ];
    const letter = [String(deadLetter.priority), deadLetter.message_id, jsonOf(deadLetter)];
    const args = [String(priority), String(off), String(token), ...letter, ...this.#bounds()];
    for (;;) {
      const said = await this.#change(scripts.messageBury, keys, args).catch(fullIfOutOfMemory);
      const occupied = this.#occupied(dead, deadLetter.priority, textOf(said));
      if (occupied !== undefined) throw occupied;
      if (textOf(said) !== "full") return outcomeOf(said);
      if (!(await this.#makeRoom(dead))) return "full";
    }
  }

  async groups(stream: StreamName): Promise<GroupStatus[]> {
    const { place } = this.#keys;
    const [names] = await this.#servers.read(place, [{ command: ["SMEMBERS", this.#keys.groups(stream)] }]);
    const tails = ["tail1", "tail2", "tail3", "tail4"];
    const [ends] = await this.#servers.read(place, [{ command: ["HMGET", this.#keys.ends(stream), ...tails] }]);
    const tail = listOf(ends).map(orZero);
    return Promise.all(
      listOf(names)
        .map(textOf)
        .map(async (group): Promise<GroupStatus> => {
          const [found, alone] = await this.#servers.read(place, [
            { command: ["HGETALL", this.#keys.group(stream, group)] },
            { command: ["HLEN", this.#keys.out(stream, group)] },
          ]);
          const { places, inBatches, ...told } = decodeGroup(found);
          const waiting = places.map((off, index) => (tail[index] as number) - off) as unknown as ByPriority<number>;
          return { stream, group, waiting, pending: numberOf(alone) + inBatches, ...told };
        }),
    );
  }

  async rewind(stream: StreamName, group: string, publishedUs: number): Promise<void> {
    for (;;) {
      const { places, archived } = await this.#seekArchive(stream, publishedUs);
      const args = places.flatMap((place, index) => [place === null ? "" : String(place), String(archived[index])]);
      const said = await this.#change(scripts.messageRewind, this.#all(stream, group), [group, String(publishedUs), ...args]);
      if (textOf(said) !== "again") return;
    }
  }

  async read(stream: StreamName, priority: MessagePriority, afterOff: number, max: number): Promise<StoredMessage[]> {
    const range: Call = { command: ["XRANGE", this.#keys.log(stream, priority), `${afterOff + 1}-0`, "+", "COUNT", String(max)] };
    const state: Call = { command: ["HMGET", this.#keys.ends(stream), "log", `archived${priority}`, `low${priority}`] };
    const [page, known] = await this.#servers.read(this.#keys.place, [range, state]);
    const hot = listOf(page).map(decodeStored);
    const [log, archived, low] = listOf(known);
    const { archive } = this.#o;
    const upTo = Math.min((hot[0]?.off ?? Number.POSITIVE_INFINITY) - 1, orZero(archived ?? null));
    // Of what the stream has let go the archive may hold some more for a while; dead letters it keeps.
    const from = stream === StreamName.deadLetter ? afterOff : Math.max(afterOff, orZero(low ?? null));
    if (archive === undefined || log === null || from >= upTo) return hot;
    const cold = await archive.read({ log: textOf(log), stream }, priority, from, upTo, max);
    return [...cold, ...hot].slice(0, max);
  }

  /** @throws BusError BUS_FORBIDDEN where this user may not: the server would notice in the middle of a script */
  async trim(stream: StreamName): Promise<number> {
    if (!this.#o.trims) throw new BusError("BUS_FORBIDDEN", "streams are trimmed by the keeper");
    return (await this.#trimTo(stream, settledBounds(this.#o))).removed;
  }

  async close(): Promise<void> {
    // The servers belong to whoever opened them.
  }

  /** The ends that this group has yet to send go first, in one message to the server, which flushes once for both. */
  #takeAfterEnds(stream: StreamName, group: string, take: Call): Promise<Reply> {
    return this.#settling.accompany(laneOf({ stream, group }), async (ends) => {
      const calls = ends === undefined ? [take] : [this.#settleCall(ends.items), take];
      const replies = await this.#servers.change(this.#keys.place, calls);
      const taken = replies.pop();
      if (taken === undefined) throw unexpected();
      ends?.answer(listOf(replies[0]).map(outcomeOf));
      return taken;
    });
  }

  async #settle(ended: readonly Ended[]): Promise<SettleOutcome[]> {
    const [reply] = await this.#servers.change(this.#keys.place, [this.#settleCall(ended)]);
    return listOf(reply).map(outcomeOf);
  }

  #settleCall(ended: readonly Ended[]): Call {
    const { stream, group } = (ended[0] as Ended).delivery;
    const keys = [this.#keys.group(stream, group), this.#keys.out(stream, group), ...this.#keys.dues(stream, group)];
    return { script: scripts.messageSettle, keys, args: endsAlike(ended) };
  }

  async #publish(stream: StreamName, messages: readonly Message[]): Promise<(PublishOutcome | BusError)[]> {
    const keys = [this.#keys.ends(stream), this.#keys.ids(stream), ...this.#keys.logs(stream)];
    const args = [...this.#bounds(), ...messages.flatMap((message) => [String(message.priority), message.message_id, jsonOf(message)])];
    const reply = await this.#change(scripts.messagePublish, keys, args).catch(fullIfOutOfMemory);
    const said = Buffer.isBuffer(reply) ? messages.map(() => textOf(reply)) : listOf(reply).map(textOf);
    return messages.map(({ priority }, index) => {
      const word = said[index] ?? "";
      const occupied = this.#occupied(stream, priority, word);
      if (occupied !== undefined) return occupied;
      if (word === "duplicate") return { kind: "duplicate" };
      return word === "full" ? { kind: "full", retryAfterMs } : { kind: "published", off: Number(word) };
    });
  }

  /** Why a log cannot be written, if that is what the script says. */
  #occupied(stream: StreamName, priority: MessagePriority, word: string): BusError | undefined {
    const [, off] = /^occupied (\d+)$/.exec(word) ?? [];
    return off === undefined ? undefined : occupiedBy(this.#keys.log(stream, priority), off);
  }

  /** Trims a little more than is needed. False where nothing may go, or not by us. */
  async #makeRoom(stream: StreamName): Promise<boolean> {
    if (!this.#o.trims) return false;
    const { removed, takenOut } = await this.#trimTo(stream, boundsAfterTrim(this.#o));
    return removed + takenOut > 0;
  }

  /** Most entries and bytes of the hot part, and of a stream. */
  #bounds(): string[] {
    const { entries, bytes } = publishBounds(this.#o);
    return [this.#o.entriesHotMax, this.#o.bytesHotMax, entries, bytes].map(String);
  }

  /** For each priority the place before a time, where the archive has it, and up to where the archive was asked. */
  async #seekArchive(
    stream: StreamName,
    publishedUs: number,
  ): Promise<{ places: ByPriority<number | null>; archived: ByPriority<number> }> {
    const { archive } = this.#o;
    const { log, archived } = await readArchiveState(this.#servers, this.#keys, stream);
    if (archive === undefined || log === null) return { places: [null, null, null, null], archived: [0, 0, 0, 0] };
    return { places: await archive.seek({ log, stream }, archived, publishedUs), archived };
  }

  /** In steps that hold no server for long. */
  async #trimTo(stream: StreamName, left: StreamBounds): Promise<Trimmed> {
    await this.#archiver?.keep(stream);
    let [removed, takenOut] = [0, 0];
    for (;;) {
      const step = await this.#trimStep(stream, left);
      [removed, takenOut] = [removed + step.removed, takenOut + step.takenOut];
      // Where only the archive knows how large something is, a step does not go as far as it may.
      if (step.removed === 0 && step.takenOut < trimEntriesMax) return { removed, takenOut };
    }
  }

  async #trimStep(stream: StreamName, left: StreamBounds): Promise<Trimmed> {
    const { keepMsMax, groupDeadMs } = this.#o;
    const knows = (await this.#archiver?.knows(stream, left.bytes)) ?? [1, 2, 3, 4].map(() => nothingKnown);
    const hotLeft = boundsLeftHot(this.#o, await this.#archiver?.memoryUsed());
    for (;;) {
      const [names] = await this.#servers.read(this.#keys.place, [{ command: ["SMEMBERS", this.#keys.groups(stream)] }]);
      const groups = listOf(names).map(textOf);
      const keys = [
        this.#keys.ends(stream),
        this.#keys.ids(stream),
        this.#keys.groups(stream),
        ...this.#keys.logs(stream),
        ...groups.flatMap((group) => [this.#keys.group(stream, group), this.#keys.out(stream, group)]),
      ];
      const bounds = [left.entries, left.bytes, hotLeft.entries, hotLeft.bytes, keepMsMax, groupDeadMs, trimEntriesMax];
      const args = [...bounds, ...knows.flatMap(knownArguments)].map(String);
      const [removed, takenOut] = listOf(await this.#change(scripts.messageTrim, keys, args));
      if (textOf(removed) !== "again") return { removed: numberOf(removed), takenOut: numberOf(takenOut) };
    }
  }

  async #change(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    const [reply] = await this.#servers.change(this.#keys.place, [{ script, keys, args }]);
    if (reply === undefined) throw unexpected();
    return reply;
  }

  #of(stream: StreamName, group: string): { ends: string; groups: string; group: string; out: string } {
    const keys = this.#keys;
    return { ends: keys.ends(stream), groups: keys.groups(stream), group: keys.group(stream, group), out: keys.out(stream, group) };
  }

  /** In the order that message_take.lua and message_rewind.lua document. */
  #all(stream: StreamName, group: string): string[] {
    const { ends, groups, group: key, out } = this.#of(stream, group);
    return [ends, groups, key, out, ...this.#keys.dues(stream, group), ...this.#keys.logs(stream)];
  }
}

const nothingKnown: ArchiveKnows = { old: 0, low: null, within: null };

/** In the order that message_trim.lua documents; no low end lies below nothing. */
function knownArguments({ old, low, within }: ArchiveKnows): number[] {
  return [old, low?.off ?? -1, low?.endBytes ?? 0, within?.off ?? 0, within?.endBytes ?? 0];
}

function fullIfOutOfMemory(error: unknown): Reply {
  if (error instanceof BusError && error.fields.word === "OOM") return Buffer.from("full");
  throw error;
}

/** What goes to the servers together. */
function laneOf({ stream, group }: Pick<DeliveryRef, "stream" | "group">): string {
  return `${stream} ${group}`;
}

function outcomeOf(reply: Reply): SettleOutcome {
  const said = textOf(reply);
  if (said === "settled" || said === "fenced") return said;
  throw unexpected();
}

function orZero(reply: Reply): number {
  return reply === null ? 0 : numberOf(reply);
}

function byGroup(refs: readonly DeliveryRef[]): DeliveryRef[][] {
  const groups = new Map<string, DeliveryRef[]>();
  for (const ref of refs) {
    const key = `${ref.stream} ${ref.group}`;
    groups.set(key, [...(groups.get(key) ?? []), ref]);
  }
  return [...groups.values()];
}

/** How deliveries end, as the script has it: what those that follow one another have in common is said once. */
function endsAlike(ended: readonly Ended[]): string[] {
  const args: string[] = [];
  let [said, offs]: [readonly string[], string[]] = [[], []];
  const close = (): void => {
    if (offs.length > 0) args.push(...said, String(offs.length), ...offs);
  };
  for (const { delivery, settlement } of ended) {
    const told = settlement.kind === "retry" ? [settlement.reason, String(settlement.delayMs)] : ["", "0"];
    const alike = [settlement.kind, String(delivery.token), String(delivery.priority), ...told];
    if (alike.some((word, index) => word !== said[index])) {
      close();
      [said, offs] = [alike, []];
    }
    offs.push(String(delivery.off));
  }
  close();
  return args;
}
