/**
 * Why: the door of the shipper: real formats in, canonical OCSF events out.
 * Enforces: whoever ships reads through `readRecords`; formats, kinds and codes are told from here.
 * Forbids: reaching a reader past detection and accounting.
 */
export { type InputCode, type RecordCode, SHIP_CODES, type ShipCode, ShipError } from "./errors.ts";
export { detectKind, type Format, formatNames, type FormatSpec, formats, fitsKind } from "./formats.ts";
export { originalOf } from "./mapping/draft.ts";
export type { Batch, EventItem, InvalidItem, Item, Place, ResumePoint } from "./records.ts";
export { readRecords } from "./read_records.ts";
export { type ReadOptions, recordBytesMax, RecordReader } from "./record_reader.ts";

// Following: files that grow and rotate.
export { Follower, type FollowedState, type FollowerOptions, type FollowSource, type Handover } from "./follow/follower.ts";
export type { FileMark, Head } from "./follow/file_mark.ts";
export { matching } from "./follow/patterns.ts";
export type { FramingPoint } from "./input/framing.ts";
export { PositionedLane, type Sink } from "./follow/positioned_lane.ts";
export { Positions } from "./follow/positions.ts";
export { followInvalid } from "./events.ts";
