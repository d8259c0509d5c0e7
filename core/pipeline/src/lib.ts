/**
 * The door of `ransomeye-pipeline`: the bus port and the ways to open one. Nobody reaches past it.
 */
export type {
  AcquireOptions,
  AppendOptions,
  AppendOutcome,
  Bus,
  BusControl,
  BusEntry,
  BusPressure,
  EpochEnd,
  FrameAppend,
  FrameAccepter,
  FrameAppender,
  FrameKind,
  FrameLink,
  FrameLog,
  FrameReader,
  GateReport,
  PressureQuestion,
  QuarantinedProducer,
  GroupLag,
  Groups,
  Lease,
  OpenEpochOutcome,
  OpenEpochRequest,
  PartitionTail,
  Position,
  ProducerHead,
  ProducerKind,
  ReadOptions,
  StoredHead,
  StoredProgress,
} from "./bus.ts";
export {
  advance,
  type ChainHead,
  chainEnd,
  judge,
  type Known,
  needsKnown,
  noHead,
  openEpoch,
  partitionOf,
  type Verdict,
  zeroHash,
} from "./append_machine.ts";
export { BUS_CODES, type BusCode, BusError } from "./errors.ts";
export { type MemoryBus, openMemoryBus } from "./memory/bus.ts";
export type { MemoryBusOptions } from "./memory/log.ts";
export type { NotedHead } from "./noted_head.ts";
export { archiveFrames, noteEnds, noteHeads } from "./postgres/archive.ts";
export { openPostgresAppender, type PostgresAppenderOptions } from "./postgres/appender.ts";
export {
  type Consumer,
  openPostgresBus,
  openPostgresConsumer,
  openPostgresControl,
  type PostgresBusOptions,
  type PostgresConsumerOptions,
} from "./postgres/bus.ts";
export {
  openRedisAppender,
  openRedisBus,
  openRedisConsumer,
  openRedisControl,
  prepareRedisBus,
  type RedisBusOptions,
  type RedisControls,
} from "./redis_streams/bus.ts";
export type { BusSettings, Founding, FoundingHead, Preparation } from "./redis_streams/prepare.ts";
export type { Durability } from "./redis_streams/server_facts.ts";
