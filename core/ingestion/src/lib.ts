/**
 * Why: the door of the gateway.
 * Enforces: what other rooms may know of it: how it is started, its ports, its codes and its pure heart (for the simulation).
 * Forbids: reaching past this file.
 */
export type {
  DirectoryCertificate,
  DirectoryChange,
  DirectoryEntry,
  DirectoryKey,
  ProducerDirectory,
  ProducerStatus,
  TransmissionLog,
  TransmissionTotals,
} from "./ports.ts";
