/**
 * The door of `ransomeye-engine`: frames become typed rows, exactly once. Nobody reaches past it.
 */
export { ENGINE_CODES, type EngineCode, EngineError } from "./codes.ts";
export { type Engine, type EngineOptions, type EngineParts, engineGroup, runEngine, startEngine } from "./engine.ts";
export * as engineEvents from "./events.ts";
export { forensicsGroup, forensicsRequestId, startForensicsTrigger, type ForensicsTriggerOptions } from "./forensics_trigger.ts";
export { relayOutbox, type RelayOptions, writeOutbox } from "./outbox.ts";
export type { Probe, SinkStep } from "./probe.ts";
export { rebuildDay, type RebuildOptions, type RebuildOutcome, type RebuildStep } from "./rebuild.ts";
export { type PreparedFrame, RowBatch } from "./row_batch.ts";
export {
  type EpochFinal,
  type FrameFact,
  type FrameVerdict,
  type GroupPlan,
  type Halt,
  type HeadMove,
  type Run,
  type RunPlan,
  type SinkHead,
  type SinkView,
  closedEpochsNeeded,
  finalKey,
  judgeFrame,
  planGroup,
  producersOf,
} from "./sink_machine.ts";
export { type CommitGroup, type RunOutcome, type SinkStore, type StoreRun, type StoredCounts, countsOf, offsetOf } from "./sink_store.ts";
export { type EventTable, type DeadLetter, type Gap, eventColumns, eventTables, tableOfKind } from "./tables.ts";
export { IndexBuilder, type IndexBuilderOptions, type IndexRound, type IndexStep } from "./observables/index_builder.ts";
export { type CandidateFrame, IndexReader } from "./observables/index_reader.ts";
export { IndexStore } from "./observables/index_store.ts";
export { type KeyOf, keysUnder } from "./observables/observable_key.ts";
