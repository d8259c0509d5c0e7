/**
 * Why: promise 5, memory is bounded everywhere and every bound has a name with its unit.
 * Enforces: how the limits relate to each other, asserted when the kernel is loaded.
 * Forbids: bare numbers for sizes that cross a room's door. What an operator may tune is a configuration field, not a limit.
 */
import { invariant } from "./errors.ts";

/** The named bounds, unit last but for `max`. */
export interface Limits {
  /** Payload bytes of one frame. */
  readonly frameBytesMax: number;
  /** Events in one frame. */
  readonly frameEventsMax: number;
  /** Signed header bytes of one frame. */
  readonly frameHeaderBytesMax: number;
  /** Bytes of one event line as its producer sends it, without the line feed. */
  readonly lineBytesMax: number;
  /** Levels of objects and arrays inside one another; V8 itself would follow a hundred thousand. */
  readonly jsonDepthMax: number;
  /** Names in one event, in all of its objects together: what a parser makes of a line grows with them, and no source writes more than some hundreds. */
  readonly jsonKeysMax: number;
  /** Bytes of one string of an event as it is written, escapes included and quotes not; a name is a string. The longest is an original in `raw_data`. */
  readonly jsonStringBytesMax: number;
  /** Bytes of one gRPC message: a full frame with header, signature and field tags. */
  readonly messageBytesMax: number;
  /** Buffer bytes that every open session may count on. */
  readonly sessionFloorBytes: number;
  /** Characters of one text column in a row; the whole text stays in the frame. */
  readonly columnTextBytesMax: number;
  /** Invalid events that one receipt names; further ones are counted in it. */
  readonly invalidPerReceiptMax: number;
  /** Bytes that a producer's spool holds by default before it makes its caller wait. */
  readonly spoolBytesMax: number;
  /** Distinct label sets of one metric; further ones are counted together as `_other`. */
  readonly metricSeriesMax: number;
  /** Bytes of one text in a log line; the rest is cut and marked. */
  readonly logTextBytesMax: number;
  /** Bytes of a unix socket's path that the operating system takes, without the closing NUL. */
  readonly socketPathBytesMax: number;
}

const kib = 1024;
const mib = 1024 * kib;

/** The limits in force. */
export const limits: Limits = Object.freeze({
  frameBytesMax: 256 * kib,
  frameEventsMax: 4096,
  frameHeaderBytesMax: 512,
  lineBytesMax: 128 * kib,
  jsonDepthMax: 64,
  jsonKeysMax: 4096,
  jsonStringBytesMax: 96 * kib,
  messageBytesMax: 260 * kib,
  sessionFloorBytes: 4 * kib,
  columnTextBytesMax: 1 * kib,
  invalidPerReceiptMax: 64,
  spoolBytesMax: 256 * mib,
  metricSeriesMax: 512,
  logTextBytesMax: 4 * kib,
  socketPathBytesMax: 107,
});

/** Room in a message beside payload and header: a 64-byte signature and the protobuf tags. */
const messageSlackBytes = 1 * kib;

/** The shortest name with its value and what parts it from the next, `"":0,`. */
const keyBytesMin = 5;

/** Throws a DefectError that names the relation which does not hold. Runs when the kernel is loaded; exported so that tests can break it. */
export function assertLimits(l: Limits): void {
  for (const [name, value] of Object.entries(l)) invariant(Number.isSafeInteger(value) && value > 0, `limit ${name} is ${value}`);
  invariant(l.lineBytesMax + 1 <= l.frameBytesMax, "lineBytesMax and its line feed fit frameBytesMax: a frame can hold the longest line");
  invariant(l.frameEventsMax * 2 <= l.frameBytesMax, "frameEventsMax * 2 <= frameBytesMax: a full frame has two bytes for each event");
  invariant(l.frameBytesMax + l.frameHeaderBytesMax + messageSlackBytes <= l.messageBytesMax, "a full frame fits messageBytesMax");
  invariant(l.sessionFloorBytes <= l.frameBytesMax, "sessionFloorBytes <= frameBytesMax: the floor is less than a frame");
  invariant(l.jsonStringBytesMax < l.lineBytesMax, "jsonStringBytesMax < lineBytesMax: else the line alone would bound a string");
  invariant(l.jsonKeysMax * keyBytesMin <= l.lineBytesMax, "jsonKeysMax keys fit a line: else the line alone would bound them");
  invariant(l.columnTextBytesMax <= l.jsonStringBytesMax, "columnTextBytesMax <= jsonStringBytesMax: a column is cut from a string");
  invariant(l.invalidPerReceiptMax <= l.frameEventsMax, "invalidPerReceiptMax <= frameEventsMax");
  invariant(l.spoolBytesMax >= 4 * l.messageBytesMax, "spoolBytesMax >= 4 * messageBytesMax: a spool holds a few full frames");
  invariant(l.frameBytesMax < 2 ** 31, "frameBytesMax fits int4, the type of byte_offset");
}

assertLimits(limits);
