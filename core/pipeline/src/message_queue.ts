/**
 * The public face of the message streams (BUS-4): publish, consume, start and stop consumers, acknowledge, replay, dead letters.
 *
 * Why it exists: publishers and consumers know streams and groups, never each other, and never what stands underneath.
 * Enforces: each payload is what its stream's schema says; one MessageLog (and with it one set of connections) for all streams and groups of a
 * process; consumers are independent: none waits for another.
 * Forbids: losing a message in silence: whoever publishes is told `full`, whoever consumes ends each message in words.
 *
 * Errors: BusError, with the codes of the adapter underneath; BUS_BAD_ARGUMENT for a payload that breaks its schema.
 */
import { type Clock, type Random, sleep, type Telemetry } from "ransomeye-kernel";
import { BusError } from "./errors.ts";
import { consumerFailed, messagesPublished } from "./events.ts";
import { isoTime } from "./messages/dead_letter.ts";
import { jsonBytes, type Message, messageBytesMax, MessagePriority, priorities, StreamName } from "./messages/message.ts";
import { type AttackPayload, payloadProblems, type StreamPayloads } from "./messages/payloads.ts";
import type { GroupStart, GroupStatus, MessageLog, PublishOutcome } from "./messages/port.ts";
import type { Ending, MessageOf, Received } from "./messages/received.ts";
import { leasedMax, Subscription } from "./messages/subscription.ts";

export interface MessageQueueOptions {
  readonly log: MessageLog;
  /** Who publishes: a producer's uuid or the name of a part of the system; and, with a number, the name of its consumers. */
  readonly producerId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /** How long a message is ours without our saying that it still is. */
  readonly leaseMs?: number;
  /** Pauses before the first, second and third retry. */
  readonly retryDelaysMs?: readonly number[];
}

export interface PublishOptions {
  readonly priority?: MessagePriority;
  /** Given where the same thing may be published twice: it is stored once. */
  readonly messageId?: string;
}

export type Published = PublishOutcome & { readonly messageId: string };

export interface ConsumeOptions {
  /** Name of this member; two processes never share one. Default: made up. */
  readonly member?: string;
  /** Messages held at once, fetched and not ended: 1 to 64. */
  readonly prefetch?: number;
}

export interface ConsumerSpec<Stream extends StreamName> extends ConsumeOptions {
  readonly stream: Stream;
  readonly group: string;
  /** Handlers side by side. */
  readonly concurrency?: number;
  /** Returns when the message is handled; throws when it is not. An error with `permanent: true` goes to the dead letters at once. */
  readonly handle: (message: MessageOf<Stream>, received: Received<Stream>) => Promise<void>;
}

/** A consumer that runs. */
export interface RunningConsumer {
  readonly stream: StreamName;
  readonly group: string;
  readonly member: string;
}

export interface ReplayOptions {
  /** Microseconds since 1970; entries published from then on … */
  readonly sinceUs?: number;
  /** … and before then. */
  readonly untilUs?: number;
}

const leaseMsDefault = 30_000;
const retryDelaysMsDefault = [1000, 5000, 25_000] as const;
const prefetchDefault = 16;
const replayPage = 256;

interface Running extends RunningConsumer {
  readonly subscription: Subscription<StreamName>;
  readonly ended: Promise<unknown>;
}

export class MessageQueueManager {
  readonly #o: MessageQueueOptions;
  readonly #subscriptions = new Map<StreamName, Set<Subscription<StreamName>>>();
  readonly #running = new Set<Running>();

  constructor(options: MessageQueueOptions) {
    this.#o = options;
  }

  /** Publishes one message. Resolves after it is as durable as the adapter makes it. */
  async publish<Stream extends StreamName>(
    stream: Stream,
    payload: StreamPayloads[Stream],
    options: PublishOptions = {},
  ): Promise<Published> {
    const { random, clock, producerId, telemetry, log } = this.#o;
    const { priority = MessagePriority.normal, messageId = random.uuid() } = options;
    const timestamp = isoTime(clock.nowUs());
    const message: Message = { message_id: messageId, stream, payload, priority, timestamp, producer_id: producerId, retry_count: 0 };
    assertSendable(message);
    const [outcome] = await log.publish([message]);
    if (outcome === undefined) throw new BusError("BUS_INTERNAL", "the log gave no answer");
    telemetry.emit(messagesPublished, { stream, outcome: outcome.kind, messages: 1 });
    for (const subscription of this.#subscriptions.get(stream) ?? []) subscription.wake();
    return { ...outcome, messageId };
  }

  /**
   * The same, for whoever has nothing better to do than wait: a stream that is full is asked again until it has room. What is published twice for one
   * reason needs an id of its own, for whoever waits may be killed. @throws the signal's reason
   */
  async publishWhenRoom<Stream extends StreamName>(
    stream: Stream,
    payload: StreamPayloads[Stream],
    { signal, messageId = this.#o.random.uuid(), ...options }: PublishOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<Published> {
    for (;;) {
      const published = await this.publish(stream, payload, { ...options, messageId });
      if (published.kind !== "full") return published;
      await sleep(this.#o.clock, published.retryAfterMs, signal);
    }
  }

  /** An attack, most urgent unless said otherwise. */
  publishAttackEvent(payload: AttackPayload, options: PublishOptions = {}): Promise<Published> {
    return this.publish(StreamName.attacks, payload, { priority: MessagePriority.critical, ...options });
  }

  /** Makes a group before anybody consumes: a group that begins at the stream's end would else miss what is published until then. */
  createGroup(stream: StreamName, group: string, start: GroupStart): Promise<void> {
    return this.#o.log.createGroup(stream, group, start);
  }

  /**
   * Messages of a stream, as a member of a group. Each must be ended: acknowledged, rejected or released. Leaving the loop gives back what was not begun.
   * Use: `for await (const received of queue.consume("stream:attacks", "group:ai_processor")) { …; await received.acknowledge(); }`
   */
  async *consume<Stream extends StreamName>(
    stream: Stream,
    group: string,
    options: ConsumeOptions = {},
  ): AsyncGenerator<Received<Stream>, void> {
    const subscription = this.#subscribe<Stream>(stream, group, options.member ?? this.#memberName(), options.prefetch ?? prefetchDefault);
    try {
      for (let next = await subscription.next(); next !== undefined; next = await subscription.next()) yield next;
    } finally {
      await this.#unsubscribe(stream, subscription);
    }
  }

  /** Handles messages in the background until stopped. */
  startConsumer<Stream extends StreamName>(spec: ConsumerSpec<Stream>): RunningConsumer {
    const { stream, group, concurrency = 1 } = spec;
    const member = spec.member ?? this.#memberName();
    const prefetch = Math.min(leasedMax, Math.max(concurrency, spec.prefetch ?? 2 * concurrency));
    const subscription = this.#subscribe<Stream>(stream, group, member, prefetch);
    const workers = Array.from({ length: concurrency }, () => this.#work(subscription, spec));
    const running: Running = {
      stream,
      group,
      member,
      subscription: subscription,
      ended: Promise.all(workers),
    };
    this.#running.add(running);
    return running;
  }

  /** Ends a consumer: handlers under way are waited for, what they had not begun goes to others. */
  async stopConsumer(consumer: RunningConsumer): Promise<void> {
    const running = [...this.#running].find((one) => one === consumer);
    if (running === undefined) return;
    this.#running.delete(running);
    const closing = this.#unsubscribe(running.stream, running.subscription);
    await running.ended;
    await closing;
  }

  /** The same as `received.acknowledge()`. */
  acknowledge<Stream extends StreamName>(received: Received<Stream>): Promise<Ending> {
    return received.acknowledge();
  }

  /** What a stream holds, in the order of publication within each priority, the most urgent first; nobody's place moves. */
  async *replay<Stream extends StreamName>(
    stream: Stream,
    { sinceUs = 0, untilUs = Number.MAX_SAFE_INTEGER }: ReplayOptions = {},
  ): AsyncGenerator<MessageOf<Stream>, void> {
    for (const priority of priorities) {
      for (let after = 0, more = true; more; ) {
        const page = await this.#o.log.read(stream, priority, after, replayPage);
        for (const { publishedUs, message } of page)
          if (publishedUs >= sinceUs && publishedUs < untilUs) yield message as MessageOf<Stream>;
        const last = page.at(-1);
        more = last !== undefined && last.publishedUs < untilUs;
        after = last?.off ?? after;
      }
    }
  }

  groups(stream: StreamName): Promise<GroupStatus[]> {
    return this.#o.log.groups(stream);
  }

  /** Stops every consumer; the log belongs to whoever opened it. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((consumer) => this.stopConsumer(consumer)));
  }

  async #work<Stream extends StreamName>(
    subscription: Subscription<Stream>,
    { handle, stream, group }: ConsumerSpec<Stream>,
  ): Promise<void> {
    // The next message is handled while the last one's end is on its way: whoever handles one at a time does not wait for the servers after each.
    const endings = new Set<Promise<unknown>>();
    for (let received = await subscription.next(); received !== undefined; received = await subscription.next()) {
      const { message } = received;
      const failed = (error: unknown): string => {
        const reason = error instanceof Error ? error.message : String(error);
        this.#o.telemetry.emit(consumerFailed, { stream, group, message_id: message.message_id, reason });
        return reason;
      };
      let ending: Promise<unknown>;
      try {
        await handle(message, received);
        ending = received.acknowledge().catch(failed);
      } catch (error) {
        const permanent = (error as { permanent?: unknown } | null)?.permanent === true;
        // Where even the rejection cannot be told the lease ends by itself, which counts as one.
        ending = received.reject(failed(error), { permanent }).catch(() => undefined);
      }
      endings.add(ending);
      void ending.finally(() => endings.delete(ending));
    }
    await Promise.all(endings);
  }

  #subscribe<Stream extends StreamName>(stream: Stream, group: string, member: string, prefetch: number): Subscription<Stream> {
    const { log, clock, telemetry, leaseMs = leaseMsDefault, retryDelaysMs = retryDelaysMsDefault } = this.#o;
    const subscription = new Subscription<Stream>({ log, clock, telemetry, stream, group, member, leaseMs, retryDelaysMs, prefetch });
    const known = this.#subscriptions.get(stream) ?? new Set();
    known.add(subscription);
    this.#subscriptions.set(stream, known);
    return subscription;
  }

  async #unsubscribe<Stream extends StreamName>(stream: Stream, subscription: Subscription<Stream>): Promise<void> {
    this.#subscriptions.get(stream)?.delete(subscription);
    await subscription.close();
  }

  #memberName(): string {
    return `${this.#o.producerId}/${this.#o.random.uuid().slice(0, 8)}`;
  }
}

/** @throws BusError BUS_BAD_ARGUMENT with what is wrong, by path */
export function assertSendable(message: Message): void {
  const problems = payloadProblems(message.stream, message.payload);
  if (jsonBytes(message) > messageBytesMax) problems.push(`the message has more than ${messageBytesMax} bytes`);
  if (problems.length === 0) return;
  throw new BusError("BUS_BAD_ARGUMENT", `the message is not what ${message.stream} says: ${problems.join("; ")}`, {
    fields: { stream: message.stream },
  });
}
