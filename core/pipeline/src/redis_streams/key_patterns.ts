/**
 * Why it exists: rights on the servers are given by patterns of keys, and a pattern that is a little too wide is another part's key.
 * Enforces: patterns are made by the same code as the keys; a partition is its number's digits, so that no other installation's keys fit.
 * Forbids: a prefix with characters that mean something in a pattern.
 */
import { BusError } from "../errors.ts";
import { BusKeys } from "./keys.ts";
import { MessageKeys, type StreamOrAll } from "./message_keys.ts";

/** As many as the largest number of partitions has (bus.partitions). */
const partitionDigitsMax = 4;
const allStreams: StreamOrAll = "stream:*";

export class KeyPatterns {
  readonly #bus: BusKeys;
  readonly #messages: MessageKeys;
  readonly #numbers: readonly string[];

  /**
   * @param numbers patterns of a partition's number; others than the default are for people to read
   * @throws BusError BUS_BAD_ARGUMENT
   */
  constructor(prefix: string, numbers?: readonly string[]) {
    if (!/^[A-Za-z0-9_.-]+$/.test(prefix))
      throw new BusError("BUS_BAD_ARGUMENT", "users are for a key prefix of letters, digits, dots, dashes and underscores");
    this.#bus = new BusKeys(prefix);
    this.#messages = new MessageKeys(prefix);
    this.#numbers = numbers ?? Array.from({ length: partitionDigitsMax }, (_, digits) => "[0-9]".repeat(digits + 1));
  }

  log = (): string[] => this.#parts(this.#bus.log(0));
  partition = (): string[] => this.#parts(this.#bus.partitionState(0));
  revoked = (): string[] => this.#parts(this.#bus.revoked(0));
  producer = (): string[] => this.#parts(this.#bus.producer(0, "*"));
  producers = (): string[] => this.#parts(this.#bus.producers(0));

  state = (): string[] => [this.#bus.state];
  leases = (): string[] => [this.#bus.leases];
  gates = (): string[] => [this.#bus.gates];
  groups = (): string[] => [this.#bus.groups];
  floors = (): string[] => [this.#bus.floors];
  rights = (mark: string): string[] => [this.#bus.rights(mark)];
  group = (): string[] => [this.#bus.group("*")];

  messageLog = (streams: readonly StreamOrAll[] = [allStreams]): string[] => streams.map((stream) => this.#messages.log(stream, "*"));
  ends = (streams: readonly StreamOrAll[] = [allStreams]): string[] => streams.map((stream) => this.#messages.ends(stream));
  ids = (streams: readonly StreamOrAll[] = [allStreams]): string[] => streams.map((stream) => this.#messages.ids(stream));
  messageGroups = (): string[] => [this.#messages.groups(allStreams)];
  messageGroup = (): string[] => [this.#messages.group(allStreams, "*")];
  out = (): string[] => [this.#messages.out(allStreams, "*")];
  due = (): string[] => [this.#messages.due(allStreams, "*", "*")];

  #parts(first: string): string[] {
    return this.#numbers.map((number) => first.replace(".0}:", () => `.${number}}:`));
  }
}
