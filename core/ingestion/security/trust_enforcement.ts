/**
 * Where a frame becomes trusted: steps 1 to 3 in their order, for each frame.
 *
 * Why: trust is a type and one file mints it. Whatever reaches the bus has passed here, because nothing else can build a `Trusted`.
 * Enforces: the session's identity still has standing (step 1), the frame is genuine (step 2), and every line has a verdict (step 3). An
 *   invalid event does not make its frame less genuine: the frame is trusted and carries the verdict to the engine.
 * Forbids: a second place that mints, and a look into the payload before the signature holds.
 */
import { invariant } from "ransomeye-kernel";
import type { IngestCode } from "../errors/ingest_errors.ts";
import {
  encodeVerdicts,
  type Frame,
  type FrameHeader,
  type EventSchema,
  INVALID_CODES,
  type PayloadCheck,
  schemaOf,
} from "../protocol/lib.ts";
import { standingFault } from "../src/auth.ts";
import type { DirectoryEntry } from "../src/ports.ts";
import type { Cost } from "../src/rate_limit.ts";
import type { Identity } from "./identity.ts";
import { type SignatureChecks, signatureFault } from "./signature.ts";

/** A frame as it came, with what its header claims. Nothing of it has been proven. */
export interface Untrusted {
  readonly header: FrameHeader;
  readonly frame: Frame;
  readonly cost: Cost;
}

/** The dear, pure computations of steps 2 and 3. */
export interface Checks extends SignatureChecks {
  validate(payload: Buffer, count: number, schema: EventSchema): PayloadCheck;
}

/** By what a frame is judged: who the session is, what the registry says about it now, and the time. */
export interface Standing {
  readonly identity: Identity;
  readonly entry: DirectoryEntry | undefined;
  readonly nowUs: number;
}

/** The outcome. */
export type Verdict<T> = { readonly kind: "trusted"; readonly value: T } | { readonly kind: "refused"; readonly code: IngestCode };

/** One event, or a whole frame (`line` undefined), that became a dead letter. */
export interface InvalidNote {
  readonly line: number | undefined;
  readonly code: number;
  readonly reason: string;
}

/** A frame that is genuine and judged. The private field makes the type nominal: no literal and no cast but one through `unknown` fits. */
class TrustedFrame {
  readonly #minted = true;
  readonly header: FrameHeader;
  readonly frame: Frame;
  readonly identity: Identity;
  readonly cost: Cost;
  /** Encoded verdicts: they travel with the frame. */
  readonly verdicts: Buffer;
  readonly invalid: readonly InvalidNote[];

  constructor(raw: Untrusted, identity: Identity, verdicts: Buffer, invalid: readonly InvalidNote[]) {
    this.header = raw.header;
    this.frame = raw.frame;
    this.identity = identity;
    this.cost = raw.cost;
    this.verdicts = verdicts;
    this.invalid = invalid;
    Object.freeze(this);
  }

  static isMinted(value: object): boolean {
    return #minted in value;
  }
}

/** A frame that passed `enforceTrust`. The class is not exported: only its type is. */
export type Trusted = InstanceType<typeof TrustedFrame>;

/** Whether a value was minted here; for the dispatcher's assertion. */
export function isTrusted(value: object): boolean {
  return TrustedFrame.isMinted(value);
}

/** Proves a frame, or names the code under which it is refused whole. */
export function enforceTrust(raw: Untrusted, standing: Standing, checks: Checks): Verdict<Trusted> {
  const { identity, entry, nowUs } = standing;
  const fault = standingFault(identity, entry, nowUs) ?? signatureFault(raw.header, raw.frame, identity, entry, nowUs, checks);
  if (fault !== undefined) return { kind: "refused", code: fault };
  const { verdicts, invalid } = validate(raw, checks);
  return { kind: "trusted", value: new TrustedFrame(raw, identity, verdicts, invalid) };
}

/** Step 3: the verdict on every line. Never a reason to refuse the frame. */
function validate({ header, frame }: Untrusted, checks: Checks): { readonly verdicts: Buffer; readonly invalid: readonly InvalidNote[] } {
  if (header.kind === "gap")
    return { verdicts: encodeVerdicts({ kind: "lines", lineStarts: new Uint32Array(0), invalid: [] }), invalid: [] };
  const schema = schemaOf(header.schemaVersion);
  const check = schema === undefined ? unknownSchema(header.schemaVersion) : checks.validate(frame.payload, header.count, schema);
  if (check.kind === "undecodable") {
    return {
      verdicts: encodeVerdicts({ kind: "frame", code: check.code }),
      invalid: [{ line: undefined, code: check.code, reason: check.reason }],
    };
  }
  invariant(check.lineStarts.length === header.count, "R-8: valid and invalid lines together are the signed count");
  return { verdicts: encodeVerdicts(check), invalid: check.invalid };
}

/** A frame under a schema version that this build does not know is genuine all the same: one dead letter for all of it. */
function unknownSchema(version: number): PayloadCheck {
  return { kind: "undecodable", code: INVALID_CODES.EVENT_SCHEMA_VERSION.number, reason: `schema_version ${version} is not admitted here` };
}
