/**
 * Why: a receipt is an obligation (promise 1), and with R-5 also the proof of what a server once held; so it is signed.
 * Enforces: the signature covers the producer, the whole receipt and the list of invalid events.
 * Forbids: a receipt that could be shown for another producer: its id is signed although it is not sent.
 */

import { createHash, type KeyObject } from "node:crypto";
import type { Receipt } from "./messages.ts";
import { ed25519Sign, ed25519Verify, signedBytes, u32, u64, uuidBytes } from "./signed_bytes.ts";

/** The signed fields of a receipt. */
export type ReceiptFields = Omit<Receipt, "signature">;

/** `lp("ransomeye.receipt.v1")`, producer, epoch, durable_seq, chain_hash, stored_epoch, stored_seq, received_us, SHA-256 of the invalid list, invalid_more. */
export function receiptBytes(producer: string, receipt: ReceiptFields): Buffer {
  return signedBytes("ransomeye.receipt.v1", [
    uuidBytes(producer),
    u64(receipt.epoch),
    u64(receipt.durableSeq),
    receipt.chainHash,
    u64(receipt.storedEpoch),
    u64(receipt.storedSeq),
    u64(receipt.receivedUs),
    invalidDigest(receipt),
    u32(receipt.invalidMore),
  ]);
}

/** Signs a receipt with the gateway's receipt key. */
export function signReceipt(producer: string, receipt: ReceiptFields, receiptKey: KeyObject): Buffer {
  return ed25519Sign(receiptBytes(producer, receipt), receiptKey);
}

/** Whether the receipt was signed with this key for this producer. */
export function verifyReceipt(producer: string, receipt: Receipt, publicKey: KeyObject): boolean {
  return ed25519Verify(receiptBytes(producer, receipt), receipt.signature, publicKey);
}

/** Bytes that a producer signs to open an epoch; the session's nonce keeps them from being replayed. */
export function openEpochBytes(producer: string, expectedEpoch: number, sessionNonce: Buffer): Buffer {
  return signedBytes("ransomeye.open_epoch.v1", [uuidBytes(producer), u64(expectedEpoch), sessionNonce]);
}

/** SHA-256 over `u64 seq ‖ u32 code ‖ lp(reason)` of each invalid event, in order. */
function invalidDigest(receipt: ReceiptFields): Buffer {
  const hash = createHash("sha256");
  for (const event of receipt.invalid) hash.update(u64(event.seq)).update(u32(event.code)).update(signedBytes(event.reason, []));
  return hash.digest();
}
