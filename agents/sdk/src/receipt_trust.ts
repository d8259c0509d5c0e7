/**
 * Why: a receipt is worth what its signature is worth, and that hangs on whose key is believed.
 * Enforces: keys pinned at enrolment where there are any; otherwise the key that a gateway told in its first Welcome, over mutual TLS, and no other after.
 * Forbids: honouring a receipt that does not verify.
 */
import type { KeyObject } from "node:crypto";
import { importPublicKey, type Receipt, verifyReceipt, type Welcome } from "ransomeye-ingestion/protocol";
import { SdkError } from "./codes.ts";

/** Gateways whose key is remembered at most. */
const pinsMax = 256;

/** Decides which receipts of one producer are believed. */
export class ReceiptTrust {
  readonly #producer: string;
  readonly #enrolled: ReadonlySet<string>;
  readonly #pins: Map<string, string>;
  #key: KeyObject | undefined;

  constructor(producer: string, enrolled: readonly Buffer[], pins: Readonly<Record<string, string>>) {
    this.#producer = producer;
    this.#enrolled = new Set(enrolled.map((key) => key.toString("hex")));
    this.#pins = new Map(Object.entries(pins));
  }

  /** Keys by gateway, to be kept. */
  get pins(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#pins);
  }

  /** Settles the key of a session. Returns why it is not believed, or whether a pin was added. */
  welcome(welcome: Welcome): SdkError | { readonly pinned: boolean } {
    this.#key = undefined;
    const told = welcome.receiptPublicKey.toString("hex");
    const imported = importPublicKey(welcome.receiptPublicKey);
    if (imported.kind === "refused") return new SdkError("SDK_RECEIPT_KEY_CHANGED", `the receipt key is not one: ${imported.detail}`);
    const known = this.#pins.get(welcome.gateway);
    const believed = this.#enrolled.size > 0 ? this.#enrolled.has(told) : known === undefined ? this.#pins.size < pinsMax : known === told;
    if (!believed) return new SdkError("SDK_RECEIPT_KEY_CHANGED", `gateway ${welcome.gateway} signs with a key that is not pinned`);
    this.#key = imported.value;
    if (this.#enrolled.size > 0 || known !== undefined) return { pinned: false };
    this.#pins.set(welcome.gateway, told);
    return { pinned: true };
  }

  /** Whether this receipt is signed for us with the session's key. */
  believes(receipt: Receipt): boolean {
    return this.#key !== undefined && verifyReceipt(this.#producer, receipt, this.#key);
  }
}
