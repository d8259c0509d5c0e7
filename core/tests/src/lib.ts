/**
 * Why: measurements (bench) and proofs run the same system in the same way.
 * Enforces: one harness for both, one way to read their command lines, and one way to say where a figure comes from.
 * Forbids: use by production code; nothing here ships.
 */
export { writeNumberedEvents } from "./crash/numbered_events.ts";
export { floods, runFlood } from "./gate/floods.ts";
export { openResult, type Page, type Part, type Table } from "./results/result_file.ts";
export { RANSOMEYE_BIN, type Runtime, RunningSystem } from "./harness/running_system.ts";
