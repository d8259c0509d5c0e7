/**
 * Why it exists: which key holds what, and in which of a cluster's slots it lies.
 * Enforces: everything that one script touches carries one hash tag: all of a partition (log, state, revoked set, producers) shares `{prefix.N}`,
 * all of the bus and its groups `{prefix.bus}`, so that one server decides in one step, standalone or cluster.
 * Forbids: keys that are put together anywhere else.
 */

export class BusKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The bus's own state: generation, partitions, least registry version, why it is paused. */
  get state(): string {
    return this.#bus("state");
  }

  /** Gates' leases of the in-flight budget, by incarnation. */
  get leases(): string {
    return this.#bus("leases");
  }

  /** Gates' last reports, by incarnation. */
  get gates(): string {
    return this.#bus("gates");
  }

  /** Names of all groups. */
  get groups(): string {
    return this.#bus("groups");
  }

  /** Where a new group begins, by partition. */
  get floors(): string {
    return this.#bus("floors");
  }

  /** Nothing lies there. A user may read it whose rights are those of this mark (user_file.ts). */
  rights(mark: string): string {
    return this.#bus(`rights:${mark}`);
  }

  group(name: string): string {
    return this.#bus(`group:${name}`);
  }

  /** A partition's stream; entry `N-0` is the one with offset N. */
  log(part: number): string {
    return this.#part(part, "log");
  }

  partitionState(part: number): string {
    return this.#part(part, "state");
  }

  revoked(part: number): string {
    return this.#part(part, "revoked");
  }

  producer(part: number, producer: string): string {
    return this.#part(part, `producer:${producer}`);
  }

  /** Ids of the producers that live in a partition. */
  producers(part: number): string {
    return this.#part(part, "producers");
  }

  #bus(name: string): string {
    return `{${this.#prefix}.bus}:${name}`;
  }

  #part(part: number, name: string): string {
    return `{${this.#prefix}.${part}}:${name}`;
  }
}
