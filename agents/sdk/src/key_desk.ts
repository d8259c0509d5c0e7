/**
 * Why: a batch key ends one day, and a spool may still hold frames that it signed: nobody takes them any more.
 * Enforces: what ended is one key and not the producer, as long as the key that signs now is another one: then the frames are signed anew by that one, in a
 *   new epoch, for a sequence has one content for ever (R-6, promise 3). The seal says which of them had arrived after all.
 * Forbids: guessing which key was meant, and going on where the key that signs now has ended: a stolen key must not get another chance by itself.
 */
import type { FrameChain } from "./frame_chain.ts";

/** What the end of a key means: connect again, or stop. */
export type KeyVerdict = { readonly kind: "again" } | { readonly kind: "stop"; readonly keyId: string };

/** The batch keys of one producer, as its gateway takes them. */
export class KeyDesk {
  readonly #chain: FrameChain;
  /** Keys whose frames were refused. A restart asks again. */
  readonly #retired = new Set<string>();
  /** Keys that this session has named, in its Hello and in frames. */
  readonly #named = new Set<string>();

  constructor(chain: FrameChain) {
    this.#chain = chain;
  }

  /** A session begins, in the name of the key that signs now. */
  greeted(): void {
    this.#named.clear();
    this.#named.add(this.#chain.keyId);
  }

  /** A frame goes out. */
  sent(keyId: string): void {
    this.#named.add(keyId);
  }

  /** A frame was refused because its key has ended. */
  refused(frame: { readonly epoch: number; readonly lastSeq: number }): KeyVerdict {
    const keyId = this.#chain.keyOf(frame.epoch, frame.lastSeq);
    if (keyId === undefined) return this.ended();
    if (keyId === this.#chain.keyId) return { kind: "stop", keyId };
    this.#retired.add(keyId);
    return { kind: "again" };
  }

  /** The session was ended because a key that it had named has ended. Where that may have been an older one, the next session tells. */
  ended(): KeyVerdict {
    const { keyId } = this.#chain;
    return [...this.#named].some((named) => named !== keyId) ? { kind: "again" } : { kind: "stop", keyId };
  }

  /** Whether frames from this position on will be refused as they are. */
  bars(position: number): boolean {
    return this.#chain.isSignedBy(this.#retired, position);
  }
}
