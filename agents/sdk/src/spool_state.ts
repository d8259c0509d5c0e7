/**
 * Why: when every frame of an epoch has been stored and left the disk, someone must still remember where the chain ends.
 * Enforces: a small file, replaced atomically, always before a segment that it stands for is removed.
 * Forbids: anything secret, and anything that the records tell already.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "ransomeye-kernel";
import { SdkError } from "./codes.ts";
import type { Loss } from "./chain_types.ts";
import type { MachineState } from "./machine_types.ts";
import type { CursorAt } from "./spool_recovery.ts";

/** The state file's content. */
export interface SpoolState {
  readonly producer: string;
  readonly machine: MachineState;
  readonly cursor: CursorAt | undefined;
  /** Receipt keys by gateway, hex, pinned at the first Welcome where enrolment gave none. */
  readonly receiptKeys: Readonly<Record<string, string>>;
  /** The newest receipt: what the server has signed for, in case it forgets. */
  readonly lastReceipt: Readonly<Record<string, string | number>> | undefined;
}

const name = "state.json";

/** Reads the state file; undefined where there is none. */
export async function readSpoolState(directory: string): Promise<SpoolState | undefined> {
  let text: string;
  try {
    text = await readFile(join(directory, name), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return reviveState(checked(text));
  } catch (error) {
    throw new SdkError("SDK_SPOOL_CORRUPT", `${name} cannot be read`, { cause: error, fields: { directory } });
  }
}

/** Replaces the state file. */
export function writeSpoolState(directory: string, state: SpoolState): Promise<void> {
  const { chain } = state.machine;
  const json = {
    version: 1,
    ...state,
    machine: {
      ...state.machine,
      chain: {
        ...chain,
        prev: { ...chain.prev, hash: chain.prev.hash.toString("hex") },
        base: { ...chain.base, hash: chain.base.hash.toString("hex") },
      },
    },
  };
  return writeFileAtomic(join(directory, name), `${JSON.stringify({ check: checkOf(json), ...json }, undefined, 2)}\n`, 0o600);
}

/** Counts of lost events stand nowhere else, so a bit that fell over must not pass as a count. Files of earlier versions have no check. */
function checked(text: string): unknown {
  const { check, ...json } = object(JSON.parse(text));
  if (check !== undefined && check !== checkOf(json)) throw new TypeError("the check does not fit");
  return json;
}

function checkOf(json: object): string {
  return createHash("sha256").update(JSON.stringify(json)).digest("hex");
}

function reviveState(json: unknown): SpoolState {
  const root = object(json);
  if (root["version"] !== 1) throw new TypeError("another version");
  const machine = object(root["machine"]);
  const chain = object(machine["chain"]);
  const prev = object(chain["prev"]);
  const base = object(chain["base"]);
  const reopened = machine["reopenedUs"];
  const cursor = root["cursor"] === undefined ? undefined : object(root["cursor"]);
  return {
    producer: text(root["producer"]),
    machine: {
      chain: {
        epoch: integer(chain["epoch"]),
        prev: { epoch: integer(prev["epoch"]), seq: integer(prev["seq"]), hash: hash(prev["hash"]) },
        base: { seq: integer(base["seq"]), hash: hash(base["hash"]) },
        offered: integer(chain["offered"]),
      },
      intent: machine["intent"] === undefined ? undefined : integer(machine["intent"]),
      reopenedUs: Array.isArray(reopened) ? reopened.map(integer) : [],
      nextIndex: integer(machine["nextIndex"]),
      losses: machine["losses"] === undefined ? [] : list(machine["losses"]).map(loss),
      givenUpThrough: machine["givenUpThrough"] === undefined ? 0 : integer(machine["givenUpThrough"]),
    },
    cursor: cursor === undefined ? undefined : { index: integer(cursor["index"]), cursor: text(cursor["cursor"]) },
    receiptKeys: Object.fromEntries(Object.entries(object(root["receiptKeys"])).map(([gateway, key]) => [gateway, text(key)])),
    lastReceipt: root["lastReceipt"] === undefined ? undefined : (object(root["lastReceipt"]) as Record<string, string | number>),
  };
}

function loss(value: unknown): Loss {
  const { index, reason, count, fromUs, toUs } = object(value);
  if (reason !== "spool_full" && reason !== "spool_age") throw new TypeError("not a reason of a loss");
  return { index: integer(index), reason, count: integer(count), fromUs: integer(fromUs), toUs: integer(toUs) };
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError("not a list");
  return value;
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new TypeError("not an object");
  return value as Record<string, unknown>;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("not a string");
  return value;
}

function integer(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new TypeError("not an integer");
  return value as number;
}

function hash(value: unknown): Buffer {
  const bytes = Buffer.from(text(value), "hex");
  if (bytes.length !== 32) throw new TypeError("not a hash");
  return bytes;
}
