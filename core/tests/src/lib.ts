/**
 * Why: measurements (bench) and proofs run the same system in the same way.
 * Enforces: one harness for both.
 * Forbids: use by production code; nothing here ships.
 */
export { RANSOMEYE_BIN, type Runtime, RunningSystem } from "./harness/running_system.ts";
