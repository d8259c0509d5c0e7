/**
 * Why it exists: a host whose clock is wrong can verify no certificate's dates; it needs the time from somebody whom it trusts for another reason.
 * Enforces: the key that signs time is made when the process starts, lives in memory only, and is vouched for by the authority whose pin or certificate
 * the asker has; an answer names the asker's nonce.
 * Forbids: the authority's own key on anything that a stranger sends.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { ed25519Sign, rawPublicKey, type SignedTime, timeBytes } from "ransomeye-ingestion/protocol";
import type { Clock } from "ransomeye-kernel";
import type { Authority } from "../registry/authority.ts";

/** Signs the time. */
export class TimeKey {
  readonly #clock: Clock;
  readonly #private: KeyObject;
  readonly #public: Buffer;
  #endorsed: { readonly pin: string; readonly endorsement: Buffer } | undefined;

  constructor(clock: Clock) {
    const { privateKey } = generateKeyPairSync("ed25519");
    this.#clock = clock;
    this.#private = privateKey;
    this.#public = rawPublicKey(privateKey);
  }

  /** The time, now, for whoever made the nonce. */
  sign(nonce: Buffer, authority: Authority): SignedTime {
    if (this.#endorsed?.pin !== authority.pin) this.#endorsed = { pin: authority.pin, endorsement: authority.endorseTimeKey(this.#public) };
    const timeUs = this.#clock.nowUs();
    const signature = ed25519Sign(timeBytes(nonce, timeUs), this.#private);
    return { timeUs, nonce, timeKey: this.#public, endorsement: this.#endorsed.endorsement, signature };
  }
}
