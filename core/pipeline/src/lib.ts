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
export type { FeedItem, FeedPlaces } from "./feed/follower.ts";
export { type Lane, readLanes, seekLanes } from "./feed/lanes.ts";
export { type FeedFollower, type FollowOptions, MessageFeed, type MessageFeedOptions } from "./feed/message_feed.ts";
export {
  type ConsumeOptions,
  type ConsumerSpec,
  MessageQueueManager,
  type MessageQueueOptions,
  type Published,
  type PublishOptions,
  type ReplayOptions,
  type RunningConsumer,
} from "./message_queue.ts";
export { redrivenMessage } from "./messages/dead_letter.ts";
export { openMemoryMessages } from "./messages/memory_messages.ts";
export { type Message, MessagePriority, StreamName } from "./messages/message.ts";
export type {
  AiDecisionPayload,
  AlertPayload,
  AttackPayload,
  DeadLetterPayload,
  ForensicsPayload,
  StreamPayloads,
  TelemetryPayload,
} from "./messages/payloads.ts";
export type { Delivery, GroupStatus, MessageLog, PublishOutcome, Taken } from "./messages/port.ts";
export type { Ending, MessageOf, Received } from "./messages/received.ts";
export { type MessageLogOptions, messageLogDefaults } from "./messages/settings.ts";
export { uuidV5 } from "./messages/uuid_v5.ts";
export type { MemoryBusOptions } from "./memory/log.ts";
export { logLostReason } from "./redis_streams/log_lost.ts";
export type { NotedHead } from "./noted_head.ts";
export { archiveFrames, noteEnds, noteHeads } from "./postgres/archive.ts";
export type { ArchivedStream, ArchiveEntry, ArchivePlace, Forgettable, MessageArchive } from "./messages/archive.ts";
export { logHere, openMessageArchive, type PostgresArchiveOptions } from "./postgres/message_archive.ts";
export { openPostgresMessages, type PostgresMessagesOptions } from "./postgres/messages.ts";
export { readWindow, replayWindow, type WindowOptions } from "./postgres/window.ts";
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
  openRedisMessages,
  prepareRedisBus,
} from "./redis_streams/door.ts";
export type { RedisBusOptions, RedisControls } from "./redis_streams/bus.ts";
export type { BusSettings, Founding, FoundingHead, Preparation } from "./redis_streams/prepare.ts";
export type { Durability } from "./redis_streams/server_facts.ts";
export {
  type BusLogin,
  type BusPasswords,
  type BusUser,
  busServerFiles,
  busUserName,
  busUsersFile,
  busUsersOf,
} from "./redis_streams/user_file.ts";
export type { BusRole } from "./redis_streams/user_rights.ts";
export { referencePages } from "./reference_page.ts";
