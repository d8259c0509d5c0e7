/**
 * What a code of the gateway says.
 *
 * Why: the producer's software, its operator and the gateway's operator each need another part of the same fact.
 * Enforces: one shape for every row.
 * Forbids: free text where a program decides: `disposition`, `grpc` and `answer` are closed sets.
 */
import type { CodeSpec, Disposition } from "ransomeye-kernel";
import type { RejectNext } from "../protocol/lib.ts";

/** gRPC status codes that the gate uses. */
export const grpcStatus = {
  ok: 0,
  invalidArgument: 3,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** A code's row: the kernel's four columns, the gRPC status of a stream that ends with it, and what the producer's software does. */
export interface IngestCodeSpec extends CodeSpec {
  readonly grpc: number;
  readonly answer: RejectNext;
}

/** One row. `stage` is the step in which the code arises. */
export function spec(
  stage: string,
  disposition: Disposition,
  grpc: number,
  answer: RejectNext,
  meaning: string,
  next: string,
): IngestCodeSpec {
  return Object.freeze({ stage, disposition, grpc, answer, meaning, next });
}
