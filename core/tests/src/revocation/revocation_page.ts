/** Why: the revocation run's figures as a page. Enforces: every stream has a row. Forbids: I/O. */
import type { Page, Part } from "../results/result_file.ts";
import type { Closing } from "./revocation_run.ts";

export interface RevocationFigures {
  readonly streams: number;
  readonly closed: number;
  readonly slowestMs: number;
  readonly closings: readonly Closing[];
}

export function revocationPage(parts: readonly Part<RevocationFigures>[]): Page {
  return {
    title: "Revocation",
    lead: "Machines enrolled over the network hold open streams; an operator's command takes a right away. Milliseconds are from before the command starts (its own start, about a second, is in them) to the end of the stream. Then the same certificate connects again.",
    tables: parts.flatMap(({ figures: { streams, closed, slowestMs, closings } }) => [
      {
        caption: "All",
        head: ["streams", "closed in time with the right code", "slowest, ms"],
        rows: [[streams, closed, slowestMs].map(String)],
      },
      {
        caption: "Each",
        head: ["taken away", "ms", "the stream's end", "a new connection"],
        rows: closings.map(({ way, ms, code, again }) => [way, String(ms), code, again ?? "is admitted: the certificate is good"]),
      },
    ]),
  };
}
