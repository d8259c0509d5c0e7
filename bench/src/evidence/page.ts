/**
 * Why: the figures of the evidence bench as a page and as a verdict.
 * Enforces: ratios to the limit of the same run; a file that did not pass has no figures.
 * Forbids: absolute times as a claim.
 */
import type { Page, Part } from "ransomeye-tests";

/** One run. */
export interface EvidenceFigures {
  readonly events: number;
  readonly exportSeconds: number;
  readonly fileBytes: number;
  /** CPU seconds of one process: the file read and taken apart, the bare limit, proofs, everything. */
  readonly seconds: { readonly read: number; readonly bare: number; readonly proofs: number; readonly whole: number };
  readonly payloadBytes: number;
  readonly batches: number;
  readonly rows: number;
  readonly statements: number;
  readonly unsealed: number;
  readonly passed: boolean;
}

const ratioMin = 0.5;

/** Whether it holds, and what is said of it. */
export function evidenceVerdict(figures: EvidenceFigures): { readonly holds: boolean; readonly lines: readonly string[] } {
  const { seconds, events, rows, passed } = figures;
  const ratio = seconds.bare / seconds.proofs;
  const say = (holds: boolean, what: string): string => `${holds ? "ok  " : "FAIL"}  ${what}`;
  const allThere = passed && rows === events;
  return {
    holds: allThere && ratio >= ratioMin,
    lines: [
      say(allThere, `the file passes, with ${rows} of ${events} rows derived anew`),
      say(
        ratio >= ratioMin,
        `proofs at ${ratio.toFixed(2)} of the speed of bare SHA-256 and Ed25519 over the same batches (at least ${ratioMin})`,
      ),
      `      with every row derived anew ${(seconds.whole / seconds.proofs).toFixed(1)} times the CPU of the proofs alone; ${((seconds.read + seconds.whole) * (1e6 / events)).toFixed(1)} CPU s per million events with reading the file`,
    ],
  };
}

/** The page of a run. */
export function evidencePage(parts: readonly Part<EvidenceFigures>[]): Page {
  return {
    title: "Evidence",
    lead: "Events of a running system, exported with `ransomeye evidence export` and verified as `ransomeye evidence verify` does it. CPU seconds of one process; each step over the same batches, in turns.",
    tables: parts.map(({ figures }) => {
      const perMillion = (cpu: number): string => (cpu * (1e6 / figures.events)).toFixed(2);
      return {
        caption: `${figures.events} events in ${figures.batches} batches, ${figures.statements} statements, ${figures.unsealed} batches without a checkpoint: ${evidenceVerdict(figures).holds ? "holds" : "does not hold"}`,
        head: ["step", "CPU s per million events", "times the bare limit"],
        rows: [
          ["bare: SHA-256 and one Ed25519 verification for each batch", perMillion(figures.seconds.bare), "1.00"],
          [
            "proofs: the same, chains, trees, statements",
            perMillion(figures.seconds.proofs),
            (figures.seconds.proofs / figures.seconds.bare).toFixed(2),
          ],
          [
            "everything: each row derived anew as well",
            perMillion(figures.seconds.whole),
            (figures.seconds.whole / figures.seconds.bare).toFixed(2),
          ],
          ["reading the file: JSON and base64", perMillion(figures.seconds.read), (figures.seconds.read / figures.seconds.bare).toFixed(2)],
        ],
        notes: [
          `The file has ${(figures.fileBytes / figures.events).toFixed(0)} bytes for each event, of which ${(figures.payloadBytes / figures.events).toFixed(0)} were signed. Written in ${figures.exportSeconds.toFixed(0)} s.`,
          ...evidenceVerdict(figures).lines,
        ],
      };
    }),
  };
}
