/**
 * Why: what a producer signs, it signs with the batch key that is in force at that moment, and a header names its key before it is signed.
 * Enforces: a signature is made only by the key that the header names.
 * Forbids: a key that changes while the heart takes a signal: the runner changes it between two, and the heart hears of it in the same breath.
 */
import type { KeyObject } from "node:crypto";
import { invariant } from "ransomeye-kernel";
import {
  decodeHeader,
  ed25519Sign,
  keyIdOf,
  mustDecode,
  type OpenEpoch,
  openEpochBytes,
  rawPublicKey,
  signHeader,
} from "ransomeye-ingestion/protocol";
import type { SignedHeader } from "./spool_record.ts";

/** Signs for one producer. */
export class BatchSigner {
  readonly #producer: string;
  #key: KeyObject;
  #keyId: string;

  constructor(producer: string, key: KeyObject) {
    this.#producer = producer;
    this.#key = key;
    this.#keyId = keyIdOf(rawPublicKey(key));
  }

  get keyId(): string {
    return this.#keyId;
  }

  /** From now on this key signs; false where it is the one that does already. */
  use(key: KeyObject): boolean {
    const keyId = keyIdOf(rawPublicKey(key));
    if (keyId === this.#keyId) return false;
    this.#key = key;
    this.#keyId = keyId;
    return true;
  }

  sign(header: Buffer): SignedHeader {
    invariant(mustDecode(decodeHeader(header)).keyId === this.#keyId, "a header names another key than the one that signs");
    return { header, signature: signHeader(header, this.#key) };
  }

  /** What asks for a new epoch within a session. */
  opening(expectedEpoch: number, sessionNonce: Buffer): Omit<OpenEpoch, "expectedEpoch"> {
    const signature = ed25519Sign(openEpochBytes(this.#producer, expectedEpoch, sessionNonce), this.#key);
    return { keyId: Buffer.from(this.#keyId, "hex"), signature, sessionNonce };
  }
}
