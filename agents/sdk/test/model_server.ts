/**
 * Why: the gateway, the bus and the rows, as far as a producer can tell. Enforces: append if next, and nothing else; counts what must never be.
 */
import { type FrameHeader, type Head, lastSeqOf, type ServerMessage, zeroHash } from "ransomeye-ingestion/protocol";

interface Accepted {
  readonly header: FrameHeader;
  readonly payload: Buffer;
}

/** What a producer says. */
export type ClientWord =
  | { readonly kind: "hello" }
  | { readonly kind: "frame"; readonly header: FrameHeader; readonly payload: Buffer }
  | { readonly kind: "openEpoch"; readonly expectedEpoch: number };

/** The gateway, the bus and the rows, as far as a producer can tell. */
export class ServerModel {
  head: Head = { epoch: 0, seq: 0, hash: zeroHash, prevEpoch: 0, prevSeq: 0, prevHash: zeroHash };
  stored: { epoch: number; seq: number } = { epoch: 0, seq: 0 };
  accepted: Accepted[] = [];
  /** Contents ever seen for a sequence: a second one is equivocation. */
  readonly seen: Map<string, string> = new Map();
  equivocations = 0;
  epochsOpened = 0;

  openEpoch(expected: number): ServerMessage {
    if (expected !== this.head.epoch) return this.reject(0, 0);
    const { epoch, seq, hash } = this.head;
    this.head = { epoch: epoch + 1, seq: 0, hash: zeroHash, prevEpoch: epoch, prevSeq: seq, prevHash: hash };
    this.epochsOpened += 1;
    return { kind: "epochOpened", epoch: epoch + 1, prevEpoch: epoch, prevSeq: seq, prevHash: hash };
  }

  frame(header: FrameHeader, payload: Buffer): ServerMessage {
    const name = `${header.epoch}:${header.firstSeq}`;
    const known = this.seen.get(name);
    if (known !== undefined && known !== header.hash.toString("hex")) this.equivocations += 1;
    this.seen.set(name, header.hash.toString("hex"));
    const { head } = this;
    const last = lastSeqOf(header);
    if (header.epoch !== head.epoch)
      return { ...this.reject(header.firstSeq, last), kind: "reject", code: "INGEST_FENCED", next: "stop" } as ServerMessage;
    if (last <= head.seq) return this.receipt();
    const prev = head.seq === 0 ? { epoch: head.prevEpoch, seq: head.prevSeq, hash: head.prevHash } : head;
    const next =
      header.firstSeq === head.seq + 1 &&
      header.prevEpoch === prev.epoch &&
      header.prevSeq === prev.seq &&
      header.prevHash.equals(prev.hash);
    if (!next) return this.reject(header.firstSeq, last);
    this.accepted.push({ header, payload });
    this.head = { ...head, seq: last, hash: header.hash };
    return this.receipt();
  }

  receipt(): ServerMessage {
    const { epoch, seq, hash } = this.head;
    return {
      kind: "receipt",
      epoch,
      durableSeq: seq,
      chainHash: hash,
      storedEpoch: this.stored.epoch,
      storedSeq: this.stored.seq,
      receivedUs: 1,
      invalid: [],
      invalidMore: 0,
      signature: Buffer.alloc(64),
    };
  }

  welcome(credit: { bytes: number; events: number }): ServerMessage {
    return {
      kind: "welcome",
      protocolVersion: 1,
      schemaVersion: 1,
      head: this.head,
      storedEpoch: this.stored.epoch,
      storedSeq: this.stored.seq,
      limits: { frameBytesMax: 1, frameEventsMax: 1, lineBytesMax: 1 },
      lingerMs: 20,
      creditBytesTotal: credit.bytes,
      creditEventsTotal: credit.events,
      sessionNonce: Buffer.alloc(16),
      receiptPublicKey: Buffer.alloc(32),
      clockUs: 1,
      gateway: "model",
    };
  }

  reject(firstSeq: number, lastSeq: number): ServerMessage {
    return {
      kind: "reject",
      epoch: this.head.epoch,
      firstSeq,
      lastSeq,
      code: "INGEST_GAP",
      message: "",
      next: "resend",
      expected: this.head,
    };
  }

  /** Everything that a reader of rows would see, in order. */
  get events(): number[] {
    return this.accepted.flatMap(({ header, payload }) => (header.kind === "gap" ? [] : (JSON.parse(payload.toString()) as number[])));
  }

  /** What stands between the events that arrived: each event arrived, or is counted in a gap in its place. Undefined where that holds. */
  unaccounted(eventsMax: number): string | undefined {
    let next = 1;
    let declared = 0;
    const judge = (id: number): string | undefined =>
      id - next === declared ? undefined : `before event ${id}: ${id - next} did not arrive, ${declared} are declared`;
    for (const { header, payload } of this.accepted) {
      if (header.kind === "gap") {
        declared += header.count;
        continue;
      }
      for (const id of JSON.parse(payload.toString()) as number[]) {
        const fault = judge(id);
        if (fault !== undefined) return fault;
        next = id + 1;
        declared = 0;
      }
    }
    return judge(eventsMax + 1);
  }
}
