/**
 * Why it exists: a world of evidence needs what gateway and engine make of a batch.
 * Enforces: rows, dead letters, gaps and verdicts as the real ones would be.
 * Forbids: use outside tests.
 */
import {
  deriveRow,
  encodeVerdicts,
  type FrameFields,
  INVALID_CODES,
  newRowColumns,
  NORMALISER_VERSION,
} from "ransomeye-ingestion/protocol";
import type { EntryRecord, SequencedRow } from "../records.ts";

type Made = Pick<EntryRecord, "verdicts" | "rows" | "deadLetters" | "gaps">;

export function gapOf(firstSeq: number, count: number): Made {
  return {
    verdicts: encodeVerdicts({ kind: "lines", lineStarts: new Uint32Array(0), invalid: [] }),
    rows: [],
    deadLetters: [],
    gaps: [{ firstSeq, count, reason: "spool_full" }],
  };
}

export function wholeLetter(firstSeq: number, count: number): Made {
  const code = INVALID_CODES.PAYLOAD_LINE_COUNT.number;
  return {
    verdicts: encodeVerdicts({ kind: "frame", code }),
    rows: [],
    deadLetters: [{ firstSeq, count, code: "PAYLOAD_LINE_COUNT" }],
    gaps: [],
  };
}

export function rowsOf(lines: readonly string[], fields: FrameFields, receivedUs: number): Made {
  const lineStarts = new Uint32Array(lines.length);
  const rows: SequencedRow[] = [];
  const invalid: { line: number; code: number }[] = [];
  const deadLetters: { firstSeq: number; count: number; code: string }[] = [];
  let from = 0;
  for (const [line, text] of lines.entries()) {
    lineStarts[line] = from;
    const byteLength = Buffer.byteLength(text);
    const seq = fields.firstSeq + line;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      invalid.push({ line, code: INVALID_CODES.EVENT_NOT_JSON.number });
      deadLetters.push({ firstSeq: seq, count: 1, code: "EVENT_NOT_JSON" });
    }
    if (value !== undefined) {
      const columns = newRowColumns();
      deriveRow(value, receivedUs, columns);
      const { schemaVersion, mappingVersion } = fields;
      rows.push({
        ...columns,
        seq,
        line,
        byteOffset: from,
        byteLength,
        schemaVersion,
        mappingVersion,
        normaliserVersion: NORMALISER_VERSION,
      });
    }
    from += byteLength + 1;
  }
  return { verdicts: encodeVerdicts({ kind: "lines", lineStarts, invalid }), rows, deadLetters, gaps: [] };
}
