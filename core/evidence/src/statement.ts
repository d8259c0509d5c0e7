/**
 * Why it exists: the sealer's word, statement after statement: the key that it signs with, what the log held (checkpoints), what retention removed.
 * Enforces: one text form for each statement; each names the one before by its hash, so that none can be left out or exchanged.
 * Forbids: I/O, clocks; trusting a statement because it parses.
 */
import { createHash } from "node:crypto";
import { formatInstantUs, parseInstantUs } from "ransomeye-ingestion/protocol";
import { EvidenceError } from "./codes.ts";
import { parseNote } from "./signed_note.ts";

/** Entries after `afterOff`, up to `upToOff`, of one partition of the log. */
export interface SealedRange {
  readonly part: number;
  readonly afterOff: number;
  readonly upToOff: number;
}

interface Common {
  /** From 0 on, without holes. */
  readonly number: number;
  /** SHA-256 of the text of the statement before, 64 hex digits; zeros before the first. */
  readonly previous: string;
  /** Microseconds since 1970. */
  readonly madeUs: number;
}

/** From here on statements are signed with this key. The first statement is one; later ones are signed by the key before as well. */
export interface KeyStatement extends Common {
  readonly kind: "key";
  /** As `verifierKey` gives it. */
  readonly key: string;
}

/** What the log held: the root over the entries of these ranges, by partition and offset. All were received on one day. */
export interface CheckpointStatement extends Common {
  readonly kind: "checkpoint";
  readonly generation: string;
  /** YYYY-MM-DD, UTC. */
  readonly day: string;
  readonly entries: number;
  /** 64 hex digits. */
  readonly root: string;
  readonly ranges: readonly SealedRange[];
}

/** Retention has removed a day, by rule and in the open. */
export interface ExpiryStatement extends Common {
  readonly kind: "expiry";
  readonly day: string;
  /** Entries that the day's checkpoints cover. */
  readonly entries: number;
  /** Chains that had batches on that day, and the root over what `expiredLeaf` says of each. */
  readonly chains: number;
  readonly root: string;
  /** `age` or `bytes`. */
  readonly policy: string;
  readonly actor: string;
}

export type Statement = KeyStatement | CheckpointStatement | ExpiryStatement;

export const noPrevious: string = "0".repeat(64);

const format = "ransomeye/evidence/v1";

/** The text that is signed. */
export function statementText(statement: Statement): string {
  const { number, previous, madeUs, kind } = statement;
  const lines = [format, `number ${number}`, `previous ${previous}`, `made ${formatInstantUs(madeUs)}`, `kind ${kind}`];
  if (kind === "key") lines.push(`key ${statement.key}`);
  else if (kind === "checkpoint") {
    lines.push(`log ${statement.generation}`, `day ${statement.day}`, `entries ${statement.entries}`, `root ${statement.root}`);
    for (const { part, afterOff, upToOff } of statement.ranges) lines.push(`range ${part} ${afterOff} ${upToOff}`);
  } else {
    lines.push(`day ${statement.day}`, `entries ${statement.entries}`, `chains ${statement.chains}`, `root ${statement.root}`);
    lines.push(`policy ${statement.policy}`, `actor ${statement.actor}`);
  }
  return `${lines.join("\n")}\n`;
}

/** By what the next statement names this one. */
export function statementHash(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** A statement from a signed note. Signatures are not verified here. @throws EvidenceError EVIDENCE_STATEMENT_MALFORMED */
export function parseStatement(note: string): Statement {
  const { text } = parseNote(note);
  const statement = readStatement(text);
  // One form for each statement: what reads back as another text was not written by a sealer.
  if (statement === undefined || statementText(statement) !== text)
    throw new EvidenceError("EVIDENCE_STATEMENT_MALFORMED", `not a statement of this release: ${JSON.stringify(text.slice(0, 80))}`);
  return statement;
}

function readStatement(text: string): Statement | undefined {
  const lines = text.split("\n").slice(1, -1);
  const fields = new Map<string, string>();
  const ranges: SealedRange[] = [];
  for (const line of lines) {
    const space = line.indexOf(" ");
    const [name, value] = [line.slice(0, space), line.slice(space + 1)];
    if (name === "range") {
      const [part = Number.NaN, afterOff = Number.NaN, upToOff = Number.NaN] = value.split(" ").map(Number);
      ranges.push({ part, afterOff, upToOff });
    } else fields.set(name, value);
  }
  const numbers = ranges.flatMap(({ part, afterOff, upToOff }) => [part, afterOff, upToOff]);
  const count = (name: string): number => {
    const n = Number(fields.get(name) ?? "0");
    numbers.push(n);
    return n;
  };
  const field = (name: string): string => fields.get(name) ?? "";
  const common = { number: count("number"), previous: field("previous"), madeUs: parseInstantUs(field("made"), false) };
  const day = field("day");
  const kinds: Readonly<Record<Statement["kind"], () => Statement>> = {
    key: () => ({ ...common, kind: "key", key: field("key") }),
    checkpoint: () => ({
      ...common,
      kind: "checkpoint",
      generation: field("log"),
      day,
      entries: count("entries"),
      root: field("root"),
      ranges,
    }),
    expiry: () => ({
      ...common,
      kind: "expiry",
      day,
      entries: count("entries"),
      chains: count("chains"),
      root: field("root"),
      policy: field("policy"),
      actor: field("actor"),
    }),
  };
  const kind = field("kind");
  if (!(kind in kinds)) return undefined;
  const statement = kinds[kind as Statement["kind"]]();
  return [...numbers, common.madeUs].every((n) => Number.isSafeInteger(n) && n >= 0) ? statement : undefined;
}

/** How many entries the ranges hold. */
export function entriesIn(ranges: readonly SealedRange[]): number {
  return ranges.reduce((sum, { afterOff, upToOff }) => sum + upToOff - afterOff, 0);
}

/** Which leaf of the checkpoint an entry is; undefined if it is none. */
export function leafIndex({ ranges }: Pick<CheckpointStatement, "ranges">, part: number, off: number): number | undefined {
  let before = 0;
  for (const range of ranges) {
    if (range.part === part && range.afterOff < off && off <= range.upToOff) return before + off - range.afterOff - 1;
    before += range.upToOff - range.afterOff;
  }
  return undefined;
}
