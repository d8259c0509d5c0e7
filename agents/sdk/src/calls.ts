/**
 * Why: callers hand over lines and want to know what became of them; frames know only sequences.
 * Enforces: every call is answered once when its lines are spooled and once when they are receipted, with no object for a single event of a bulk call.
 * Forbids: an answer before the spool or the receipt says so.
 */
import type { InvalidEvent } from "ransomeye-ingestion/protocol";
import type { SdkError } from "./codes.ts";
import type { SettleAnswer } from "./machine_types.ts";

/** Consecutive sequences of one epoch. */
export interface SeqRange {
  readonly epoch: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** An event that became a dead letter. */
export interface InvalidDelivery {
  /** Position among the lines of the call, from 0. */
  readonly line: number;
  /** `<producer>:<epoch>:<seq>`. */
  readonly id: string;
  readonly code: number;
  readonly reason: string;
}

/** What a receipt said about the lines of a call. */
export interface DeliverySummary {
  /** In order; more than one where an epoch changed in between. */
  readonly ranges: readonly SeqRange[];
  readonly invalid: readonly InvalidDelivery[];
  /** Further invalid events among the acknowledged ones that no receipt had room to name. */
  readonly invalidMore: number;
  /** Whether receipts told of every line. If not, the answer came after a reconnect, and invalid events are known to the server only. */
  readonly known: boolean;
  /** Lines that were given up and are declared lost; they have no range. Absent where there are none, as always while callers wait for room. */
  readonly lost?: number;
}

/** What became of one event. */
export interface Delivery {
  /** Empty where the event is lost. */
  readonly id: string;
  /** It was given up and is declared lost. */
  readonly lost?: true;
  /** Present where the event became a dead letter. */
  readonly invalid?: { readonly code: number; readonly reason: string };
  readonly known: boolean;
}

/** The batch with a call's last line, and how many lines of that batch come up to it. */
export interface CallEnd {
  readonly index: number;
  readonly place: number;
}

/** Lines on their way. */
export class Call {
  readonly lines: number;
  readonly spooled: Promise<CallEnd>;
  readonly receipt: Promise<DeliverySummary>;
  readonly #producer: string;
  #spooled!: (end: CallEnd) => void;
  #spoolFailed!: (error: SdkError) => void;
  #receipted!: (summary: DeliverySummary) => void;
  #receiptFailed!: (error: SdkError) => void;
  #left: number;
  #known = true;
  #invalidMore = 0;
  #lost = 0;
  readonly #ranges: SeqRange[] = [];
  readonly #invalid: InvalidDelivery[] = [];

  constructor(producer: string, lines: number) {
    this.#producer = producer;
    this.lines = lines;
    this.#left = lines;
    this.spooled = new Promise((resolve, reject) => {
      this.#spooled = resolve;
      this.#spoolFailed = reject;
    });
    this.receipt = new Promise((resolve, reject) => {
      this.#receipted = resolve;
      this.#receiptFailed = reject;
    });
    // Who ignores one of the two must not end the process by it.
    this.spooled.catch(() => undefined);
    this.receipt.catch(() => undefined);
  }

  /** The frame with the call's last line is durable. */
  markSpooled(end: CallEnd): void {
    this.#spooled(end);
  }

  /** None of its lines found room, and their declaration is durable. */
  markLost(): void {
    this.#lost = this.lines;
    this.#left = 0;
    this.#spooled({ index: 0, place: 0 });
    this.#answer();
  }

  /** Lines `offset` to `offset + count` of this call were acknowledged as these sequences. */
  settle(
    part: CallPart,
    range: SeqRange,
    answer: SettleAnswer,
    invalid: readonly InvalidEvent[],
    invalidMore: number,
    diverged: SdkError,
  ): void {
    if (answer === "diverged") this.#receiptFailed(diverged);
    this.#left -= part.count;
    if (answer === "lost") {
      this.#lost += part.count;
      this.#answer();
      return;
    }
    this.#known &&= answer === "receipt";
    this.#invalidMore += invalidMore;
    const last = this.#ranges.at(-1);
    if (last !== undefined && last.epoch === range.epoch && last.lastSeq + 1 === range.firstSeq)
      this.#ranges[this.#ranges.length - 1] = { ...last, lastSeq: range.lastSeq };
    else this.#ranges.push(range);
    for (const event of invalid) {
      if (event.seq < range.firstSeq || event.seq > range.lastSeq) continue;
      const line = part.offset + event.seq - range.firstSeq;
      this.#invalid.push({ line, id: `${this.#producer}:${range.epoch}:${event.seq}`, code: event.code, reason: event.reason });
    }
    this.#answer();
  }

  #answer(): void {
    if (this.#left > 0) return;
    const summary = { ranges: this.#ranges, invalid: this.#invalid, invalidMore: this.#invalidMore, known: this.#known };
    this.#receipted(this.#lost === 0 ? summary : { ...summary, lost: this.#lost });
  }

  /** Nobody will answer any more. */
  fail(error: SdkError): void {
    this.#spoolFailed(error);
    this.#receiptFailed(error);
  }
}

/** The lines of one call within one frame. */
export interface CallPart {
  readonly call: Call;
  /** Position of the first of them within the call. */
  readonly offset: number;
  /** Position of the first of them within the frame. */
  readonly start: number;
  readonly count: number;
}

/** The calls behind the frames that have no answer yet. */
export class CallBook {
  readonly #frames = new Map<number, readonly CallPart[]>();
  #unspooled = 0;

  /** A frame was handed to the spool. */
  add(index: number, parts: readonly CallPart[]): void {
    this.#frames.set(index, parts);
    if (this.#unspooled === 0) this.#unspooled = index;
  }

  /** Frames up to this index, and the calls that end in them, are durable. */
  spooled(through: number): void {
    for (; this.#unspooled > 0 && this.#unspooled <= through; this.#unspooled += 1) {
      for (const { call, offset, start, count } of this.#frames.get(this.#unspooled) ?? []) {
        if (offset + count === call.lines) call.markSpooled({ index: this.#unspooled, place: start + count });
      }
    }
  }

  /** A frame was answered. `invalidMore` is charged to the frame's last call, the nearest that one can tell. */
  settle(
    index: number,
    range: SeqRange,
    answer: SettleAnswer,
    invalid: readonly InvalidEvent[],
    invalidMore: number,
    diverged: SdkError,
  ): void {
    const parts = this.#frames.get(index) ?? [];
    this.#frames.delete(index);
    for (const [at, part] of parts.entries()) {
      const firstSeq = range.firstSeq + part.start;
      const own = { epoch: range.epoch, firstSeq, lastSeq: firstSeq + part.count - 1 };
      part.call.settle(part, own, answer, invalid, at === parts.length - 1 ? invalidMore : 0, diverged);
    }
  }

  /** Every call that waits fails. */
  fail(error: SdkError): void {
    for (const parts of this.#frames.values()) for (const { call } of parts) call.fail(error);
    this.#frames.clear();
  }
}
