/**
 * Why it exists: the door of `cli`: what tools and tests may know of it.
 * Enforces: the tables from which reference pages are made, and the parts that a proof over a simulated year runs without their processes.
 * Forbids: use by other rooms: nothing stands above the command line.
 */
export { CLI_CODES, type CliCode, CliError, EXITS, type ExitName } from "./errors.ts";
export { type EventEvidence, eventEvidence, type EvidenceSources } from "./evidence/event_evidence.ts";
export { type EventId, parseEventId } from "./queries/events.ts";
export { exportEvidence } from "./evidence/export.ts";
export { Retention } from "./roles/retention.ts";
export { SealStore } from "./sealing/seal_store.ts";
export { Sealer } from "./sealing/sealer.ts";
export { SealerKeys } from "./sealing/sealer_keys.ts";
export { statedPlan } from "./host/reference_page.ts";
export { indexFigures } from "./queries/index_figures.ts";
export { findByValues } from "./queries/pivot.ts";
export { openReader } from "./reader.ts";
export { referencePages } from "./reference_page.ts";
