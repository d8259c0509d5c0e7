/**
 * Why: an operator who reads an error must learn what happens next, and code must never match messages.
 * Enforces: one class per room over a closed table of codes; each code has a stage, a disposition, a meaning and a next step.
 * Forbids: codes outside their table, and exceptions for outcomes that the hot path expects (those are returned unions).
 */

/**
 * What becomes of the work that failed: `retry` it unchanged, `reject` it back to whoever sent it, `dead_letter` it (kept, counted, shown),
 * or `fatal`, the process cannot go on.
 */
export type Disposition = "retry" | "reject" | "dead_letter" | "fatal";

/** One row of a code table: where the error arises, what becomes of the work, what it means, and what the operator does next. */
export interface CodeSpec {
  readonly stage: string;
  readonly disposition: Disposition;
  readonly meaning: string;
  readonly next: string;
}

/** A room's closed set of codes. The reference page is generated from these tables. */
export type CodeTable<C extends string> = Readonly<Record<C, CodeSpec>>;

/** `cause` keeps the error underneath; `fields` are bounded facts for the log line, never secrets. */
export interface ErrorOptions {
  readonly cause?: unknown;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Base of every room's error class. Match `code` (or use `hasCode`), never `message`. */
export abstract class RansomeyeError<C extends string = string> extends Error {
  readonly code: C;
  readonly stage: string;
  readonly disposition: Disposition;
  readonly next: string;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(table: CodeTable<C>, code: C, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    const spec = table[code];
    this.name = new.target.name;
    this.code = code;
    this.stage = spec.stage;
    this.disposition = spec.disposition;
    this.next = spec.next;
    this.fields = Object.freeze({ ...options.fields });
  }
}

/** True if `error` is one of ours and carries exactly this code. Causes are not searched: whoever wraps an error decides its code. */
export function hasCode<C extends string>(error: unknown, code: C): error is RansomeyeError<C> {
  return error instanceof RansomeyeError && error.code === code;
}

/** Thrown by `invariant` alone. A defect in this program: nobody catches it to go on, a supervisor restarts the process. */
export class DefectError extends Error {
  override readonly name = "DefectError";
}

/** Asserts what must hold if the program is right. For a defect, never for an outcome that input or the network can cause. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new DefectError(`defect: ${message}`);
}
