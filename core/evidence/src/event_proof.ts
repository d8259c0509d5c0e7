/**
 * Why it exists: a stored event can be proven to be what its producer signed; these are the checks, one by one.
 * Enforces: everything is computed again from the frame's bytes and the registered key; nothing that the database states is believed.
 * Forbids: I/O, and a check that cannot fail.
 */
import { createHash } from "node:crypto";
import { decodeHeader, frameHash, importPublicKey, type RowColumns, verifyHeader, zeroHash } from "ransomeye-ingestion/protocol";
import { rowFault } from "./derived_row.ts";

/** A frame as the database gave it back. */
export interface EvidenceFrame {
  readonly producer: string;
  readonly receivedUs: number;
  readonly header: Buffer;
  readonly signature: Buffer;
  readonly verdicts: Buffer;
  readonly payload: Buffer;
}

/** Where the event stands, and what its row says. */
export interface EvidenceEvent {
  readonly epoch: number;
  readonly seq: number;
  /** The row's columns that are derived from the event; absent for a dead letter. */
  readonly row?: RowColumns & { readonly line: number; readonly byteOffset: number; readonly byteLength: number };
}

export interface EvidenceInput {
  readonly frame: EvidenceFrame;
  readonly event: EvidenceEvent;
  /** Raw public key that the registry holds for this producer under a key id, if any. */
  readonly publicKeyOf: (keyId: string) => Buffer | undefined;
  /** Header of the producer's frame before this one, wherever its chain has it; undefined if there is none any more. */
  readonly previousHeader: Buffer | undefined;
}

export type CheckName = "signature" | "header" | "payload_hash" | "chain_link" | "place" | "row";

export interface Check {
  readonly name: CheckName;
  readonly ok: boolean;
  readonly detail: string;
}

export interface Proof {
  readonly ok: boolean;
  readonly checks: readonly Check[];
  /** The event's line without its line feed, byte for byte as it was signed. */
  readonly line: Buffer;
  readonly keyId: string;
  readonly frameHash: string;
}

/** Runs every check. Never throws for what a frame may hold. */
export function proveEvent(input: EvidenceInput): Proof {
  const { frame, event } = input;
  const decoded = decodeHeader(frame.header);
  const hash = frameHash(frame.header).toString("hex");
  if (decoded.kind === "refused") {
    return {
      ok: false,
      checks: [check("header", false, `cannot be read: ${decoded.detail}`)],
      line: Buffer.alloc(0),
      keyId: "",
      frameHash: hash,
    };
  }
  const header = decoded.value;
  const payloadHash = createHash("sha256").update(frame.payload).digest();
  const checks = [
    signatureCheck(input, header.keyId),
    check(
      "header",
      header.producer === frame.producer &&
        header.epoch === event.epoch &&
        header.firstSeq <= event.seq &&
        event.seq < header.firstSeq + header.count,
      `signed for producer ${header.producer}, epoch ${header.epoch}, sequence ${header.firstSeq} to ${header.firstSeq + header.count - 1}`,
    ),
    check(
      "payload_hash",
      header.payloadHash.equals(payloadHash) && header.payloadBytes === frame.payload.length,
      `SHA-256 ${payloadHash.toString("hex")} over ${frame.payload.length} bytes`,
    ),
    linkCheck(input, header),
  ];
  const at = placeOf(frame, event.seq - header.firstSeq);
  const line = at === undefined ? Buffer.alloc(0) : frame.payload.subarray(at.from, at.to);
  if (event.row !== undefined) checks.push(placeCheck(event, header.firstSeq, at), rowCheck(event.row, line, frame.receivedUs));
  return { ok: checks.every((one) => one.ok), checks, line, keyId: header.keyId, frameHash: hash };
}

function signatureCheck({ frame, publicKeyOf }: EvidenceInput, keyId: string): Check {
  const publicKey = publicKeyOf(keyId);
  if (publicKey === undefined) return check("signature", false, `the registry holds no key ${keyId} of this producer`);
  const key = importPublicKey(publicKey);
  if (key.kind === "refused") return check("signature", false, key.detail);
  return check("signature", verifyHeader(frame.header, frame.signature, key.value), `Ed25519 by registered key ${keyId}`);
}

function linkCheck(
  { previousHeader }: EvidenceInput,
  header: { readonly prevEpoch: number; readonly prevSeq: number; readonly prevHash: Buffer },
): Check {
  const named = `frame that ends at epoch ${header.prevEpoch}, sequence ${header.prevSeq}`;
  if (header.prevEpoch === 0)
    return check("chain_link", header.prevSeq === 0 && header.prevHash.equals(zeroHash), "the producer's very first frame");
  if (previousHeader === undefined) return check("chain_link", false, `the ${named} is not in the log (missing, or removed by retention)`);
  const previous = decodeHeader(previousHeader);
  const ok =
    previous.kind === "decoded" &&
    frameHash(previousHeader).equals(header.prevHash) &&
    previous.value.epoch === header.prevEpoch &&
    previous.value.firstSeq + previous.value.count - 1 === header.prevSeq;
  return check("chain_link", ok, `names the ${named} by its hash ${header.prevHash.toString("hex")}`);
}

/** Where line `index` lies in the payload, by counting line feeds: the gate's verdicts are not asked, they are checked elsewhere. */
function placeOf(frame: EvidenceFrame, index: number): { readonly from: number; readonly to: number } | undefined {
  let from = 0;
  for (let line = 0; line < index; line += 1) {
    const end = frame.payload.indexOf(10, from);
    if (end < 0) return undefined;
    from = end + 1;
  }
  const to = frame.payload.indexOf(10, from);
  return to < 0 ? undefined : { from, to };
}

function placeCheck(event: EvidenceEvent, firstSeq: number, at: { readonly from: number; readonly to: number } | undefined): Check {
  const { row } = event;
  const ok =
    row !== undefined &&
    at !== undefined &&
    row.line === event.seq - firstSeq &&
    row.byteOffset === at.from &&
    row.byteLength === at.to - at.from;
  return check(
    "place",
    ok,
    row === undefined ? "" : `line ${row.line}, bytes ${row.byteOffset} to ${row.byteOffset + row.byteLength} of the frame`,
  );
}

function rowCheck(row: RowColumns, line: Buffer, receivedUs: number): Check {
  const fault = rowFault(row, line, receivedUs);
  return check("row", fault === undefined, fault ?? "every column derived again from the signed bytes equals the row");
}

function check(name: CheckName, ok: boolean, detail: string): Check {
  return { name, ok, detail };
}
