/**
 * Why: a producer's batch keys, as the registry and the gateway see them. Enforces: keys follow each other in the order of their names, and end in that order.
 */
import { type FrameHeader, keyRetiredCode, lastSeqOf, type ServerMessage } from "ransomeye-ingestion/protocol";

/** The first batch key. */
export const keyId = "0000000000000000";

/** The batch keys of one producer. */
export class KeysModel {
  /** The key on the producer's disk; a process takes it up at its start, or when it hears of it. */
  current: string = keyId;
  /** Every key before this one has ended. */
  inForceFrom: string = keyId;
  #rotations = 0;

  rotate(): void {
    this.#rotations += 1;
    this.current = this.#rotations.toString(16).padStart(16, "0");
  }

  /** The overlap is over. */
  endOlder(): void {
    this.inForceFrom = this.current;
  }

  /** What the gateway says to a frame whose key has ended. */
  refusal(header: FrameHeader): ServerMessage | undefined {
    if (header.keyId >= this.inForceFrom) return undefined;
    const { epoch, firstSeq } = header;
    const lastSeq = lastSeqOf(header);
    return { kind: "reject", epoch, firstSeq, lastSeq, code: keyRetiredCode, message: "", next: "stop", expected: undefined };
  }
}
