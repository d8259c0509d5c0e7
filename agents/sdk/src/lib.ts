/**
 * The polite producer: signs, spools, sends and settles events over one mutually authenticated stream.
 *
 * ```ts
 * import { systemClock, systemRandom, createTelemetry } from "ransomeye-kernel";
 * import { loadIdentity, openProducer } from "ransomeye-sdk";
 *
 * const producer = await openProducer({
 *   identity: await loadIdentity(identityDir),
 *   gateway: { host, port },
 *   spoolDir,
 *   clock: systemClock,
 *   random: systemRandom,
 *   telemetry: createTelemetry({ role: "example", level: "warn" }),
 * });
 *
 * // Many events: durable on this machine when it resolves, receipted when `receipt` does. The cursor is kept with them.
 * const spooled = await producer.sendMany(lines, { cursor: "line 42 of input.json" });
 * const { invalid } = await spooled.receipt;
 *
 * // One event: resolves at its receipt. A detection does not wait for others.
 * const { id } = await producer.send(line, { urgent: true });
 *
 * await producer.drain("receipt");
 * await producer.close();
 * ```
 *
 * Promises: what `sendMany` resolved for survives kill -9 and is sent by the next producer on the same spool; no sequence is transmitted with
 * two contents; each call is answered once, in order. A full spool makes calls wait; nothing is ever dropped, unless `whenFull: "declare"` says that the source
 * cannot wait: then what finds no room is lost, counted, and declared in a signed gap. One process per spool, one spool per
 * producer, on a local disk.
 */
export { SDK_CODES, type SdkCode, SdkError } from "./codes.ts";
export { createEnrolmentRequest, type Enrolment, loadIdentity, type ProducerIdentity, saveIdentity } from "./identity.ts";
export { enrolmentKeys, enrolmentOver } from "./pending_keys.ts";
export { enrolWithToken, type Enrolled, renewIdentity, rotateBatchKey } from "./network_enrolment.ts";
export { type RegistryAddress, type RegistryContext, signedClockOffsetUs } from "./registry_connection.ts";
export type { Delivery, DeliverySummary, InvalidDelivery, SeqRange } from "./calls.ts";
export {
  type OpenProducer,
  openProducer,
  type Producer,
  type ProducerStats,
  type SendManyOptions,
  type SendOptions,
  type Spooled,
} from "./producer.ts";
export type { ProducerOptions } from "./options.ts";
export type { OpenSpoolFile, SpoolFile } from "./spool_files.ts";
export { type RoomWaiter, untilRoom } from "./disk_room.ts";

// The heart, for the simulation: no I/O, run it under any clock and network.
export { ProducerMachine } from "./producer_machine.ts";
export { frameOverheadBytes } from "./send_queue.ts";
export { freshMachineState, waitPolicy } from "./machine_types.ts";
export type {
  Effect,
  EpochReason,
  LossPolicy,
  MachineState,
  MachineStats,
  Now,
  Phase,
  SealedBatch,
  SettleAnswer,
  SettledFrame,
  Signal,
} from "./machine_types.ts";
export {
  type BatchFacts,
  type ChainPoint,
  type ChainState,
  emptyChain,
  type Entry,
  type Link,
  type Loss,
  type LossReason,
} from "./chain_types.ts";
export { type CursorAt, incompleteTail, newerCursor, recoverChain, type RecoveredChain } from "./spool_recovery.ts";
export type { BatchRecord, LinkRecord, SignedHeader } from "./spool_record.ts";
export * from "./events.ts";
