/**
 * Why: the second door of the gate's room: the wire protocol, shared by gateway, engine and producers.
 * Enforces: pure functions over bytes; the same bytes mean the same everywhere.
 * Forbids: sockets, clocks, configuration.
 */

// The wire: signed bytes, messages, framing.
export * from "./protocol_errors.ts";
export { ed25519Sign, ed25519Verify, isUuid, readU64, signedBytes, u32, u64, uuidBytes, uuidText, writeU64 } from "./signed_bytes.ts";
export type { SignedField } from "./signed_bytes.ts";
export * from "./frame.ts";
export { encodeGap, type GapReason, gapReasons, isGapReason } from "./gap.ts";
export { reasonOfGap } from "./gap_reason.ts";
export * from "./ed25519_keys.ts";
export type { MessageCodec, UnknownMessage } from "./proto.ts";
export * from "./messages.ts";
export * from "./grpc_wire.ts";
export * from "./verdicts.ts";
export * from "./receipt.ts";
export * from "./enrolment.ts";
export * from "./enrolment_codes.ts";
export * from "./enrolment_token.ts";
export * from "./enrolment_wire.ts";
export type { WireShape } from "./json_shape.ts";
export * from "./versioning.ts";

// What an event is: schema, canonical form, verdicts, columns.
export * from "./event_objects.ts";
export * from "./event_schema.ts";
export * from "./invalid_codes.ts";
export { boundsFault, type EventLimits, lineBoundsFault, type JsonBounds } from "./event_bounds.ts";
export * from "./event_check.ts";
export { holdFinding } from "./findings.ts";
export { jsonFault, printable } from "./json_fault.ts";
export { lineEnd, parseLine, splitLines, unparsed, type LineSplit } from "./line_parse.ts";
export * from "./validation.ts";
export * from "./canonical.ts";
export { type ColumnText, TextBytes } from "./column_text.ts";
export * from "./normalise.ts";
export { type PressureBounds, pressureBounds } from "./pressure_bounds.ts";
export { referencePages, renderEventSchemaPage } from "./schema_page.ts";

// What can be pivoted on.
export * from "./observables.ts";
export { observablesOf, scanObservables, type TakeText, textOf, written } from "./observable_scan.ts";
