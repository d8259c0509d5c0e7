/**
 * Why: whatever the gate refuses, a producer, an operator and a test must be able to name, and each must learn what happens next.
 * Enforces: one closed table. Each code has the step it arises in, a disposition, a meaning, a next step, the gRPC status that ends a stream
 *   with it, and what the producer's software does. Refusals of the hot path travel as values; `IngestError` is thrown to the operator only.
 * Forbids: matching on messages, codes that are not in this table, and refusals that are not counted under one of them.
 */
import { type CodeTable, type ErrorOptions, RansomeyeError } from "ransomeye-kernel";
import type { IngestCodeSpec } from "./code_spec.ts";
import { type ConnectionCode, connectionCodes } from "./connection_codes.ts";
import { type FrameCode, frameCodes } from "./frame_codes.ts";

export type { DuplicateCode } from "./frame_codes.ts";

export { grpcStatus, type IngestCodeSpec } from "./code_spec.ts";

/** Every code of the gateway. */
export type IngestCode = ConnectionCode | FrameCode;

/** The closed table; the reference page is generated from it. */
export const INGEST_CODES: CodeTable<IngestCode> & Readonly<Record<IngestCode, IngestCodeSpec>> = Object.freeze({
  ...connectionCodes,
  ...frameCodes,
});

/** Thrown to the operator at start; never for what a producer does. */
export class IngestError extends RansomeyeError<IngestCode> {
  constructor(code: IngestCode, message: string, options?: ErrorOptions) {
    super(INGEST_CODES, code, message, options);
  }
}
