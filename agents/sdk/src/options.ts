/**
 * Why: a producer runs on machines that nobody tunes, so every bound has a default and a check.
 * Enforces: bounds that fit each other. Forbids: unlimited anything.
 */
import { limits } from "ransomeye-kernel";
import { nativeMappingVersion, schemaVersions } from "ransomeye-ingestion/protocol";
import { SdkError } from "./codes.ts";
import { type OpenSpoolFile, openSpoolFile } from "./spool_files.ts";

/** The schema version that this SDK's callers write. */
export const schemaVersion: number = schemaVersions[0] ?? 1;

/** What may be set; everything has a default. */
export interface ProducerOptions {
  /** Name and version of the software that produces, shown to operators. */
  readonly agent?: string;
  /** Version of the mapping that made the events out of another format; 0 for native ones. */
  readonly mappingVersion?: number;
  /** Bytes that the spool may hold before callers wait. */
  readonly spoolBytesMax?: number;
  /** Frames that the spool may hold before callers wait; bounds the memory of its index. */
  readonly spoolFramesMax?: number;
  /**
   * What a full spool means. `wait`: callers wait, nothing is ever lost. `declare`, for sources that cannot wait: what finds no room is lost and declared in a signed
   * gap; batches get their place only when a gateway's credit covers them.
   */
  readonly whenFull?: "wait" | "declare";
  /** With `declare`: batches that waited unsent for longer are given up and declared; 0: never. Measured by the wall clock, for it goes on through restarts. */
  readonly spoolAgeMsMax?: number;
  readonly frameBytesMax?: number;
  readonly frameEventsMax?: number;
  /** Until a gateway has told its own. */
  readonly lingerMs?: number;
  readonly connectMs?: number;
  readonly pingMs?: number;
  /** How often the files of an identity that is kept (`identityDir`) are looked at: a batch key or certificate that another process has replaced. */
  readonly identityLookMs?: number;
  readonly backoffBaseMs?: number;
  readonly backoffCapMs?: number;
  /** Segment files; replaced in tests of a failing disk. */
  readonly openFile?: OpenSpoolFile;
}

export type ResolvedOptions = Required<ProducerOptions>;

const kib = 1024;

/** Options with their defaults. Throws SDK_OPTIONS_INVALID where they do not fit. */
export function resolveOptions(options: ProducerOptions): ResolvedOptions {
  const resolved: ResolvedOptions = {
    agent: "ransomeye-sdk",
    mappingVersion: nativeMappingVersion,
    spoolBytesMax: limits.spoolBytesMax,
    spoolFramesMax: 65_536,
    whenFull: "wait",
    spoolAgeMsMax: 0,
    frameBytesMax: limits.frameBytesMax,
    frameEventsMax: limits.frameEventsMax,
    lingerMs: 20,
    connectMs: 10_000,
    pingMs: 15_000,
    identityLookMs: 5_000,
    backoffBaseMs: 250,
    backoffCapMs: 60_000,
    openFile: openSpoolFile,
    ...options,
  };
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new SdkError("SDK_OPTIONS_INVALID", what);
  };
  check(Buffer.byteLength(resolved.agent) <= 256, "agent has at most 256 bytes");
  check(between(resolved.mappingVersion, 0, 0xffff), "mappingVersion is a u16");
  check(between(resolved.frameBytesMax, 2, limits.frameBytesMax), `frameBytesMax is at most ${limits.frameBytesMax}`);
  check(between(resolved.frameEventsMax, 1, limits.frameEventsMax), `frameEventsMax is at most ${limits.frameEventsMax}`);
  check(between(resolved.spoolBytesMax, 1024 * kib, Number.MAX_SAFE_INTEGER), "spoolBytesMax is at least 1 MiB");
  check(between(resolved.spoolFramesMax, 16, 1_048_576), "spoolFramesMax is 16 to 1048576");
  check(resolved.whenFull === "wait" || resolved.whenFull === "declare", "whenFull is wait or declare");
  check(between(resolved.spoolAgeMsMax, 0, 366 * 86_400_000), "spoolAgeMsMax is at most 366 days");
  check(resolved.spoolAgeMsMax === 0 || resolved.whenFull === "declare", "spoolAgeMsMax needs whenFull declare: it loses events");
  check(between(resolved.lingerMs, 0, 60_000), "lingerMs is at most 60000");
  check(between(resolved.connectMs, 1, 600_000) && between(resolved.pingMs, 1, 600_000), "connectMs and pingMs are 1 to 600000");
  check(between(resolved.identityLookMs, 1, 3_600_000), "identityLookMs is 1 ms to 1 h");
  check(
    between(resolved.backoffBaseMs, 1, resolved.backoffCapMs) && resolved.backoffCapMs <= 3_600_000,
    "backoffBaseMs <= backoffCapMs <= 1 h",
  );
  return resolved;
}

function between(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}
