/**
 * Why it exists: which key holds what of the message streams.
 * Enforces: one hash tag for all of them, so that a message goes from its stream to the dead letters in one step; streams of messages carry thousands a
 * second where frames carry a hundred thousand events, one server is enough for them.
 * Forbids: keys that are put together anywhere else.
 */
import type { MessagePriority, StreamName } from "../messages/message.ts";

/** A stream, or in a pattern all of them. */
export type StreamOrAll = StreamName | "stream:*";
type PriorityOrAll = MessagePriority | "*";

export class MessageKeys {
  readonly #tag: string;

  constructor(prefix: string) {
    this.#tag = `{${prefix}.messages}`;
  }

  /** All of them lie where this one lies. */
  get place(): string {
    return `${this.#tag}:place`;
  }

  ends(stream: StreamOrAll): string {
    return `${this.#tag}:ends:${stream}`;
  }

  ids(stream: StreamOrAll): string {
    return `${this.#tag}:ids:${stream}`;
  }

  groups(stream: StreamOrAll): string {
    return `${this.#tag}:groups:${stream}`;
  }

  log(stream: StreamOrAll, priority: PriorityOrAll): string {
    return `${this.#tag}:${stream}:${priority}`;
  }

  /** Of priorities 1 to 4. */
  logs(stream: StreamOrAll): string[] {
    return ([1, 2, 3, 4] as const).map((priority) => this.log(stream, priority));
  }

  group(stream: StreamOrAll, group: string): string {
    return `${this.#tag}:group:${stream}:${group}`;
  }

  out(stream: StreamOrAll, group: string): string {
    return `${this.#tag}:out:${stream}:${group}`;
  }

  due(stream: StreamOrAll, group: string, priority: PriorityOrAll): string {
    return `${this.#tag}:due:${priority}:${stream}:${group}`;
  }

  /** Of priorities 1 to 4. */
  dues(stream: StreamOrAll, group: string): string[] {
    return ([1, 2, 3, 4] as const).map((priority) => this.due(stream, group, priority));
  }
}
