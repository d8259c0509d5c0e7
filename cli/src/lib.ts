/**
 * Why it exists: the door of `cli`: what tools and tests may know of it.
 * Enforces: the tables from which reference pages are made.
 * Forbids: use by other rooms: nothing stands above the command line.
 */
export { buildProgram } from "./commands/program.ts";
export { commandTable } from "./commands/table.ts";
export { CLI_CODES, type CliCode, CliError, EXITS, type ExitName } from "./errors.ts";
export { type EventEvidence, eventEvidence, type EvidenceSources } from "./evidence/event_evidence.ts";
export { type EventId, parseEventId } from "./queries/events.ts";
export { openReader } from "./reader.ts";
export { referencePages } from "./reference_page.ts";
