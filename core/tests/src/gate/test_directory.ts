/**
 * Why: tests of the gate decide what the registry says and when it falls silent.
 * Enforces: the port of the gate; each change raises the version and is told.
 * Forbids: use outside tests.
 */
import type { CloneSuspicion, DirectoryChange, DirectoryEntry, ProducerDirectory, ProducerStatus } from "ransomeye-ingestion";
import type { SyntheticProducer } from "../../synthetic_events.ts";

/** A registry in the test's hand. */
export class TestDirectory implements ProducerDirectory {
  readonly #entries = new Map<string, DirectoryEntry>();
  readonly #listeners = new Set<(change: DirectoryChange) => void>();
  version = 1;
  /** What the gate told. */
  readonly suspicions: CloneSuspicion[] = [];
  /** Milliseconds of silence. */
  silentMs = 0;

  ageMs(): number {
    return this.silentMs;
  }

  lookup(producer: string): DirectoryEntry | undefined {
    return this.#entries.get(producer);
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  suspect(suspicion: CloneSuspicion): void {
    this.suspicions.push(suspicion);
  }

  /** Enrols a producer, or changes what is known of it. */
  put(who: SyntheticProducer, change: Partial<DirectoryEntry> = {}): void {
    const { producer, kind, keyId, publicKey } = who;
    this.#set({ producer, kind, status: "active", keys: new Map([[keyId, { publicKey }]]), ...change });
  }

  setStatus(producer: string, status: ProducerStatus): void {
    const entry = this.#entries.get(producer);
    if (entry !== undefined) this.#set({ ...entry, status });
  }

  #set(entry: DirectoryEntry): void {
    this.version += 1;
    this.#entries.set(entry.producer, Object.freeze(entry));
    for (const listener of this.#listeners) listener({ version: this.version, producers: [entry.producer] });
  }
}
