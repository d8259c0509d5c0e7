/**
 * Why it exists: the gate decides from memory who may speak; this keeps that memory equal to the registry's word.
 * Enforces: a snapshot counts only when all of its parts have arrived and parsed; deltas join without a gap; a version that runs backwards is
 * refused, also across reconnects; silence shows as age.
 * Forbids: filling a hole with a guess. Whatever does not fit ends the connection, the memory ages, and the gate shuts by its own bounds.
 */
import type { CloneSuspicion, DirectoryChange, DirectoryEntry, ProducerDirectory } from "ransomeye-ingestion";
import type { Clock } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { directoryEntry, type Push, type WireProducer } from "./wire.ts";

/** What a message did to the memory. */
export type Applied = "nothing" | "fresh" | "changed";

/** The gate's memory of the registry. Pure but for the clock it is handed, and for the line that `suspect` is given. */
export class DirectoryMemory implements ProducerDirectory {
  readonly #clock: Clock;
  readonly #listeners = new Set<(change: DirectoryChange) => void>();
  #entries = new Map<string, DirectoryEntry>();
  #version = 0;
  #heardMs = Number.NEGATIVE_INFINITY;
  #pending: { version: number; parts: number; next: number; producers: WireProducer[] } | undefined;
  /** False until the current connection has delivered its snapshot: deltas and heartbeats mean nothing before. */
  #synced = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get version(): number {
    return this.#version;
  }

  ageMs(): number {
    return this.#clock.monotonicMs() - this.#heardMs;
  }

  lookup(producer: string): DirectoryEntry | undefined {
    return this.#entries.get(producer);
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Set while there is a connection to tell the registry something on. */
  tell: ((suspicion: CloneSuspicion) => void) | undefined;

  suspect(suspicion: CloneSuspicion): void {
    this.tell?.(suspicion);
  }

  /** Forgets half-received state; what was known stays, and ages. */
  disconnected(): void {
    this.#pending = undefined;
    this.#synced = false;
  }

  /** Applies one message. @throws CliError CLI_REGISTRY_PROTOCOL when it does not follow from what is known; then nothing was applied. */
  apply(message: Push): Applied {
    if (message.version < this.#version) throw new CliError("CLI_REGISTRY_PROTOCOL", `version ${message.version} after ${this.#version}`);
    switch (message.type) {
      case "snapshot":
        return this.#snapshot(message);
      case "delta":
        return this.#delta(message);
      case "material":
        return "nothing";
      case "heartbeat":
        if (!this.#synced) return "nothing";
        if (message.version !== this.#version) throw new CliError("CLI_REGISTRY_PROTOCOL", "a heartbeat is ahead of the changes");
        this.#heardMs = this.#clock.monotonicMs();
        return "fresh";
    }
  }

  #snapshot(message: Extract<Push, { type: "snapshot" }>): Applied {
    const pending = message.part === 0 ? { version: message.version, parts: message.parts, next: 0, producers: [] } : this.#pending;
    if (pending === undefined || pending.next !== message.part || pending.parts !== message.parts || pending.version !== message.version) {
      throw new CliError("CLI_REGISTRY_PROTOCOL", "the parts of a snapshot do not fit together");
    }
    pending.producers.push(...message.producers);
    pending.next += 1;
    this.#pending = pending;
    if (pending.next < pending.parts) return "nothing";
    this.#pending = undefined;
    this.#entries = new Map(pending.producers.map((p) => [p.id, directoryEntry(p)]));
    this.#settle(message.version, "all");
    return "changed";
  }

  #delta(message: Extract<Push, { type: "delta" }>): Applied {
    if (!this.#synced || message.previous !== this.#version)
      throw new CliError("CLI_REGISTRY_PROTOCOL", "a change is missing before this one");
    for (const p of message.producers) this.#entries.set(p.id, directoryEntry(p));
    this.#settle(
      message.version,
      message.producers.map((p) => p.id),
    );
    return "changed";
  }

  #settle(version: number, producers: readonly string[] | "all"): void {
    this.#version = version;
    this.#synced = true;
    this.#heardMs = this.#clock.monotonicMs();
    for (const listener of this.#listeners) listener({ version, producers });
  }
}
