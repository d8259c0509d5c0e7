/**
 * Why it exists: message streams on PostgreSQL, the embedded default.
 * Enforces: every step of the port is one function call (0013_messages.sql, 0018_message_bounds.sql), one transaction, behind its flush.
 * Forbids: deciding here, and closing the pool, which belongs to whoever opened it.
 */
import type { Pool } from "ransomeye-db";
import type { Telemetry } from "ransomeye-kernel";
import { jsonOf, type Message, type MessagePriority, type StreamName, StreamName as streamNames } from "../messages/message.ts";
import type {
  Delivery,
  DeliveryRef,
  Failure,
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
} from "../messages/port.ts";
import { Gathering, type Passengers } from "../messages/gathering.ts";
import {
  boundsAfterTrim,
  type MessageLogOptions,
  messageLogDefaults,
  publishBounds,
  settledBounds,
  type StreamBounds,
} from "../messages/settings.ts";
import { BusError } from "../errors.ts";
import { queryOnce } from "./connections.ts";
import type { Stage } from "./failures.ts";

export interface PostgresMessagesOptions extends Partial<MessageLogOptions> {
  /** A pool of role ransomeye_consumer, or of the keeper's. */
  readonly pool: Pool;
  readonly telemetry: Telemetry;
}

/** Message streams in the database, which is their archive too: a group that is away for long stalls nobody (R-26). */
export function openPostgresMessages(options: PostgresMessagesOptions): MessageLog {
  return new PostgresMessages({ ...messageLogDefaults, ...options });
}

interface TakenRow {
  readonly kind: string;
  readonly priority: number;
  readonly off: number;
  readonly to_off: number;
  readonly token: number;
  readonly deliveries: number;
  readonly exhausted: boolean;
  readonly failures: readonly { readonly at_us: number; readonly member: string; readonly reason: string }[];
  readonly body: string;
  readonly due_us: number;
}

/** Of bus.message_take. */
type TakeValues = readonly [stream: StreamName, group: string, member: string, max: number, leaseUs: number];

const retryAfterMs = 1000;

interface Ended {
  readonly delivery: DeliveryRef;
  readonly settlement: Settlement;
}

class PostgresMessages implements MessageLog {
  readonly streams: readonly StreamName[] = Object.values(streamNames);
  /** Each goes on a connection of its own. */
  readonly takesInOrder = false;
  readonly #o: MessageLogOptions & { readonly pool: Pool; readonly telemetry: Telemetry };
  readonly #publishing = new Gathering<Message, PublishOutcome>((stream, messages) => this.#publish(stream as StreamName, messages));
  readonly #settling = new Gathering<Ended, SettleOutcome>((_group, ended) => this.#settle(ended));

  constructor(options: MessageLogOptions & { readonly pool: Pool; readonly telemetry: Telemetry }) {
    this.#o = options;
  }

  publish(messages: readonly Message[]): Promise<PublishOutcome[]> {
    return Promise.all(messages.map((message) => this.#publishing.add(message.stream, message)));
  }

  async createGroup(stream: StreamName, group: string, start: GroupStart): Promise<void> {
    await this.#ask("change", "message_group_make", "SELECT bus.message_group_make($1, $2, $3)", [stream, group, start === "end"]);
  }

  async take(stream: StreamName, group: string, member: string, { max, leaseMs }: TakeOptions): Promise<Taken> {
    const rows = await this.#takeAfterEnds([stream, group, member, max, leaseMs * 1000]);
    const due = rows.find(({ kind }) => kind === "due");
    return {
      deliveries: rows.filter(({ kind }) => kind === "delivery").map((row) => deliveryOf(row, stream, group)),
      missing: rows
        .filter(({ kind }) => kind === "missing")
        .map(({ priority, off, to_off }): MissingEntries => ({ priority: priority as MessagePriority, fromOff: off, toOff: to_off })),
      nextDueMs: due === undefined ? null : Math.ceil(due.due_us / 1000),
    };
  }

  async extend(refs: readonly DeliveryRef[], leaseMs: number): Promise<DeliveryRef[]> {
    const kept: DeliveryRef[] = [];
    for (const own of byGroup(refs)) {
      const { stream, group } = own[0] as DeliveryRef;
      const places = [own.map(({ priority }) => priority), own.map(({ off }) => off), own.map(({ token }) => token)];
      const text = "SELECT unnest(bus.message_extend($1, $2, $3::smallint[], $4::bigint[], $5::bigint[], $6)) AS token";
      const rows = await this.#ask<{ token: number }>("change", "message_extend", text, [stream, group, ...places, leaseMs * 1000]);
      const tokens = new Set(rows.map(({ token }) => token));
      kept.push(...own.filter(({ token }) => tokens.has(token)));
    }
    return kept;
  }

  settle(delivery: DeliveryRef, settlement: Settlement): Promise<SettleOutcome> {
    return this.#settling.add(laneOf(delivery), { delivery, settlement });
  }

  async bury({ stream, group, priority, off, token }: DeliveryRef, letter: Message): Promise<SettleOutcome | "full"> {
    const text = "SELECT bus.message_bury($1, $2, $3::smallint, $4, $5, $6, $7::smallint, $8, $9, $10, $11) AS said";
    const bounds = publishBounds(this.#o);
    const values = [
      stream,
      group,
      priority,
      off,
      token,
      letter.stream,
      letter.priority,
      letter.message_id,
      jsonOf(letter),
      bounds.entries,
      bounds.bytes,
    ];
    for (;;) {
      const said = await this.#said("message_bury", text, values);
      if (said !== "full" || (await this.#trim(letter.stream, boundsAfterTrim(this.#o))) === 0) return said as SettleOutcome | "full";
    }
  }

  async groups(stream: StreamName): Promise<GroupStatus[]> {
    type Row = Omit<GroupStatus, "stream" | "group" | "seenUs"> & { readonly grp: string; readonly seen_us: number };
    const rows = await this.#ask<Row>("read", "message_groups", "SELECT * FROM bus.message_groups($1)", [stream]);
    return rows.map(({ grp: group, waiting, pending, missing, seen_us: seenUs, quarantined }) => ({
      stream,
      group,
      waiting: waiting.map(Number) as unknown as GroupStatus["waiting"],
      pending,
      missing,
      seenUs,
      quarantined,
    }));
  }

  async rewind(stream: StreamName, group: string, publishedUs: number): Promise<void> {
    await this.#ask("change", "message_rewind", "SELECT bus.message_rewind($1, $2, $3)", [stream, group, publishedUs]);
  }

  async read(stream: StreamName, priority: MessagePriority, afterOff: number, max: number): Promise<StoredMessage[]> {
    type Row = { readonly off: number; readonly published_us: number; readonly body: string };
    const text = "SELECT * FROM bus.message_read($1, $2::smallint, $3, $4)";
    const rows = await this.#ask<Row>("read", "message_read", text, [stream, priority, afterOff, max]);
    return rows.map(({ off, published_us: publishedUs, body }) => ({ off, publishedUs, message: JSON.parse(body) as Message }));
  }

  trim(stream: StreamName): Promise<number> {
    return this.#trim(stream, settledBounds(this.#o));
  }

  async close(): Promise<void> {
    // The pool belongs to whoever opened it.
  }

  /** The ends that this group has yet to send go first, in one transaction with one flush. */
  #takeAfterEnds(take: TakeValues): Promise<TakenRow[]> {
    const [stream, group] = take;
    return this.#settling.accompany(laneOf({ stream, group }), (ends) => this.#takeWith(ends, take));
  }

  async #takeWith(ends: Passengers<Ended, SettleOutcome> | undefined, take: TakeValues): Promise<TakenRow[]> {
    if (ends === undefined)
      return this.#ask<TakenRow>("change", "message_take", "SELECT * FROM bus.message_take($1, $2, $3, $4, $5)", [...take]);
    const text = `WITH ends AS MATERIALIZED (SELECT ${settleText(6)} AS said)
      SELECT t.*, CASE WHEN coalesce(t.at, 1) = 1 THEN ends.said END AS said
      FROM ends LEFT JOIN LATERAL bus.message_take($1, $2, $3, $4, $5) WITH ORDINALITY
        AS t (kind, priority, off, to_off, token, deliveries, exhausted, failures, body, due_us, at) ON true`;
    type Row = TakenRow & { readonly said: readonly SettleOutcome[] | null };
    const rows = await this.#ask<Row>("change", "message_settle_take", text, [...take, ...settleColumns(ends.items)]);
    const said = rows.find((row) => row.said !== null)?.said ?? [];
    if (said.length !== ends.items.length) throw new BusError("BUS_INTERNAL", "bus.message_settle gave too few answers");
    ends.answer(said);
    return rows;
  }

  async #settle(ended: readonly Ended[]): Promise<SettleOutcome[]> {
    const { stream, group } = (ended[0] as Ended).delivery;
    const text = `SELECT unnest(${settleText(3)}) AS said`;
    const rows = await this.#ask<{ said: SettleOutcome }>("change", "message_settle", text, [stream, group, ...settleColumns(ended)]);
    return rows.map(({ said }) => said);
  }

  async #publish(stream: StreamName, messages: readonly Message[]): Promise<PublishOutcome[]> {
    const outcomes = await this.#publishOnce(stream, messages);
    // A stream at its bound is trimmed, a little more than is needed, and what found no room is asked for again, as long as that makes some.
    for (;;) {
      const turnedAway = messages.filter((_message, index) => outcomes[index]?.kind === "full");
      if (turnedAway.length === 0 || (await this.#trim(stream, boundsAfterTrim(this.#o))) === 0) return outcomes;
      const answers = await this.#publishOnce(stream, turnedAway);
      for (const [index, outcome] of outcomes.entries()) if (outcome.kind === "full") outcomes[index] = answers.shift() as PublishOutcome;
    }
  }

  async #publishOnce(stream: StreamName, messages: readonly Message[]): Promise<PublishOutcome[]> {
    const text = "SELECT unnest(bus.message_publish($1, $2, $3, $4::smallint[], $5::uuid[], $6::text[])) AS said";
    const { entries, bytes } = publishBounds(this.#o);
    const columns = [messages.map(({ priority }) => priority), messages.map(({ message_id }) => message_id), messages.map(jsonOf)];
    const rows = await this.#ask<{ said: string }>("change", "message_publish", text, [stream, entries, bytes, ...columns]);
    return rows.map(({ said }) => {
      if (said === "duplicate") return { kind: "duplicate" };
      return said === "full" ? { kind: "full", retryAfterMs } : { kind: "published", off: Number(said) };
    });
  }

  async #trim(stream: StreamName, left: StreamBounds): Promise<number> {
    const text = "SELECT bus.message_trim($1, $2, $3, $4, $5) AS removed";
    const values = [stream, left.entries, left.bytes, this.#o.keepMsMax, this.#o.groupDeadMs];
    const [row] = await this.#ask<{ removed: number }>("change", "message_trim", text, values);
    return row?.removed ?? 0;
  }

  async #said(name: string, text: string, values: unknown[]): Promise<string> {
    const [row] = await this.#ask<{ said: string }>("change", name, text, values);
    if (row === undefined) throw new BusError("BUS_INTERNAL", `bus.${name} gave no answer`);
    return row.said;
  }

  #ask<Row extends object>(stage: Stage, name: string, text: string, values: unknown[]): Promise<Row[]> {
    return queryOnce<Row>(this.#o.pool, this.#o.telemetry, stage, { name: `bus_${name}`, text, values });
  }
}

/** What goes to the database together. */
function laneOf({ stream, group }: Pick<DeliveryRef, "stream" | "group">): string {
  return `${stream} ${group}`;
}

/** The call, with stream and group as $1 and $2 and `settleColumns` from `first` on. */
function settleText(first: number): string {
  const types = ["smallint[]", "bigint[]", "bigint[]", "text[]", "text[]", "bigint[]"];
  return `bus.message_settle($1, $2, ${types.map((type, index) => `$${first + index}::${type}`).join(", ")})`;
}

function settleColumns(ended: readonly Ended[]): unknown[] {
  return [
    ended.map(({ delivery }) => delivery.priority),
    ended.map(({ delivery }) => delivery.off),
    ended.map(({ delivery }) => delivery.token),
    ended.map(({ settlement }) => settlement.kind),
    ended.map(({ settlement }) => (settlement.kind === "retry" ? settlement.reason.replaceAll("\0", "\ufffd") : "")),
    ended.map(({ settlement }) => (settlement.kind === "retry" ? settlement.delayMs : 0)),
  ];
}

function deliveryOf(row: TakenRow, stream: StreamName, group: string): Delivery {
  const failures = row.failures.map(({ at_us: atUs, member, reason }): Failure => ({ atUs, member, reason }));
  const message = { ...(JSON.parse(row.body) as Message), retry_count: failures.length };
  const { off, token, deliveries, exhausted } = row;
  return { stream, group, priority: row.priority as MessagePriority, off, token, message, deliveries, failures, exhausted };
}

function byGroup(refs: readonly DeliveryRef[]): DeliveryRef[][] {
  const groups = new Map<string, DeliveryRef[]>();
  for (const ref of refs) {
    const key = `${ref.stream} ${ref.group}`;
    groups.set(key, [...(groups.get(key) ?? []), ref]);
  }
  return [...groups.values()];
}
