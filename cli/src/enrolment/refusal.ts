/**
 * Why it exists: what an agent is refused with over the network has its own table of codes, shared with the agent.
 * Enforces: nothing but these codes and messages of ours leaves the listener.
 * Forbids: internals in messages.
 */
import { ENROL_CODES, type EnrolCode } from "ransomeye-ingestion/protocol";
import { type ErrorOptions, RansomeyeError } from "ransomeye-kernel";

/** A request of an agent that is refused. */
export class EnrolRefusal extends RansomeyeError<EnrolCode> {
  /** When to come back, where that helps. */
  readonly retryAfterMs: number;

  constructor(
    code: EnrolCode,
    message: string = ENROL_CODES[code].meaning,
    options: ErrorOptions & { readonly retryAfterMs?: number } = {},
  ) {
    super(ENROL_CODES, code, message, options);
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}
