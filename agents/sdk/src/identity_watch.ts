/**
 * Why: the batch key, and with it the certificate, may be replaced by another process, such as `ransomeye enrol --rotate-key`, while a producer runs.
 * Enforces: an identity is read again when one of its files was replaced, whole and checked as at the start, and taken only where it names the same producer.
 * Forbids: watching by events of the file system: they get lost where it matters, and a look costs a few microseconds.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { SdkError } from "./codes.ts";
import { loadIdentity, type ProducerIdentity } from "./identity.ts";

/** The files that come with a change: each is replaced by one rename. */
const watched = ["batch.key", "tls.key", "tls.crt", "ca.crt"] as const;

/** Looks whether the identity in a directory is still the one that was read. */
export class IdentityWatch {
  readonly #directory: string;
  readonly #producer: string;
  #seen: string | undefined;
  #unusable: string | undefined;

  constructor(directory: string, producer: string) {
    this.#directory = directory;
    this.#producer = producer;
  }

  /**
   * The identity where its files have changed since it was last read, and at the first look. Rejects with SDK_IDENTITY_… where it cannot be used: once for
   * each change, and looks again.
   */
  async look(): Promise<ProducerIdentity | undefined> {
    const before = await this.#marks();
    if (before === this.#seen) return undefined;
    try {
      const identity = await this.#load();
      // Somebody writes just now: some files may be the old ones and some the new. The next look finds them all.
      if ((await this.#marks()) !== before) return undefined;
      this.#seen = before;
      return identity;
    } catch (error) {
      if (this.#unusable === before) return undefined;
      this.#unusable = before;
      throw error;
    }
  }

  async #load(): Promise<ProducerIdentity> {
    const identity = await loadIdentity(this.#directory);
    if (identity.producer !== this.#producer)
      throw new SdkError("SDK_IDENTITY_INVALID", `the identity of ${identity.producer} lies where this producer's was`);
    return identity;
  }

  async #marks(): Promise<string> {
    return (await Promise.all(watched.map((name) => markOf(join(this.#directory, name))))).join(" ");
  }
}

async function markOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino}:${size}:${mtimeNs}`;
  } catch {
    return "gone";
  }
}
