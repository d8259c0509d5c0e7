/**
 * Why it exists: what `ship` says at its end, in words and as JSON.
 * Enforces: read = accepted + invalid, computed from counts that are made apart from each other and asserted here.
 * Forbids: I/O.
 */
import { invariant } from "ransomeye-kernel";
import { formatBytes, formatCount, formatSeconds } from "../terminal/format.ts";
import { terminalSafe } from "../terminal/terminal_safe.ts";
import type { Lanes } from "./lanes.ts";
import type { InputReport, Shipping } from "./shipping.ts";

/** As `ship --json` prints it. */
export interface ShipSummary {
  readonly run: string;
  readonly read: number;
  readonly accepted: number;
  readonly invalid: number;
  readonly refused: number;
  readonly resumed: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly events_per_second: number;
  readonly interrupted: boolean;
  readonly complete: boolean;
  readonly waited_for: "receipt" | "stored";
  readonly producers: readonly { readonly name: string; readonly producer: string; readonly kind: string }[];
  readonly files: readonly InputReport[];
}

/** Adds up a run. */
export function shipSummary(o: {
  run: string;
  shipping: Shipping;
  lanes: Lanes;
  seconds: number;
  interrupted: boolean;
  until: "receipt" | "stored";
}): ShipSummary {
  const { counts, reports } = o.shipping;
  const unnamed = o.lanes.lanes().reduce((sum, lane) => sum + lane.counts().invalidUnnamed, 0);
  const invalid = counts.invalid + unnamed;
  const accepted = counts.handedOver - (counts.refused - counts.mismatched) - unnamed;
  invariant(counts.read === accepted + invalid, `read ${counts.read} = accepted ${accepted} + invalid ${invalid}`);
  return {
    run: o.run,
    read: counts.read,
    accepted,
    invalid,
    refused: counts.refused + unnamed,
    resumed: counts.resumed,
    bytes: counts.bytes,
    seconds: Math.round(o.seconds * 1000) / 1000,
    events_per_second: Math.round(counts.read / Math.max(o.seconds, 0.001)),
    interrupted: o.interrupted,
    complete: reports.every((report) => report.error === null) && !o.interrupted,
    waited_for: o.until,
    producers: o.lanes.identities(),
    files: reports,
  };
}

/** The same for people. */
export function summaryText(summary: ShipSummary, rejects: string | null): string {
  const lines = [
    `run ${summary.run}: read ${formatCount(summary.read)} = accepted ${formatCount(summary.accepted)} + invalid ${formatCount(summary.invalid)}${summary.refused > 0 ? ` (of these ${formatCount(summary.refused)} refused)` : ""}${summary.resumed > 0 ? `, ${formatCount(summary.resumed)} of them by the part before` : ""}`,
    `${formatBytes(summary.bytes)} in ${formatSeconds(summary.seconds)}, ${formatCount(summary.events_per_second)} records/s, ${summary.waited_for === "stored" ? "stored" : "receipted"}`,
  ];
  for (const file of summary.files) {
    if (summary.files.length > 1)
      lines.push(
        terminalSafe(
          `  ${file.name}: ${file.format ?? "format not found"}, read ${formatCount(file.read)}, invalid ${formatCount(file.invalid)}`,
        ),
      );
    if (file.error !== null)
      lines.push(terminalSafe(`  ${file.name}: stopped: ${file.error.code}: ${file.error.message}`), `    ${file.error.next}`);
    else if (file.first_id !== null) lines.push(`  first event: ransomeye event ${file.first_id}`);
  }
  if (summary.invalid > 0 && rejects !== null) lines.push(terminalSafe(`records that were not taken: ${rejects}`));
  if (summary.interrupted) lines.push(`interrupted; go on with: ransomeye ship --resume ${summary.run}`);
  return lines.join("\n");
}
